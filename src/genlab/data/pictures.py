"""Pictures that are taken by number: arrays in memory, or files that are decoded when asked for.

Read: `Pictures`. Files come in through the gate of decode.py.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab import machine
from genlab.data.broken import refuse
from genlab.data.decode import opened


class Pictures(ABC):
    """Pictures of one shape [C, H, W], and their labels [N] int64 where they have some."""

    labels: Tensor | None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, ids: LongTensor, at: Tensor | None = None) -> Tensor:
        """The pictures `ids` [B, C, H, W] uint8; `at` [1] is set to the one that is being read."""

    @abstractmethod
    def first(self, num: int | None) -> Pictures:
        """The first `num`; None: all."""

    @abstractmethod
    def identity(self) -> list[Tensor | str]:
        """What a hash of them is taken over."""

    def in_memory(self) -> Pictures:
        """The same, all read."""
        return self

    def check(self) -> None:  # noqa: B027
        """Refuse what can be seen to be wrong without reading it all."""

    def name_of(self, i: int) -> str:
        return f"example {i}"


class Arrays(Pictures):
    """Pictures in memory [N, C, H, W] uint8."""

    def __init__(
        self, images: Tensor, labels: Tensor | None = None, paths: Sequence[Path] | None = None
    ) -> None:
        """`paths`: the files that they were decoded from."""
        self.images, self.labels = images, None if labels is None else labels.long()
        self.paths = paths

    def __len__(self) -> int:
        return len(self.images)

    def take(self, ids: LongTensor, at: Tensor | None = None) -> Tensor:
        return self.images.index_select(0, ids)

    def first(self, num: int | None) -> Arrays:
        labels = None if self.labels is None else self.labels[:num]
        return Arrays(self.images[:num], labels, self.paths and self.paths[:num])

    def name_of(self, i: int) -> str:
        return f"example {i}, {self.paths[i]}" if self.paths else super().name_of(i)

    def identity(self) -> list[Tensor | str]:
        return [self.images]


class Files(Pictures):
    """Picture files of any size, made `shape` when they are decoded."""

    def __init__(
        self, paths: Sequence[Path], labels: Tensor | None, *, shape: tuple[int, ...], root: Path
    ) -> None:
        self.paths, self.shape, self.root = list(paths), shape, root
        self.labels = None if labels is None else labels.long()

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, ids: LongTensor, at: Tensor | None = None) -> Tensor:
        found = []
        for i in ids.tolist():
            if at is not None:
                at[0] = i
            found.append(opened(self.paths[i], self.shape))
        return torch.from_numpy(np.stack(found))

    def first(self, num: int | None) -> Files:
        labels = None if self.labels is None else self.labels[:num]
        return Files(self.paths[:num], labels, shape=self.shape, root=self.root)

    def identity(self) -> list[Tensor | str]:
        # reading every file again would take as long as an epoch: names and sizes stand for them
        return [f"{p.relative_to(self.root).as_posix()} {p.stat().st_size}" for p in self.paths]

    def in_memory(self) -> Arrays:
        images = torch.empty((len(self.paths), *self.shape), dtype=torch.uint8)
        rows = images.numpy()
        for i, image in enumerate(self._opened()):
            rows[i] = image
        return Arrays(images, self.labels, self.paths)

    def check(self) -> None:
        for _ in self._opened(check_only=True):
            pass

    def _opened(self, *, check_only: bool = False) -> Iterator[np.ndarray]:
        """All in turn; those that cannot be read are named together, after the last."""

        def one(path: Path) -> np.ndarray | ValueError:
            try:
                return opened(path, self.shape, check_only=check_only)
            except ValueError as error:
                return error

        broken: list[ValueError] = []
        with _decoders() as pool:
            for found in pool.map(one, self.paths):
                if isinstance(found, ValueError):
                    broken.append(found)
                elif not broken:
                    yield found
        refuse(broken, len(self), "image")

    def name_of(self, i: int) -> str:
        return f"example {i}, {self.paths[i]}"


def _decoders() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1))  # decoders free Python's lock


def refuse_too_many(num: int, shape: Sequence[int]) -> None:
    """Refuse pictures of which the machine's memory could not hold twice as many."""
    needed = num * int(np.prod(shape))
    if needed > machine.memory() / 2:
        raise ValueError(
            f"data.num_workers=0 would hold {needed / 1e9:.0f} GB of images in memory, over"
            " half of it: write data.num_workers=8 to decode them on demand"
        )
