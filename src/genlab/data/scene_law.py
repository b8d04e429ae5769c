"""The law that scenes follow: what is drawn together, where it stands, how it is said.

Read: `SceneLaw.draw` makes a batch: what -> where -> picture -> caption. Some combinations are
held out of every training picture:

    one     four pairs of colour and shape (in no training picture at all)
    two     an eighth of (colour shape, beside or above, colour shape)
    three   a sixth of (two of one colour and shape and one of another; or three alike)

A caption may leave out sizes, a colour or a shape in training; the held-out half and its seen
counterpart name every colour and shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.data.captions import OPPOSITE, Part, Wanted, say
from genlab.data.scenes import COLOUR_NAMES, FORMS, SHAPES, SIDE, SIDES, SIZES, draw
from genlab.rng import generator as seeded

CASES = ("one", "two", "three")  # how many shapes a caption asks for
PAIRS = tuple((colour, shape) for colour in COLOUR_NAMES for shape in SHAPES)
HELD_PAIRS = {("red", "cross"), ("green", "triangle"), ("blue", "square"), ("yellow", "circle")}
GAP = 2  # pixels at least between the squares around two shapes
STEP = 6  # pixels by which a relation is clearer than the one across
TRIES = 48  # places tried at once
GRIDS = (1, 2, 4)  # pixels: what divides the sides of all shapes, so that they can stand anywhere
OMIT = 0.1  # how often a training caption leaves out a part's colour, and its shape

_known = torch.tensor([p not in HELD_PAIRS for p in PAIRS])
_both = _known[:, None] & _known  # [24, 24]
# by (first, second, beside or above): a scene has one such name, whichever is said first
HELD_TWO = torch.rand(24, 24, 2, generator=seeded("captioned_shapes", "two")) < 1 / 8
HELD_THREE = torch.rand(24, 24, generator=seeded("captioned_shapes", "three")) < 1 / 6


class Drawn(NamedTuple):
    """A batch of scenes: numbers for `draw` [B, 3] each, and what each caption says."""

    form: Tensor
    colour: Tensor
    top: Tensor
    left: Tensor
    captions: list[str]

    def pictures(self) -> Tensor:
        """uint8 [B, 3, 32, 32]."""
        return draw(self.form, self.colour, self.top, self.left)


def held(wanted: Wanted) -> bool | None:
    """Whether a caption asks for a combination that training never shows; None: it leaves out."""
    if any(part.colour is None or part.shape is None for part in wanted.parts):
        return None
    numbers = [PAIRS.index((part.colour, part.shape)) for part in wanted.parts]
    if any(PAIRS[n] in HELD_PAIRS for n in numbers):
        return True
    if wanted.relation is not None:
        a, b = numbers if wanted.relation in ("left", "above") else reversed(numbers)
        return bool(HELD_TWO[a, b, int(wanted.relation in ("above", "below"))])
    counts = [part.count for part in wanted.parts]
    if sum(counts) == 3:
        more = numbers[counts.index(max(counts))]
        one = numbers[counts.index(min(counts))]
        return bool(HELD_THREE[more, one])
    return False


def weights(case: str, kept: str) -> Tensor:
    """How often each combination is drawn: [24, 24, 2], unnormalised.

    `one` uses the first number alone, `three` the first two; alike ones are half of `three`.
    """
    out = torch.zeros(24, 24, 2)
    if case == "one":
        out[:, 0, 0] = (_known if kept == "seen" else ~_known).float()
    elif case == "two":
        out = (_both[..., None] & ((kept == "held_out") == HELD_TWO)).float()
        out[torch.arange(24), torch.arange(24)] = 0  # two that look alike have no order
    else:
        allowed = (_both & ((kept == "held_out") == HELD_THREE)).float()
        alike = torch.eye(24) * allowed
        out[..., 0] = alike / alike.sum() + (allowed - alike) / (allowed - alike).sum()
    return out


class SceneLaw:
    """Scenes of one, two or three shapes in the shares asked for."""

    def __init__(self, *, shares: Sequence[float], grid: int) -> None:
        """`shares` of scenes with one, two and three shapes; corners are multiples of `grid`."""
        if len(shares) != 3 or min(shares) < 0 or sum(shares) <= 0:
            raise ValueError(
                f"data.shares={list(shares)}: write three numbers from 0 on, "
                "of scenes with one, two and three shapes"
            )
        if grid not in GRIDS:
            raise ValueError(f"data.grid={grid}: allowed are {', '.join(map(str, GRIDS))} pixels")
        self.grid = grid
        self.shares = torch.tensor(list(shares), dtype=torch.float64)
        self.laws = {
            (case, kept): weights(case, kept).double().flatten().cumsum(0)
            for case in CASES
            for kept in ("seen", "held_out")
        }

    def draw(
        self,
        num: int,
        generator: torch.Generator,
        *,
        kept: str = "seen",
        case: Tensor | None = None,
        omit: float = OMIT,
    ) -> Drawn:
        """`num` scenes; `case` [num] numbers CASES, None draws them by their shares."""
        if case is None:
            case = torch.multinomial(self.shares, num, True, generator=generator)
        chosen, u = torch.zeros_like(case), torch.rand(num, generator=generator).double()
        for i, name in enumerate(CASES):  # by inverse of their distribution functions
            law, of = self.laws[name, kept], case == i
            chosen[of] = torch.searchsorted(law, u[of] * law[-1], right=True)
        axis, b, a = chosen % 2, chosen // 2 % 24, chosen // 48
        u = torch.rand(num, 17, generator=generator)
        large = self._sizes(case, a, b, u[:, :6])
        pair = torch.stack([a, torch.where(case == 1, b, a), b], 1)  # [num, 3]
        exists = torch.arange(3) <= case[:, None]
        form = torch.where(exists, pair % 4 * 2 + large, -1)
        top, left = places(form, case, axis, generator, grid=self.grid)
        said = u[:, 6:].tolist()
        rows = zip(
            case.tolist(), a.tolist(), b.tolist(), axis.tolist(), large.tolist(), said, strict=True
        )
        captions = [caption(*row, omit=omit) for row in rows]
        return Drawn(form, pair // 4, top, left, captions)

    @staticmethod
    def _sizes(case: Tensor, a: Tensor, b: Tensor, u: Tensor) -> Tensor:
        """1 for large [num, 3]; what is alike in colour and shape is of one size half the time."""
        large = (u[:, :3] < 0.5).long()
        alike = (u[:, 3] < 0.5) & (case == 2)
        large[:, 1] = torch.where(alike, large[:, 0], large[:, 1])
        large[:, 2] = torch.where(alike & (a == b), large[:, 0], large[:, 2])
        return large


def caption(
    case: int, a: int, b: int, axis: int, large: list[int], u: list[float], *, omit: float
) -> str:
    """What is said of a scene, by eleven numbers in [0, 1)."""
    sizes = [tuple(SIZES)[n] for n in large]
    said = [u[0] < 0.5, u[1] < 0.5]

    def part(pair: int, members: list[str], i: int) -> Part:
        size = members[0] if said[i] and len(set(members)) == 1 else None
        colour, shape = PAIRS[pair]
        colour = None if u[2 + i] < omit else colour
        return Part(len(members), size, colour, None if u[4 + i] < omit else shape)

    if case == 0:
        wanted = Wanted((part(a, sizes[:1], 0),))
    elif case == 1:
        relation = ("left", "above")[axis]
        parts = part(a, sizes[:1], 0), part(b, sizes[1:2], 1)
        if u[6] < 0.5:
            parts, relation = parts[::-1], OPPOSITE[relation]
        wanted = Wanted(parts, relation)
    elif a == b:
        wanted = Wanted((part(a, sizes, 0),))
    else:
        parts = part(a, sizes[:2], 0), part(b, sizes[2:], 1)
        wanted = Wanted(parts if u[6] < 0.5 else parts[::-1])
    return say(wanted, u[7:])


def places(
    form: Tensor, case: Tensor, axis: Tensor, generator: torch.Generator, *, grid: int
) -> tuple[Tensor, Tensor]:
    """Corners in pixels, (top, left) [B, 3] each, at which nothing touches and relations hold."""
    side = SIDES[form.clamp(min=0)]
    found = torch.zeros(len(form), 2, 3, dtype=torch.long)
    todo = torch.arange(len(form))
    while len(todo):
        corner, ok = _tried(
            side[todo], form[todo] >= 0, case[todo], axis[todo], generator, grid=grid
        )
        first = ok.int().argmax(1)  # of the good ones; where there is none, it is tried again
        found[todo] = corner[torch.arange(len(todo)), first]
        todo = todo[~ok.any(1)]
    return found[:, 0], found[:, 1]


def _tried(
    side: Tensor,
    exists: Tensor,
    case: Tensor,
    axis: Tensor,
    generator: torch.Generator,
    *,
    grid: int,
) -> tuple[Tensor, Tensor]:
    """Corners [B, TRIES, 2, 3], and which tries are good [B, TRIES]."""
    u = torch.rand(len(side), TRIES, 2, 3, generator=generator)
    sides = side[:, None, None]  # [B, 1, 1, 3]
    corner = (u * ((SIDE - sides) // grid + 1)).long() * grid
    ok = torch.ones(corner.shape[:2], dtype=torch.bool)
    for k, m in ((0, 1), (0, 2), (1, 2)):
        before = corner[..., k] + sides[..., k] + GAP <= corner[..., m]
        after = corner[..., m] + sides[..., m] + GAP <= corner[..., k]
        both = (exists[:, k] & exists[:, m])[:, None]
        ok &= (before | after).any(2) | ~both
    middle = corner + sides / 2
    apart = middle[..., 1] - middle[..., 0]  # [B, TRIES, 2]: down, right
    down, right = apart[..., 0], apart[..., 1]
    above = (axis == 1)[:, None]
    along, across = torch.where(above, down, right), torch.where(above, right, down)
    ok &= (along >= across.abs() + STEP) | (case != 1)[:, None]
    return corner, ok


assert len(FORMS) == 2 * len(SHAPES)
