"""Columns of a table: from cells as they are read to floats that a model learns, and back.

Read: `Column` (what each can do), `Numbers` (ranks made normal; `Integers` are drawn whole) and
`Categories` (one value of +1 a category); modes.py has another for numbers, and kinds.py chooses.
`widths` counts the values of x that a column takes: a number 1 (and 2, present or missing, where
some are missing), a category from 2 on. So they tell a likelihood which values of x are numbers and
which are blocks of a category.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np

from genlab.data import naming
from genlab.shown import figure

Kind = Literal["integer", "continuous", "category", "modes"]
Cells = Sequence[str | None]  # of one column; None where missing
WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")  # 007 is a name
REAL = re.compile(r"-?([0-9]++(\.[0-9]*+)?|\.[0-9]++)([eE][+-]?[0-9]{1,3})?")
EXACT = 2**53  # the whole numbers that a float64 holds
KNOTS = 1000  # values that a column of numbers keeps
SEEN = 5  # times that a column's values are seen on average, if only those are ever drawn
OFTEN = 2  # rows that a text is in, at least; fewer: it names the rows
MOST, CELL = 512, 10_000  # categories of a column, and letters of one
SPREAD = 0.1  # of a repeated number around the middle of its place
TAIL = 6.0  # beyond it a normal draw does not come


class Column(ABC):
    """A column: its cells as numbers or codes, where they lie in x, and back."""

    kind: ClassVar[Kind]
    numeric: ClassVar[bool] = True  # its cells have an order and a distance
    keys: ClassVar[set[str]]  # of `state`, beside name and kind
    lists: ClassVar[tuple[str, ...]]  # those of them that have an entry a value
    name: str
    widths: list[int]

    @classmethod
    @abstractmethod
    def of(cls, name: str, cells: Cells, known: Cells) -> Self:
        """The column of the training rows' `cells`; `known` are those and the held-out ones."""

    @abstractmethod
    def read(self, cells: Cells) -> np.ndarray:
        """Cells as numbers or codes [N]."""

    @abstractmethod
    def lay(self, values: np.ndarray) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[Any]]:
        """Where values [N] lie in the column's block: (middle, half) of numbers, which are +1."""

    @abstractmethod
    def decode(self, block: np.ndarray) -> list[Any]:
        """block [N, sum of widths] -> values; None where missing."""

    @abstractmethod
    def idle(self, values: np.ndarray) -> str:
        """Why training rows [N] of it teach nothing, in words; "" where they may."""

    @abstractmethod
    def typical(self, num: int) -> list[Any]:
        """`num` values spread as the training rows' are: the law that it learned, to look at."""

    @abstractmethod
    def check(self, cell: str | None) -> None:
        """Refuse a cell that is given, if no row can have it."""

    @abstractmethod
    def no_class(self) -> str:
        """Why it is no class to predict, in words; "" where it may be one."""

    @classmethod
    @abstractmethod
    def holds(cls, state: dict[str, Any]) -> bool:
        """Whether the values of a state are those of such a column."""

    def state(self) -> dict[str, Any]:
        """Plain data; `restored` makes the column again."""
        return {"name": self.name, "kind": self.kind}


