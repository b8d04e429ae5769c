"""Loaders of batches by number: a run's training batches without end, and the held-out ones.

Both are plain loops over `DataModule.train_batch` and `Examples.batch`; they hold no state that a
checkpoint would need.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from genlab.batch import Batch

if TYPE_CHECKING:
    from genlab.data.base import DataModule, Examples


def place_of(data: DataModule) -> tuple[int, int, int, int]:
    """(rank, world, accumulated parts, batches done) of the run that the data is part of."""
    trainer = data.trainer
    if trainer is None:
        return 0, 1, 1, 0
    clock = getattr(trainer.lightning_module, "clock", None)
    done = clock.batches if clock is not None else 0
    return trainer.global_rank, trainer.world_size, trainer.accumulate_grad_batches, done


class TrainBatches:
    """This process's batches from where the model's clock stands, without end.

    No __len__ on purpose: a run is measured in examples, and an epoch is not its unit.
    """

    def __init__(self, data: DataModule) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Batch]:
        rank, world, accumulate, k = place_of(self.data)
        while True:
            for micro in range(accumulate):
                yield self.data.train_batch(
                    k, rank=rank, world=world, micro=micro, accumulate=accumulate
                )
            k += 1


class ValBatches(Sequence):
    """Examples in order, each once over all ranks; every rank has the same number of batches.

    The i-th batch is cut into contiguous shares, as in training. A rest of fewer examples than
    ranks joins the batch before it: an empty share would stop a rank at the next reduction.
    """

    def __init__(
        self, examples: Examples, num: int | None, batch_size: int, *, rank: int, world: int
    ) -> None:
        self.examples, self.rank, self.world = examples, rank, world
        total = len(examples) if num is None else min(num, len(examples))
        bounds = [*range(0, total, batch_size), total]
        if len(bounds) > 2 and bounds[-1] - bounds[-2] < world:
            del bounds[-2]
        self.bounds = bounds

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, i: int) -> Batch:
        if not 0 <= i < len(self):
            raise IndexError(i)
        first, size = self.bounds[i], self.bounds[i + 1] - self.bounds[i]
        start, stop = (first + size * r // self.world for r in (self.rank, self.rank + 1))
        return self.examples.batch(torch.arange(start, stop))
