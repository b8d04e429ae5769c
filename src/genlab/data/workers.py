"""Training batches made ahead in worker processes, for data of any kind that is slow to read.

Any data module with `num_workers` above 0 is served by `DecodedBatches`. The batches and their
order are those of `train_batch`. A worker that dies or hangs is named with the example it was on.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import signal
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from genlab.batch import Batch
from genlab.data.batches import place_of

if TYPE_CHECKING:
    from genlab.data.base import DataModule

PATIENCE, POLL = 100, 2  # seconds that a worker may take for a batch, and between two looks at it


class WorkerFault(RuntimeError):
    """A process that reads examples died or hangs."""

    exit_code = 1


class DecodedBatches:
    """As TrainBatches, the batches made ahead in worker processes."""

    def __init__(self, data: DataModule) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Batch]:
        workers = self.data.num_workers
        # where each worker is, in memory that outlives it: to name the file it died on
        at = torch.full((workers, 1), -1).share_memory_()
        loader = DataLoader(
            _Decoding(self.data, *place_of(self.data), at),
            batch_size=None,  # what a worker gives is a batch already
            num_workers=workers,
            prefetch_factor=2,
            timeout=POLL,
            pin_memory=torch.cuda.is_available(),
        )
        with _no_surprise():
            batches = iter(loader)
        for k in itertools.count():
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    batch = next(batches)
                    break
                except RuntimeError as error:  # nothing came, or the worker is dead
                    dead = [i for i, w in enumerate(batches._workers) if not w.is_alive()]
                    if dead or time.monotonic() > deadline:
                        for worker in batches._workers:  # torch would wait 5 s for one that hangs
                            worker.kill()
                        raise self._fault(at, dead, k % workers, str(error)) from error
            if isinstance(batch, str):  # a worker's own exception would come as a page of text
                raise ValueError(batch)
            yield batch

    def _fault(self, at: Tensor, dead: list[int], awaited: int, reason: str) -> WorkerFault:
        worker = dead[0] if dead else awaited
        i = int(at[worker])
        on = f"on {self.data.train.name_of(i)}" if i >= 0 else "before its first example"
        what = "died" if dead else f"gave nothing for {PATIENCE} s"
        return WorkerFault(
            f"data.num_workers: worker {worker} {what} {on} ({reason.splitlines()[0][:160]});"
            " look at that file, at free memory (/dev/shm too), or set data.num_workers=0"
        )


@contextlib.contextmanager
def _no_surprise() -> Iterator[None]:
    """Within, torch may start workers, but not have their death raised in whatever runs then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)


class _Decoding(IterableDataset):
    """The batches from number `first` on: of n workers each makes every n-th.

    They are taken from the workers in turn, so the order is that of `train_batch`.
    """

    def __init__(
        self, data: DataModule, rank: int, world: int, accumulate: int, first: int, at: Tensor
    ) -> None:
        self.data, self.at = copy.copy(data), at
        self.data.trainer = None  # a worker needs no model, and could not be sent one
        self.rank, self.world, self.accumulate, self.first = rank, world, accumulate, first

    def __iter__(self) -> Iterator[Batch | str]:
        worker = get_worker_info()
        self.data.train.at = self.at[worker.id]  # this process's copy of the examples
        place = {"rank": self.rank, "world": self.world, "accumulate": self.accumulate}
        at, step = worker.id, worker.num_workers
        while True:
            k, micro = divmod(at, self.accumulate)
            try:
                yield self.data.train_batch(self.first + k, micro=micro, **place)
            except ValueError as error:
                yield str(error)
            at += step
