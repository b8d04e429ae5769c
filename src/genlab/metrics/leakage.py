"""Leakage: the share of held-out examples with a near copy in train, and what is left without them.

Read: `leakage`. What counts as near is the metric's own (`Evaluation.near`: near.py,
shared_runs.py). What was found is kept in the cache, by the data's fingerprint, so that a data set
is looked through once. First some held-out examples are looked at; where their share is above the
limit, all of them (MOST at the most), so that the clean ones are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genlab.metrics.base import Evaluation
from genlab.metrics.features import cache_folder, write_tensors
from genlab.metrics.interval import share_interval
from genlab.metrics.near import Equal, Found, Near
from genlab.metrics.reference import read_tensors
from genlab.metrics.report import Data, subset

LIMIT = 0.01  # the share from which on figures are given without the near copies too
MOST = 20_000  # held-out examples that are looked at
NAMED = 5  # near copies that are named
VERSION = 1  # of what is found here; a part of the cache's key


@dataclass
class Leakage:
    """What was found of the held-out examples `ids` [N], of all that there are."""

    ids: Tensor
    found: Found
    held_out: int
    of_train: int
    said: str  # what counts as near
    limit: float

    @property
    def num(self) -> int:
        return int(self.found.near.sum())

    @property
    def share(self) -> float:
        return self.num / len(self.ids)

    @property
    def interval(self) -> tuple[float, float]:
        return share_interval(self.num, len(self.ids))

    @property
    def clean(self) -> Tensor:
        """The held-out examples that were looked at and have no near copy."""
        return self.ids[~self.found.near]

    @property
    def over(self) -> bool:
        """Whether the share is above the limit, and above what comes about by chance."""
        return self.num > 0 and self.share - self.found.chance > self.limit

    def plain(self, data: Data) -> dict[str, Any]:
        named = getattr(data.val, "name_of", str)
        return {
            "share": self.share, "interval": list(self.interval), "copies": self.num,
            "looked_at": len(self.ids), "held_out": self.held_out,
            "train_looked_at": self.found.train, "train": self.of_train,
            "chance": self.found.chance, "limit": self.limit, "over": self.over,
            "near": self.said,
            "such_as": [named(i) for i in self.ids[self.found.near][:NAMED].tolist()],
        }  # fmt: skip


def leakage(
    judge: Near,
    data: Data,
    *,
    limit: float = LIMIT,
    progress: Callable[[str, float], None] | None = None,
) -> Leakage:
    """Of the held-out examples of `data`; `progress` is told (stage, share done)."""

    def tell(share: float) -> None:
        if progress is not None:
            progress("looking for held-out copies", min(1.0, share))

    num = len(data.val)
    few = min(num, MOST, judge.first or num)
    for most in (few, min(num, MOST)):
        ids = judge.some(num, most)
        found = remembered(judge, data, ids, tell)
        result = Leakage(ids, found, num, len(data.train), judge.said, limit)
        if not result.over or most == min(num, MOST):
            break
    return result


def remembered(judge: Near, data: Data, ids: Tensor, tell: Callable[[float], None]) -> Found:
    """What the judge finds, from the cache where it was asked before."""
    file = cache_folder().parent / "leakage" / f"{key(judge, data, ids)}.safetensors"
    kept = read_tensors(file)
    if kept is not None and {"near", "rest"} <= kept.keys() and len(kept["near"]) == len(ids):
        train, chance = kept["rest"].tolist()
        return Found(kept["near"].bool(), int(train), chance)
    found = judge(data, ids, tell)
    rest = torch.tensor([found.train, found.chance], dtype=torch.float64)
    write_tensors(file, {"near": found.near.to(torch.uint8), "rest": rest})
    return found


def key(judge: Near, data: Data, ids: Tensor) -> str:
    """What was found hangs on: the data, the held-out split (some of its examples), the judge."""
    kind = type(judge)
    told = [VERSION, kind.__module__, kind.__qualname__, judge.said, data.fingerprint()]
    told += [len(data.train), len(data.val), len(ids)]
    whole = hashlib.sha256(repr(told).encode())
    shown = data.val.batch(subset(len(data.val), 64), None)["x"].contiguous().cpu()
    whole.update(shown.numpy().tobytes())
    return whole.hexdigest()[:32]


def judge_of(metrics: Iterable[type]) -> Near | None:
    """The first of these classes' notions of near that is more than equality."""
    own = (cls.near for cls in metrics if issubclass(cls, Evaluation))
    return next((near for near in own if type(near) is not Equal), None)