class Numbers(Column):
    """Continuous numbers as normal scores: z = Phi^-1(rank), and back.

    A value owns the ranks of the rows that have it. Where values are few and repeated, what is
    decoded is one of them; else numbers between two are drawn as well. x stands near the middle of
    a value's place, `u` in [0, 1) says where, so that no value is a point of infinite density.
    """

    kind = "continuous"
    keys = {"decimals", "missing", "values", "low", "high"}
    lists = ("values", "low", "high")
    pattern: ClassVar = REAL  # of a cell

    def __init__(
        self,
        name: str,
        *,
        values: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        decimals: int | None,
        missing: bool,
    ) -> None:
        """A value's place is low to high in z; `decimals` that are kept, None for all."""
        self.name, self.decimals, self.missing = name, decimals, missing
        self.values = np.asarray(values, np.float64)
        self.low, self.high = (np.asarray(z, np.float64) for z in (low, high))

    @classmethod
    def of(cls, name: str, cells: Cells, known: Cells) -> Self:
        texts = {c for c in known if c is not None}
        wrong = next((t for t in sorted(texts) if not cls.pattern.fullmatch(t)), None)
        if wrong is not None:
            raise ValueError(
                f"data.columns.{name}={cls.kind}: there is a cell {wrong[:40]!r}; write"
                f" {naming.kind(name, 'category')}"
            )
        numbers = np.array([math.nan if c is None else float(c) for c in cells], np.float64)
        return cls.fit(name, numbers, decimals=cls.digits(texts), missing=None in set(known))

    @staticmethod
    def digits(texts: set[str]) -> int | None:
        """The most decimals that a number is written with; None where they are many."""
        if any("e" in t.lower() for t in texts):
            return None
        most = max((len(t.partition(".")[2]) for t in texts), default=0)
        return most if most <= 6 else None

    @classmethod
    def fit(cls, name: str, numbers: np.ndarray, *, decimals: int | None, missing: bool) -> Self:
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
        return cls(name, values=values, low=low, high=high, decimals=decimals, missing=missing)

    @property
    def widths(self) -> list[int]:
        return [1, 2] if self.missing else [1]

    def read(self, cells: Cells) -> np.ndarray:
        """Cells as float64 [N], nan where missing."""
        return np.array([math.nan if c is None else float(c) for c in cells], np.float64)

    def lay(self, values: np.ndarray) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[Any]]:
        return [self.place(values)], [1 + np.isnan(values)] if self.missing else []

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
        numbers = self.drawn(found)
        if not self.missing:
            return numbers
        gone = block[:, 2] > block[:, 1]
        return [None if g else v for v, g in zip(numbers, gone)]

    @staticmethod
    def drawn(numbers: np.ndarray) -> list[Any]:
        """Decoded numbers [N] as a row has them."""
        return numbers.tolist()

    def idle(self, values: np.ndarray) -> str:
        if np.isnan(values).all():
            return "is empty"
        steps = np.diff(np.sort(values))
        key = self.decimals == 0 and len(steps) > 1 and (steps > 0).all() and np.median(steps) == 1
        return "numbers the rows" if key else ""

    def state(self) -> dict[str, Any]:
        arrays = {k: getattr(self, k).tolist() for k in self.lists}
        return {**super().state(), "decimals": self.decimals, "missing": self.missing, **arrays}

    @classmethod
    def holds(cls, state: dict[str, Any]) -> bool:
        values, decimals = state["values"], state["decimals"]
        few = decimals is None or (type(decimals) is int and abs(decimals) < 300)
        if not few or not figures(values, state["low"], state["high"]):
            return False
        if decimals and not max(map(abs, values)) * 10.0**decimals < 1e300:
            return False  # it could not be rounded so
        return isinstance(state["missing"], bool) and values == sorted(values)

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest value of the training rows."""
        return float(self.values[0]), float(self.values[-1])

    def check(self, cell: str | None) -> None:
        try:
            fits = self.missing if cell is None else np.isfinite(float(cell))
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"given.{self.name}={cell}: write a number")
        low, high = self.ends
        if cell is not None and not low <= float(cell) <= high:
            seen = " to ".join(map(figure, self.ends))
            raise ValueError(f"given.{self.name}={cell}: the rows that were seen have {seen}")

    def no_class(self) -> str:
        return "numbers"

    def typical(self, num: int) -> list[Any]:
        z = _normal((np.arange(num) + 0.5) / num)
        return self.decode(np.stack([z, z + 9, z * 0], 1))  # none of them missing

    def __str__(self) -> str:
        ends = " to ".join(map(figure, self.ends))
        return f"{self.name} {self.kind} {ends}{' or missing' if self.missing else ''}"


class Integers(Numbers):
    """Whole numbers: what is drawn is whole too."""

    kind = "integer"
    pattern = WHOLE

    @staticmethod
    def digits(texts: set[str]) -> int | None:
        return 0

    @staticmethod
    def drawn(numbers: np.ndarray) -> list[Any]:
        return [int(v) if math.isfinite(v) else None for v in numbers]


class Categories(Column):
    """Texts of which a row has one: +1 for it, -1 for the others; a missing cell is one of them."""

    kind = "category"
    numeric = False
    keys = {"values", "shares"}
    lists = ("values", "shares")

    def __init__(self, name: str, *, values: Sequence[str | None], shares: Sequence[float]) -> None:
        """`shares` of the training rows [len(values)]."""
        self.name, self.values, self.shares = name, list(values), list(shares)
        self.codes = {value: code for code, value in enumerate(self.values)}

    @classmethod
    def of(cls, name: str, cells: Cells, known: Cells) -> Self:
        """`known` cells say which there are, the training rows' `cells` how often."""
        values = sorted(set(known), key=lambda v: (v is None, v or ""))
        if (longest := max((len(v) for v in values if v), default=0)) > CELL:
            raise ValueError(
                f"column {name!r} has a cell of {longest:,} letters: a category has {CELL:,} at"
                f" most; leave it out, {naming.drop(name)}"
            )
        if len(values) > MOST:
            raise ValueError(
                f"column {name!r} has {len(values):,} different texts, such as"
                f" {values[0][:40]!r}, at most {MOST} are learned as categories: leave it out,"
                f" {naming.drop(name)}"
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

    def read(self, cells: Cells) -> np.ndarray:
        """Cells as codes [N]; an unknown one is missing or, where none is, the commonest."""
        other = self.codes.get(None, int(np.argmax(self.shares)))
        return np.array([self.codes.get(c, other) for c in cells], np.int64)

    def lay(self, values: np.ndarray) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[Any]]:
        return [], [values]

    def decode(self, block: np.ndarray) -> list[str | None]:
        """block [N, width] -> the category of the largest value."""
        return [self.values[i] for i in block[:, : len(self.values)].argmax(1)]

    def idle(self, values: np.ndarray) -> str:
        if self.values == [None]:
            return "is empty"
        found, counts = np.unique(values, return_counts=True)
        if len(values) < OFTEN * 10 or len(values) >= OFTEN * len(found):
            return ""
        example = self.values[found[counts.argmin()]]
        return f"has {len(found)} texts in {len(values)} rows, such as {str(example)[:40]!r}"

    def __str__(self) -> str:
        return f"{self.name} category of {len(self.values)}"

    def state(self) -> dict[str, Any]:
        return {**super().state(), "values": self.values, "shares": self.shares}

    @classmethod
    def holds(cls, state: dict[str, Any]) -> bool:
        values = state["values"]
        texts = all(v is None or (isinstance(v, str) and len(v) <= CELL) for v in values)
        return texts and len({*values}) == len(values) and figures(state["shares"])

    def check(self, cell: str | None) -> None:
        if cell not in self.codes:
            known = ", ".join(str(v) for v in self.values[:12])
            raise ValueError(f"given.{self.name}={cell}: allowed are {known}")

    def no_class(self) -> str:
        return "missing cells" if None in self.codes else ""

    def typical(self, num: int) -> list[str | None]:
        ends = np.cumsum(self.shares) / max(1e-12, sum(self.shares))
        at = np.searchsorted(ends, (np.arange(num) + 0.5) / num)
        return [self.values[i] for i in at.clip(max=len(self.values) - 1)]


def figures(*lists: list[Any]) -> bool:
    """Whether all are numbers of a size to work with."""
    numbers = [n for some in lists for n in some]
    return all(type(n) in (int, float) for n in numbers) and all(abs(n) < 1e300 for n in numbers)


def _normal(rank: np.ndarray) -> np.ndarray:
    """Phi^-1, the ends held within the tails [same shape]."""
    import torch

    return torch.special.ndtri(torch.from_numpy(np.asarray(rank, np.float64))).clamp(
        -TAIL, TAIL
    ).numpy()  # fmt: skip


def _rank(z: np.ndarray) -> np.ndarray:
    import torch

    return torch.special.ndtr(torch.from_numpy(np.asarray(z, np.float64))).numpy()
