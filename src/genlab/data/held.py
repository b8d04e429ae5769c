"""A part of the held-out examples in the place of all: what is measured on it, is measured on it.

Read: `Held.keep`, which every data module has; `Choosable.chosen` is how a split is cut down. A
split whose examples are more than numbers to be taken by (a stream of tokens, pieces of several
lengths) says itself what a part of it is.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

from genlab.batch import Batch
from genlab.data.origins import Sourced
from genlab.data.stated import sha256


class Choosable:
    """A split of which some can be chosen."""

    def chosen(self, ids: Tensor) -> Any:
        """The examples `ids` [N], in this order."""
        return Chosen(self, ids)


class Chosen(Choosable):
    """Some examples of a split, by their numbers in it."""

    draws, at = 0, None

    def __init__(self, whole: Any, ids: Tensor) -> None:
        self.whole, self.ids = whole, ids
        labels = getattr(whole, "labels", None)
        self.labels = labels[ids] if isinstance(labels, Tensor) else None

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, ids: Tensor, draws: Tensor | None = None) -> Batch:
        return self.whole.batch(self.ids[ids], draws)

    def name_of(self, i: int) -> str:
        return self.whole.name_of(int(self.ids[i]))


class Held(Sourced):
    """A data module whose held-out examples may be cut down."""

    def keep(self, ids: Tensor) -> Any:
        """The same data with the held-out examples `ids` alone; train is the same object."""
        part = copy.copy(self)
        part._splits = {**self._splits, self._held_out: self.val.chosen(ids)}
        part._fingerprint = sha256(self.fingerprint(), ids)
        return part

    def serve(self, train: Any) -> None:
        """Let these be train from now on: the same examples, of which more is known."""
        self._splits["train"] = train
