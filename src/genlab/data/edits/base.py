"""Examples picked out of others, or joined to them, by number: what edits are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, each
from genlab.data.base import Examples
from genlab.data.held import Chosen

if TYPE_CHECKING:
    from genlab.data.base import DataModule


class Edit(ABC):
    """Another train, or val, made of what a data module has read."""

    @abstractmethod
    def __call__(self, splits: dict[str, Examples], data: DataModule) -> dict[str, Examples]:
        """The splits, edited; what it sets apart is a split of its own name."""

    def adds(self) -> DataModule | None:
        """The data that it adds examples of to train; None: there are only the run's own."""
        return None

    @abstractmethod
    def said(self) -> str:
        """What it does, in words that tell it from every other: the fingerprint has them too."""


class Picked(Chosen, Examples):
    """Some of the examples, some of them more than once; what else a kind reads is the whole's."""

    def __init__(self, whole: Examples, ids: LongTensor) -> None:
        super().__init__(whole, ids)
        self.draws = whole.draws

    def numbers_in(self, read: Examples) -> LongTensor:
        return self.whole.numbers_in(read)[self.ids]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "whole" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.whole, name)


class Joined(Examples):
    """The examples of several sets, one set after another; what else is read is the first's."""

    def __init__(self, parts: Sequence[Examples]) -> None:
        self.parts, self.draws = list(parts), max(p.draws for p in parts)
        self.ends = torch.tensor([len(p) for p in parts]).cumsum(0)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def numbers_in(self, read: Examples) -> LongTensor:
        return torch.cat([part.numbers_in(read) for part in self.parts])

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        of = torch.bucketize(ids, self.ends, right=True)
        found, order = [], []
        for i, part in enumerate(self.parts):
            at = (of == i).nonzero()[:, 0]
            if len(at):
                own = ids[at] - (self.ends[i] - len(part))
                drawn = draws[at, : part.draws] if draws is not None and part.draws else None
                found.append(part.batch(own, drawn))
                order.append(at)
        return _in_order(found, torch.cat(order))

    def name_of(self, i: int) -> str:
        of = int(torch.bucketize(torch.tensor(i), self.ends, right=True))
        return self.parts[of].name_of(i - int(self.ends[of]) + len(self.parts[of]))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "parts" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.parts[0], name)


def _in_order(parts: list[Batch], order: LongTensor) -> Batch:
    """One batch of the parts' rows, row i of them being row order[i] of it."""
    if any("mask" in part for part in parts):  # where none is given, all of x counts
        for part in parts:
            part.setdefault("mask", torch.ones_like(part["x"], dtype=torch.bool))
    back = order.argsort()
    names = [k for k in parts[0] if all(k in p for p in parts)]
    return {k: each(lambda *rows: torch.cat(rows)[back], *(p[k] for p in parts)) for k in names}  # type: ignore[return-value]


def slots(splits: dict[str, Examples], data: DataModule) -> int:
    """How often each example of train must be listed to be seen once in an epoch.

    1, but for windows of text, of which an epoch sees one in as many.
    """
    num = data.epoch_examples
    return max(1, round(len(splits["train"]) / num)) if num else 1


def refuse_unnumbered(edit: str, splits: dict[str, Examples], data: DataModule) -> None:
    """Refuse data that are drawn without end, or whose batches have no one length."""
    if data.endless:
        raise ValueError(f"edits.{edit}: {data.source_name} is drawn without end, not stored")
    if getattr(splits["train"], "ragged", False):
        raise ValueError(f"edits.{edit}: {data.noun} of several lengths are not edited by number")
