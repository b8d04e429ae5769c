"""Clips that are taken by number: frames in memory, or files that are decoded when asked for.

Read: `Films` is what data/videos.py asks for; `FilmFiles` are files, which come in through the gate
of moving.py. Files that cannot be read are left out and named; the rest is kept.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab import machine
from genlab.data.moving import Stopped, checked, opened
from genlab.data.sources.listing import Listing


class Films(ABC):
    """Clips [N] of one frame's shape [C, H, W], of any length, and their labels [N]."""

    labels: Tensor
    lengths: Tensor | None = None  # frames [N], where they are known
    broken: Sequence[str] = ()  # names of what is left out, and why
    kept: Sequence[int] | None = None  # those of the source that are not left out; None: all

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def frames(self, i: int) -> Tensor:
        """All frames of clip i [frames, C, H, W] uint8."""

    @abstractmethod
    def identity(self) -> list[Tensor | str]:
        """What a hash of them is taken over."""

    @abstractmethod
    def first(self, num: int | None) -> Films:
        """The first `num`; None: all."""

    def hold(self) -> Films:
        """The same, all read into memory."""
        return self

    def check(self) -> Films:
        """The same, without those whose headers say that they cannot be read."""
        return self

    def name_of(self, i: int) -> str:
        return f"example {i}"


class FilmFiles(Films):
    """Files and folders of frames, made `shape` [C, H, W] when they are decoded."""

    def __init__(
        self, listing: Listing, *, root: Path, shape: Sequence[int], stride: int, fps: float | None
    ) -> None:
        """The metadata's column `frames`: so many stand side by side in one picture."""
        self.listing, self.root, self.shape = listing, root, tuple(shape)
        self.stride, self.fps = stride, fps
        self.labels = torch.tensor(listing.labels, dtype=torch.long)
        self.broken: list[str] = []
        self._held: Tensor | None = None  # the frames of all clips, one after another

    def __len__(self) -> int:
        return len(self.listing)

    def frames(self, i: int) -> Tensor:
        if self._held is None:
            try:
                return torch.from_numpy(self._opened(i))
            except ValueError as error:
                raise ValueError(f"data.root: {error}: take it out of the folder") from None
        end = int(self._ends[i])
        return self._held[end - int(self.lengths[i]) : end]

    def first(self, num: int | None) -> FilmFiles:
        part = self.listing.take(range(len(self.listing))[:num])
        return FilmFiles(part, root=self.root, shape=self.shape, stride=self.stride, fps=self.fps)

    def strip(self, i: int) -> int | None:
        """How many frames stand side by side, where the file is a picture."""
        if self.listing.paths[i].suffix.lower() not in (".png", ".webp"):
            return None
        told = self.listing.columns.get("frames", [None] * len(self))[i]
        return int(told) if isinstance(told, int) or str(told).isdecimal() else None

    def _opened(self, i: int) -> np.ndarray:
        path = self.listing.paths[i]
        return opened(path, self.shape, stride=self.stride, fps=self.fps, strip=self.strip(i))

    def hold(self) -> FilmFiles:
        """Read all into memory."""
        most, num, found = machine.memory() / 2, 0, []
        for frames in self._all(self._opened):
            found.append(torch.from_numpy(frames))
            if (num := num + frames.nbytes) > most:
                raise ValueError(
                    "data.num_workers=0 would hold more frames in memory than half of it: write"
                    " data.num_workers=4 to decode them on demand"
                )
        self.lengths = torch.tensor([len(f) for f in found])
        self._held = torch.cat(found)
        self._ends = self.lengths.cumsum(0)
        return self

    def check(self) -> FilmFiles:
        for _ in self._all(lambda i: checked(self.listing.paths[i], self.strip(i))):
            pass
        return self

    def _all(self, read: Callable[[int], Any]) -> Iterator[Any]:
        """What `read` gives of each; afterwards those of which it gave nothing are gone."""

        def one(i: int) -> Any:
            try:
                return read(i)
            except Stopped:
                raise
            except ValueError as error:
                return error

        good = []
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for i, found in enumerate(pool.map(one, range(len(self)))):
                if isinstance(found, ValueError):
                    self.broken.append(str(found))
                else:
                    good.append(i)
                    yield found
        if not good:
            raise ValueError(
                f"data.root={self.root}: none of {len(self)} files is a clip that can be read:"
                f" {'; '.join(self.broken[:5])}"
            )
        self.listing, self.labels = self.listing.take(good), self.labels[good]
        self.kept = good

    def identity(self) -> list[Tensor | str]:
        """Names and sizes stand for files that are not held."""
        if self._held is not None:
            return [self._held, self.lengths]
        rate = f"{self.stride} {self.fps} {self.shape}"
        return [
            rate,
            *(f"{p.relative_to(self.root).as_posix()} {sizes(p)}" for p in self.listing.paths),
        ]

    def name_of(self, i: int) -> str:
        return f"example {i}, {self.listing.paths[i]}"


def sizes(path: Path) -> str:
    """The bytes of a file, or those of each of a folder's frames."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return " ".join(str(p.stat().st_size) for p in files)


def placed(frames: Tensor, num: int, place: float, short: str) -> Tensor:
    """`num` frames of a clip [frames, ...]: those from `place` on, 0 to 1, of a longer one.

    Of a shorter one all, and then its last frame ("hold"), or the whole again ("loop").
    """
    spare = len(frames) - num
    if spare >= 0:
        first = min(spare, math.floor(place * (spare + 1)))
        return frames[first : first + num]
    ids = torch.arange(num)
    return frames[ids % len(frames) if short == "loop" else ids.clamp(max=len(frames) - 1)]
