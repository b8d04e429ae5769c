"""Captions of scenes: how a scene is said, what a caption asks for, whether a scene has all of it.

Read: `Wanted` is a caption's meaning. `say` turns it into words, in one of several phrasings,
`meaning` turns words back (None for words that make no caption), `fits` compares with a scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

from genlab.data.scenes import COLOURS, SHAPES, SIZES, Scene, Thing

RELATIONS = {"left": (1, 0), "right": (-1, 0), "above": (0, 1), "below": (0, -1)}  # A to B: x, y
OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
SIZE_WORDS = {"small": ("small", "little"), "large": ("large", "big")}
PLURALS = {shape: shape + ("es" if shape.endswith("s") else "s") for shape in (*SHAPES, "shape")}
PHRASES = {  # how a relation is said
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
ONE_OPENINGS = ("", "", "there is", "a picture of")
MANY_OPENINGS = ("", "", "there are", "a picture of")
COUNTS = {"a": 1, "one": 1, "two": 2, "three": 3}
WORDS = (
    *COUNTS, *(w for words in SIZE_WORDS.values() for w in words), *COLOURS, *PLURALS,
    *PLURALS.values(), "left", "right", "above", "over", "below", "under", "to", "the", "of",
    "there", "is", "are", "picture", "and",
)  # fmt: skip
NUMBERS = {word: i for i, word in enumerate(WORDS, start=1)}  # 0 is padding


class Part(NamedTuple):
    """So many alike; None: any."""

    count: int
    size: str | None
    colour: str | None
    shape: str | None


class Wanted(NamedTuple):
    """What a caption asks for: one or two parts; `relation` of the first to the second."""

    parts: tuple[Part, ...]
    relation: str | None = None


def say(wanted: Wanted, choice: Sequence[float]) -> str:
    """The caption, phrased by four numbers in [0, 1)."""

    def pick(options: Sequence[str], u: float) -> str:
        return options[int(u * len(options))]

    parts = wanted.parts
    single = parts[0].count == 1
    opening = pick(ONE_OPENINGS if single else MANY_OPENINGS, choice[0])
    words = [opening, _noun(parts[0], choice[1])]
    if wanted.relation is not None:
        verb = "is" if not opening and choice[3] < 0.25 else ""
        words += [verb, pick(PHRASES[wanted.relation], choice[2]), _noun(parts[1], choice[3])]
    elif len(parts) > 1:
        words += ["and", _noun(parts[1], choice[2])]
    return " ".join(word for word in words if word)


def _noun(part: Part, choice: float) -> str:
    """A part as a phrase: "a small red circle", "two big shapes"."""
    count = {1: "a", 2: "two", 3: "three"}[part.count]
    size = "" if part.size is None else SIZE_WORDS[part.size][int(choice * 2)]
    shape = part.shape or "shape"
    noun = shape if part.count == 1 else PLURALS[shape]
    return " ".join(word for word in (count, size, part.colour or "", noun) if word)


def meaning(words: Sequence[str]) -> Wanted | None:
    """What the words ask for; None where they are no caption of the kind that `say` makes."""
    rest = list(words)
    for opening in ("there is", "there are", "a picture of"):
        if rest[: len(opening.split())] == opening.split():
            rest = rest[len(opening.split()) :]
    first, rest = _part(rest)
    if first is None or not rest:
        return None if first is None else Wanted((first,))
    relation = None
    if rest[0] == "and":
        rest = rest[1:]
    else:
        rest = rest[1:] if rest[0] == "is" else rest
        said = {tuple(p.split()): name for name, phrases in PHRASES.items() for p in phrases}
        found = [(p, name) for p, name in said.items() if tuple(rest[: len(p)]) == p]
        if not found or first.count != 1:
            return None
        relation, rest = found[0][1], rest[len(found[0][0]) :]
    second, rest = _part(rest)
    if second is None or rest or (relation and second.count != 1):
        return None
    return Wanted((first, second), relation)


def _part(words: list[str]) -> tuple[Part | None, list[str]]:
    """The part at the beginning, and what stands after it."""
    sizes = {word: size for size, words_ in SIZE_WORDS.items() for word in words_}
    shapes = {word: shape for shape, plural in PLURALS.items() for word in (shape, plural)}
    rest, count, size, colour = list(words), 1, None, None
    if rest and rest[0] in COUNTS:
        count = COUNTS[rest.pop(0)]
    if rest and rest[0] in sizes:
        size = sizes[rest.pop(0)]
    if rest and rest[0] in COLOURS:
        colour = rest.pop(0)
    if not rest or rest[0] not in shapes:
        return None, words
    shape = shapes[rest.pop(0)]
    return Part(count, size, colour, None if shape == "shape" else shape), rest


def fits(wanted: Wanted, scene: Scene) -> bool:
    """Whether the scene is all that is wanted, and nothing else."""
    asked = [part for part in wanted.parts for _ in range(part.count)]
    if len(scene) != len(asked):
        return False
    return any(
        all(_is(part, thing) for part, thing in zip(asked, order, strict=True))
        and (wanted.relation is None or related(*order, relation=wanted.relation))
        for order in permutations(scene)
    )


def _is(part: Part, thing: Thing) -> bool:
    pairs = ((part.size, thing.size), (part.colour, thing.colour), (part.shape, thing.shape))
    return all(asked is None or asked == has for asked, has in pairs)


def related(a: Thing, b: Thing, *, relation: str) -> bool:
    """Whether b lies from a where the relation says, more so than to the side."""
    x, y = RELATIONS[relation]
    along = (b.x - a.x) * x + (b.y - a.y) * y
    across = abs((b.x - a.x) * y) + abs((b.y - a.y) * x)
    return along > across


assert set(SIZE_WORDS) == set(SIZES)
