"""Near copies: which held-out examples stand, as good as the same, among the training examples.

Read: `Near`, what a kind's metric brings; then a class a notion of "the same": equal numbers,
pictures (memorisation.py's distance), rows, points. Texts and music are shared_runs.py's. A judge
looks at all held-out examples that it is given, and at TRAIN training examples at most.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genlab.metrics import memorisation
from genlab.metrics.report import Data, Examples, gather, subset

TRAIN = 60_000  # training examples that are looked at, at random if there are more
AT_ONCE = 2048
DISTANCE, RATIO = 0.3, 0.3  # of a picture to its nearest, and that over the distance to the next
GRID = 1000  # steps that a column's range is cut into
TOUCH = 1e-3  # of the typical distance between neighbours: points nearer than that are the same
Progress = Callable[[float], None]


@dataclass
class Found:
    """Which of the held-out examples have a near copy [N], among so many training examples.

    `chance`: the share that would have one in any case, for a training example is as often the same
    as another one; 0 where that does not come about without copying.
    """

    near: Tensor
    train: int
    chance: float = 0.0


class Near(ABC):
    """What counts as a near copy, for a kind of data."""

    said: ClassVar[str]  # in words
    first: ClassVar[int | None] = None  # held-out examples that are looked at first; None: all

    @abstractmethod
    def __call__(self, data: Data, ids: Tensor, progress: Progress = lambda share: None) -> Found:
        """Of the held-out examples `ids` [N], in ascending order."""

    def some(self, length: int, num: int) -> Tensor:
        """`num` of so many held-out examples, or a few less, in ascending order."""
        return subset(length, num)


class Keyed(Near):
    """The same where a key is: what it is made of is a subclass's."""

    @abstractmethod
    def keys(self, data: Data, examples: Examples, ids: Tensor) -> np.ndarray:
        """A hash of each example [N] uint64."""

    def __call__(self, data: Data, ids: Tensor, progress: Progress = lambda share: None) -> Found:
        some, theirs = subset(len(data.train), TRAIN), []
        for part in some.split(AT_ONCE):
            theirs.append(self.keys(data, data.train, part))
            progress(len(theirs) * AT_ONCE / len(some))
        there, times = np.unique(np.concatenate(theirs), return_counts=True)
        mine = [self.keys(data, data.val, part) for part in ids.split(AT_ONCE)]
        near = torch.from_numpy(np.isin(np.concatenate(mine), there))
        return Found(near, len(some), float(times[times > 1].sum() / times.sum()))


class Equal(Keyed):
    """The same numbers or tokens, under the same condition or not."""

    said = "equal"

    def keys(self, data: Data, examples: Examples, ids: Tensor) -> np.ndarray:
        x = examples.batch(ids, None)["x"]
        x = x.double().mul(1e4).round() if x.is_floating_point() else x
        return np.array([hashed(trimmed(row).tobytes()) for row in x.long().numpy()], np.uint64)


class RowCopies(Keyed):
    """Rows of a table whose cells are the same, numbers to a thousandth of their column's range."""

    said = "rows that are equal, numbers to a thousandth of their column's range"
    first = 10_000

    def __call__(self, data: Data, ids: Tensor, progress: Progress = lambda share: None) -> Found:
        from genlab.metrics.table import numeric_names

        some = gather(data.train, subset(len(data.train), AT_ONCE))
        rows = self.rows(data, some)
        self.steps: dict[str, float] = {}
        for name in numeric_names(data):
            values = [row[name] for row in rows if row.get(name) is not None]
            self.steps[name] = (max(values) - min(values)) / GRID if values else 0.0
        return super().__call__(data, ids, progress)

    def keys(self, data: Data, examples: Examples, ids: Tensor) -> np.ndarray:
        rows = self.rows(data, examples.batch(ids, None))
        told = (repr([self.cell(name, row[name]) for name in row]).encode() for row in rows)
        return np.array([hashed(text) for text in told], np.uint64)

    def rows(self, data: Data, batch: Any) -> list[dict[str, Any]]:
        from genlab.metrics.table import full_rows

        return full_rows(data, batch["x"], batch.get("cond"))

    def cell(self, name: str, value: Any) -> Any:
        step = self.steps.get(name)
        return value if value is None or not step else math.floor(value / step + 0.5)


class PointCopies(Near):
    """Points nearer to one than a thousandth of what lies between neighbours."""

    said = "nearer than a thousandth of the typical distance between training points"

    def __call__(self, data: Data, ids: Tensor, progress: Progress = lambda share: None) -> Found:
        some = subset(len(data.train), TRAIN)
        train, held_out = gather(data.train, some)["x"], gather(data.val, ids)["x"]
        half = len(train) // 2  # the nearest of all training points would be the point itself
        apart, _ = memorisation.nearest(train[:half][:AT_ONCE], train[half:])
        limit = TOUCH * float(apart[apart > 0].median()) if (apart > 0).any() else 0.0
        progress(0.5)
        distance, _ = memorisation.nearest(held_out, train)
        chance = float((apart <= limit).double().mean()) if half else 0.0
        return Found(distance <= limit, len(some), chance)


class PictureCopies(Near):
    """Pictures that are nearly one, and much more alike than it is to those around it."""

    said = (
        f"pictures at a distance under {DISTANCE}, whatever their brightness, contrast and a shift"
        f" of a pixel, and under {RATIO} of that to the next ones"
    )
    first = 2000

    def __call__(self, data: Data, ids: Tensor, progress: Progress = lambda share: None) -> Found:
        from genlab.metrics.reference import pictures

        some = subset(len(data.train), TRAIN)
        train, held_out = (
            torch.cat(
                [small(pictures(data, split.batch(part, None)["x"])) for part in at.split(AT_ONCE)]
            )
            for split, at in ((data.train, some), (data.val, ids))
        )
        found = memorisation.neighbours(held_out, train, progress=progress)
        return Found((found.distance < DISTANCE) & (found.ratio < RATIO), len(some))


def small(shown: Tensor) -> Tensor:
    """Pictures at the size at which they are compared, uint8."""
    return memorisation.reduced(shown).round().to(torch.uint8)


def hashed(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def trimmed(row: np.ndarray) -> np.ndarray:
    """A row [T, ...] without the zeros behind it: however far its batch was filled up."""
    row = np.atleast_1d(row)
    filled = np.flatnonzero(row.reshape(len(row), -1).any(1))
    return row[: filled[-1] + 1] if len(filled) else row[:0]
