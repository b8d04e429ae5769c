"""Columns of a table: from cells as they are read to floats that a model learns, and back.

Read: `Numbers` (ranks made normal) and `Categories` (one value of +1 a category), which `infer`
chooses between. `widths` counts the values of x that a column takes: a number 1 (and 2, present or
missing, where some are missing), a category from 2 on. So they tell a likelihood which values of x
are numbers and which are blocks of a category.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Kind = Literal["integer", "continuous", "category"]
KINDS = ("integer", "continuous", "category")
WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")  # 007 is a name
REAL = re.compile(r"-?([0-9]++(\.[0-9]*+)?|\.[0-9]++)([eE][+-]?[0-9]{1,3})?")
EXACT = 2**53  # the whole numbers that a float64 holds
KNOTS = 1000  # values that a column of numbers keeps
SEEN = 5  # times that a column's values are seen on average, if only those are ever drawn
MOST, CELL = 512, 10_000  # categories of a column, and letters of one
SPREAD = 0.1  # of a repeated number around the middle of its place
SLIPS = 0.05  # of a column's cells: fewer words than that among numbers are a mistake
TAIL = 6.0  # beyond it a normal draw does not come


class Numbers:
    """Whole or continuous numbers as normal scores: z = Phi^-1(rank), and back.

    A value owns the ranks of the rows that have it. Where values are few and repeated, what is
    decoded is one of them; else numbers between two are drawn as well. x stands near the middle of
    a value's place, `u` in [0, 1) says where, so that no value is a point of infinite density.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: Kind,
        values: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        decimals: int | None,
        missing: bool,
    ) -> None:
        """A value's place is low to high in z; `decimals` that are kept, None for all."""
        self.name, self.kind, self.decimals, self.missing = name, kind, decimals, missing
        self.values = np.asarray(values, np.float64)
        self.low, self.high = (np.asarray(z, np.float64) for z in (low, high))

    @classmethod
    def fit(
        cls, name: str, numbers: np.ndarray, *, kind: Kind, decimals: int | None, missing: bool
    ):
        """`numbers` [N] of the training rows, nan where missing."""
        values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
        if len(values) == 0:
            values, counts = np.zeros(1), np.ones(1)
        above = counts.cumsum()
        rank = np.stack([above - counts, above]) / above[-1]
        if len(values) > KNOTS or above[-1] < SEEN * len(values):  # numbers between are drawn too
            rank += np.stack([counts, -counts]) / above[-1] / 4
        middle = _normal(rank.mean(0))
        if len(values) > KNOTS:  # those that lie evenly in z
            grid = np.linspace(middle[0], middle[-1], KNOTS)
            kept = np.unique(np.searchsorted(middle, grid).clip(max=len(values) - 1))
            values, rank = values[kept], rank[:, kept]
        low, high = _normal(rank)
        return cls(
            name, kind=kind, values=values, low=low, high=high, decimals=decimals, missing=missing
        )

    @property
    def widths(self) -> list[int]:
        return [1, 2] if self.missing else [1]

    def read(self, cells: Sequence[str | None]) -> np.ndarray:
        """Cells as float64 [N], nan where missing."""
        return np.array([math.nan if c is None else float(c) for c in cells], np.float64)

    def place(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The middle of x and how far it goes to either side, each [N]; nan where missing."""
        v, last = numbers.clip(self.values[0], self.values[-1]), len(self.values) - 1
        right = np.searchsorted(self.values, v).clip(max=last)
        left = np.where(self.values[right] == v, right, (right - 1).clip(0))
        gap = self.values[right] - self.values[left]
        part = np.divide(v - self.values[left], gap, out=np.zeros_like(v), where=gap > 0)
        between = self.high[left] + part * (self.low[right] - self.high[left])
        ramp = self.low[right] > self.high[left]
        nearest = np.where(part < 0.5, left, right)  # where nothing lies between two values
        middle, half = self._middles()
        there = np.where((gap > 0) & ramp, between, middle[nearest])
        half = np.where((gap > 0) & ramp, 0.0, half[nearest])
        gone = np.isnan(numbers)
        return np.where(gone, np.nan, there), np.where(gone, np.nan, half)

    def _middles(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = self.low.clip(-TAIL, TAIL), self.high.clip(-TAIL, TAIL)
        inner = _normal((_rank(self.low) + _rank(self.high)) / 2).clip(low, high)
        half = np.minimum(0.8 * np.minimum(inner - low, high - inner), SPREAD)
        return inner, half

    def decode(self, block: np.ndarray) -> list[Any]:
        """block [N, 1 or 3] -> numbers; None where missing."""
        z = block[:, 0].astype(np.float64).clip(-TAIL, TAIL)
        places = np.stack([self.low, self.high], 1).ravel()
        found = np.interp(z, places, np.repeat(self.values, 2))
        if self.decimals is not None:
            found = found.round(self.decimals)
        numbers = found.tolist()
        if self.kind == "integer":
            numbers = [int(v) if math.isfinite(v) else None for v in found]
        if not self.missing:
            return numbers
        gone = block[:, 2] > block[:, 1]
        return [None if g else v for v, g in zip(numbers, gone)]

    def idle(self, numbers: np.ndarray) -> str:
        """Why training rows [N] of it teach nothing, in words; "" where they may."""
        if np.isnan(numbers).all():
            return "is empty"
        steps = np.diff(np.sort(numbers))
        key = self.decimals == 0 and len(steps) > 1 and (steps > 0).all() and np.median(steps) == 1
        return "numbers the rows" if key else ""

    def state(self) -> dict[str, Any]:
        arrays = {k: getattr(self, k).tolist() for k in ("values", "low", "high")}
        return {"name": self.name, "kind": self.kind, "decimals": self.decimals,
                "missing": self.missing, **arrays}  # fmt: skip

    def typical(self, num: int) -> list[Any]:
        """`num` values spread as the training rows' are: the law that it learned, to look at."""
        z = _normal((np.arange(num) + 0.5) / num)
        return self.decode(np.stack([z, z + 9, z * 0], 1))  # none of them missing

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


class Categories:
    """Texts of which a row has one: +1 for it, -1 for the others; a missing cell is one of them."""

    kind: Kind = "category"

    def __init__(self, name: str, *, values: Sequence[str | None], shares: Sequence[float]) -> None:
        """`shares` of the training rows [len(values)]."""
        self.name, self.values, self.shares = name, list(values), list(shares)
        self.codes = {value: code for code, value in enumerate(self.values)}

    @classmethod
    def fit(cls, name: str, cells: Sequence[str | None], known: Sequence[str | None]):
        """`known` cells say which there are, the training rows' `cells` how often."""
        values = sorted(set(known), key=lambda v: (v is None, v or ""))
        if (longest := max((len(v) for v in values if v), default=0)) > CELL:
            raise ValueError(
                f"column {name!r} has a cell of {longest:,} letters: a category has {CELL:,} at"
                f" most; leave it out, 'data.drop=[{name}]'"
            )
        counts = Counter(cells)
        total = max(1, len(cells))
        return cls(name, values=values, shares=[counts[v] / total for v in values])

    @property
    def width(self) -> int:
        return max(2, len(self.values))  # a block of 1 would be a number

    @property
    def widths(self) -> list[int]:
        return [self.width]

    def read(self, cells: Sequence[str | None]) -> np.ndarray:
        """Cells as codes [N]; an unknown one is missing or, where none is, the commonest."""
        other = self.codes.get(None, int(np.argmax(self.shares)))
        return np.array([self.codes.get(c, other) for c in cells], np.int64)

    def decode(self, block: np.ndarray) -> list[str | None]:
        """block [N, width] -> the category of the largest value."""
        return [self.values[i] for i in block[:, : len(self.values)].argmax(1)]

    def idle(self, codes: np.ndarray) -> str:
        """Why training rows [N] of it teach nothing, in words; "" where they may."""
        return "is empty" if self.values == [None] else ""

    def state(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "values": self.values, "shares": self.shares}

    def typical(self, num: int) -> list[str | None]:
        """`num` values in the training rows' proportions."""
        ends = np.cumsum(self.shares) / max(1e-12, sum(self.shares))
        at = np.searchsorted(ends, (np.arange(num) + 0.5) / num)
        return [self.values[i] for i in at.clip(max=len(self.values) - 1)]

    def __str__(self) -> str:
        return f"{self.name} ({len(self.values)} categories)"


Column = Numbers | Categories


def restored(state: Any) -> Column:
    """The column that gave `state`; what none can have given (a stranger's) is refused."""
    if not isinstance(state, dict) or not _whole(state):
        raise ValueError(f"no column of a table says {str(state)[:80]!r}")
    if state["kind"] == "category":
        return Categories(**{k: v for k, v in state.items() if k != "kind"})
    return Numbers(**state)


def _whole(state: dict[str, Any]) -> bool:
    category = state.get("kind") == "category"
    lists = ("values", "shares") if category else ("values", "low", "high")
    rest = set() if category else {"decimals", "missing"}
    if {*state} != {"name", "kind", *lists, *rest} or state["kind"] not in KINDS:
        return False
    held = [state[k] for k in lists]
    if not all(isinstance(some, list) and len(some) == len(held[0]) > 0 for some in held):
        return False
    figures = [n for some in held[category:] for n in some]
    if not isinstance(state["name"], str) or not all(type(n) in (int, float) for n in figures):
        return False
    if not all(abs(n) < 1e300 for n in figures):
        return False
    values, decimals = held[0], state.get("decimals")
    if category:
        texts = all(v is None or (isinstance(v, str) and len(v) <= CELL) for v in values)
        return texts and len({*values}) == len(values)
    few = decimals is None or (type(decimals) is int and abs(decimals) < 300)
    if few and decimals and not max(map(abs, values)) * 10.0**decimals < 1e300:
        return False  # it could not be rounded so
    return few and isinstance(state["missing"], bool) and values == sorted(values)


def infer(cells: Sequence[str | None]) -> Kind:
    """What a column holds: whole numbers, numbers, or texts (a missing cell says nothing)."""
    texts = {c for c in cells if c is not None}
    if not texts:
        return "category"
    if all(WHOLE.fullmatch(t) and len(t) < 18 and abs(int(t)) <= EXACT for t in texts):
        return "integer"
    if all(REAL.fullmatch(t) and math.isfinite(float(t)) for t in texts):
        return "category" if any(_is_name(t) for t in texts) else "continuous"
    return "category"


def _is_name(text: str) -> bool:
    """Is it a number with zeros before it, or too long for a float: a key, a telephone?"""
    whole = text.lstrip("-").split(".")[0]
    return (len(whole) > 1 and whole[0] == "0") or len(whole) > 15


def fit_column(
    name: str, cells: Sequence[str | None], known: Sequence[str | None], kind: Kind | None
) -> Column:
    """The column of the training rows' `cells`; `known` are those and the held-out ones."""
    if kind is None:
        kind = infer(known)
        _refuse_a_slip(name, known, kind)
    if kind == "category":
        column = Categories.fit(name, cells, known)
        if len(column.values) > MOST:
            raise ValueError(
                f"column {name!r} has {len(column.values):,} different texts, at most {MOST} are"
                f" learned as categories: leave it out, 'data.drop=[{name}]'"
            )
        return column
    texts = {c for c in known if c is not None}
    pattern = WHOLE if kind == "integer" else REAL
    wrong = next((t for t in sorted(texts) if not pattern.fullmatch(t)), None)
    if wrong is not None:
        raise ValueError(
            f"data.columns.{name}={kind}: there is a cell {wrong[:40]!r}; write"
            f" +data.columns.{name}=category"
        )
    numbers = np.array([math.nan if c is None else float(c) for c in cells], np.float64)
    decimals = 0 if kind == "integer" else _decimals(texts)
    return Numbers.fit(name, numbers, kind=kind, decimals=decimals, missing=None in set(known))


def _refuse_a_slip(name: str, cells: Sequence[str | None], kind: Kind) -> None:
    """A few words among numbers would make a category of every number: they are slips."""
    told = [c for c in cells if c is not None]
    words = {c for c in {*told} if not REAL.fullmatch(c)} if kind == "category" else set()
    if words and sum(c in words for c in told) < SLIPS * len(told):
        word = min(words)[:40]
        raise ValueError(
            f"column {name!r} holds numbers, but {word!r} too: mend the file, or write"
            f" 'data.missing=["
            ",{word}]' where it says nothing, or +data.columns.{name}=category"
        )


def _decimals(texts: set[str]) -> int | None:
    """The most decimals that a number is written with; None where they are many."""
    if any("e" in t.lower() for t in texts):
        return None
    most = max((len(t.partition(".")[2]) for t in texts), default=0)
    return most if most <= 6 else None


def _normal(rank: np.ndarray) -> np.ndarray:
    """Phi^-1, the ends held within the tails [same shape]."""
    import torch

    return torch.special.ndtri(torch.from_numpy(np.asarray(rank, np.float64))).clamp(
        -TAIL, TAIL
    ).numpy()  # fmt: skip


def _rank(z: np.ndarray) -> np.ndarray:
    import torch

    return torch.special.ndtr(torch.from_numpy(np.asarray(z, np.float64))).numpy()
