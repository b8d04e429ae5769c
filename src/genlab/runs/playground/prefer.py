"""Which of two samples is better, asked blind: pairs, judgements, and what they add up to.

Read: `pair_of` says which two samples stand where, `judge` writes a judgement down (the file's form
is data/preferences.py), `tally` counts: per condition, ties apart, with a 95 % interval, and how
often the left side won, which should be half of the time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from genlab.data import preferences
from genlab.metrics.interval import share_interval
from genlab.rng import generator
from genlab.runs.playground.drawing import Asked, Drawn
from genlab.runs.playground.history import folder_of
from genlab.runs.playground.seats import Seat
from genlab.shown import figure, one_line

FILE = "preferences.jsonl"
VERDICTS = ("left", "right", "tie", "bad")
FREE = "nothing asked"


@dataclass(frozen=True)
class Contender:
    """A run with a sampler: what a side of a pair may be drawn by."""

    seat: Seat
    sampler: dict[str, Any]  # its settings, as the model has them

    def sample(self, seed: int, index: int) -> dict[str, Any]:
        """What it takes to draw one of its samples again."""
        return {
            "run": str(self.seat.home),
            "name": self.seat.name,
            "checkpoint": self.seat.checkpoint,
            "seed": seed,
            "index": index,
            "sampler": {k: _plain(v) for k, v in self.sampler.items()},
        }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not abs(value) < float("inf") else value


@dataclass(frozen=True)
class Place:
    """One side of a pair: whose sample, and which one."""

    contender: int
    index: int


def pair_of(contenders: int, seed: int, number: int) -> tuple[Place, Place]:
    """(left, right) of the pair with this number; who stands where is drawn by (seed, number).

    Two contenders show sample `number` each, at the same seed; one alone shows two of its own.
    """
    draws = generator("pair", seed, number)
    if contenders == 1:
        both = [Place(0, 2 * number), Place(0, 2 * number + 1)]
    else:
        pairs = list(combinations(range(contenders), 2))
        at = int(torch.randint(len(pairs), (), generator=draws))
        both = [Place(c, number) for c in pairs[at]]
    if torch.rand((), generator=draws) < 0.5:
        both.reverse()
    return both[0], both[1]


@dataclass(frozen=True)
class Pair:
    """Two samples to judge, where they stand, and under what condition they were drawn."""

    places: tuple[Place, Place]
    drawn: tuple[Drawn, Drawn]
    asked: dict[str, Any]
    seed: int
    number: int

    @property
    def condition(self) -> str:
        """What both were asked for, in words."""
        captions = self.drawn[0].captions
        said = captions[0] if captions else ", ".join(map(str, self.asked.values()))
        return one_line(said)[:500] or FREE


def number_of(rows: Sequence[dict[str, Any]], seed: int, contenders: int) -> int:
    """The number of the next pair of a seed: after all that were judged."""
    samples = [r.get(k) for r in rows for k in ("chosen", "rejected", "left", "right")]
    seen = [s["index"] for s in samples if isinstance(s, dict) and s["seed"] == seed]
    return max(seen, default=-1) // (2 if contenders == 1 else 1) + 1


def asked_of(place: Place, number: int, words: dict[str, Any], seed: int) -> Asked:
    """One sample; both sides under one condition, which the pair's number chooses if none is."""
    return Asked(words, num=1, seed=seed, first=place.index, turn=number)


def judge(
    path: Path, pair: Pair, contenders: Sequence[Contender], verdict: str, who: str
) -> dict[str, Any]:
    """Write a judgement down: left, right, tie or bad; gives its row."""
    if verdict not in VERDICTS:
        raise ValueError(f"verdict={verdict}: allowed are {', '.join(VERDICTS)}")
    left, right = (
        contenders[place.contender].sample(pair.seed, place.index) for place in pair.places
    )
    row = {
        "verdict": verdict if verdict in ("tie", "bad") else "chosen",
        "condition": pair.condition,
        "asked": pair.asked,
        "who": one_line(who)[:200],
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    if row["verdict"] != "chosen":
        row |= {"left": left, "right": right}
        preferences.append(path, row)
        return row
    first = verdict == "left"
    row |= {"side": verdict}
    row |= {"chosen": left, "rejected": right} if first else {"chosen": right, "rejected": left}
    chosen, rejected = pair.drawn if first else pair.drawn[::-1]
    tensors: dict[str, Any] = {"x": chosen.x[0], "rejected": rejected.x[0]}
    if chosen.cond is not None:
        cond = chosen.cond
        tensors["cond"] = {k: v[0] for k, v in cond.items()} if isinstance(cond, dict) else cond[0]
    if chosen.given is not None:
        tensors["known"] = _known(chosen)
    preferences.append(path, row, tensors)
    return row


def _known(drawn: Drawn) -> torch.Tensor:
    """Which values of a sample were given [*shape] bool; a prompt is shorter than the sample."""
    mask, known = drawn.given["mask"][0], torch.zeros(drawn.x.shape[1:], dtype=torch.bool)
    known[tuple(slice(n) for n in mask.shape)] = mask
    return known


def file_of(home: Path) -> Path:
    """Where the judgements of a run are kept."""
    return folder_of(home) / FILE


# --- counts --------------------------------------------------------------------------------------


def contender_name(sample: dict[str, Any], among: Sequence[dict[str, Any]]) -> str:
    """What a contender is called: its run, and what of its sampler differs among all of them."""
    words = [str(sample.get("name") or Path(sample["run"]).name)]
    if any(s.get("name") == sample.get("name") and s["checkpoint"] != sample["checkpoint"]
           for s in among):  # fmt: skip
        words.append(sample["checkpoint"][:6])
    for key, value in sample["sampler"].items():
        if all(key in s["sampler"] and s["sampler"][key] == value for s in among):
            continue
        word = str(value)
        words.append(word.rsplit(".", 1)[-1] if key == "_target_" else f"{key}={word}")
    return one_line(" ".join(words))[:120]


@dataclass(frozen=True)
class Tally:
    """Judgements between two contenders under a condition: wins of each, and ties apart."""

    first: str
    second: str
    condition: str
    wins: int
    losses: int
    ties: int
    bad: int

    @property
    def decided(self) -> int:
        return self.wins + self.losses

    def said(self) -> list[str]:
        """A row of a table: who, when, the share of `first`'s wins with its interval, ties."""
        return [
            self.first, self.second, self.condition, str(self.wins), str(self.losses),
            str(self.ties), str(self.bad), share_said(self.wins, self.decided),
        ]  # fmt: skip


def share_said(hits: int, num: int) -> str:
    """A share with its 95 % interval (Wilson's), in words; a dash where there is none."""
    if num == 0:
        return "–"
    low, high = share_interval(hits, num)
    return f"{hits / num:.0%} ({low:.0%} to {high:.0%})"


def tally(rows: Sequence[dict[str, Any]]) -> list[Tally]:
    """Counts of each two contenders, over all conditions and then by each."""
    found: dict[tuple[str, str, str], list[int]] = {}
    sides = [_sides(row) for row in rows]
    among = [s for both in sides for s in both]
    among = list({repr([s["run"], s["checkpoint"], s["sampler"]]): s for s in among}.values())
    for row, both in zip(rows, sides):
        names = [contender_name(s, among) for s in both]
        if names[0] == names[1]:  # two samples of one: nothing to compare
            continue
        turned = names[0] > names[1]
        a, b = sorted(names)
        at = {"tie": 2, "bad": 3}.get(row["verdict"], int(turned))
        for condition in dict.fromkeys(("all", row["condition"])):
            found.setdefault((a, b, condition), [0] * 4)[at] += 1
    found = dict(sorted(found.items(), key=lambda item: (item[0][:2], item[0][2] != "all")))
    return [Tally(*key, *counts) for key, counts in found.items()]


def _sides(row: dict[str, Any]) -> list[dict[str, Any]]:
    keys = ("chosen", "rejected") if row["verdict"] == "chosen" else ("left", "right")
    return [row[key] for key in keys]


def order_bias(rows: Sequence[dict[str, Any]]) -> str:
    """How often the left side won, in a line: a half, unless the place itself is liked."""
    decided = [row for row in rows if row["verdict"] == "chosen"]
    left = sum(row["side"] == "left" for row in decided)
    if not decided:
        return "no pair is decided yet"
    low, high = share_interval(left, len(decided))
    line = f"left won {left} of {len(decided)}: {share_said(left, len(decided))}"
    return line if low <= 0.5 <= high else f"{line}: the side matters, do not trust these counts"


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """One line on all judgements."""
    counts = {v: sum(r["verdict"] == v for r in rows) for v in preferences.VERDICTS}
    return (
        f"{figure(len(rows))} judged: {counts['chosen']} decided, {counts['tie']} tied,"
        f" {counts['bad']} both bad; {order_bias(rows)}"
    )
