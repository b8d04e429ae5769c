"""Pictures that are taken by number: arrays in memory, or files that are decoded when asked for.

Read: `Pictures`; then `opened`, the one gate through which a picture file of any origin comes in.
"""

from __future__ import annotations

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab import machine

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # no other decoder of Pillow's dozens is let near a file
NAMED = 10  # files that are named in a message
PIXELS, LARGE = 45_000_000, 4_000_000  # refused from; decoded one at a time from (memory)

_one_large = threading.Lock()


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

    def __init__(self, images: Tensor, labels: Tensor | None = None) -> None:
        self.images, self.labels = images, None if labels is None else labels.long()

    def __len__(self) -> int:
        return len(self.images)

    def take(self, ids: LongTensor, at: Tensor | None = None) -> Tensor:
        return self.images.index_select(0, ids)

    def first(self, num: int | None) -> Arrays:
        return Arrays(self.images[:num], None if self.labels is None else self.labels[:num])

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
        return Arrays(images, self.labels)

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
        if len(broken) > 1:
            names = [str(e).split(" is no image")[0].removeprefix("data.root: ") for e in broken]
            shown = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
            raise ValueError(
                f"data.root: {len(broken)} of {len(self)} files are no images that can be read:"
                f" {shown}: mend them or take them out of the folder"
            )
        if broken:
            raise broken[0]

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


def opened(
    path: Path, shape: Sequence[int], *, check_only: bool = False, key: str = "data.root"
) -> np.ndarray:
    """An image file as [C, H, W] uint8: its orientation applied, on white where it is transparent.

    The shorter side is scaled to fit (Lanczos) and what is left of the longer cut off evenly.
    `key`: what the user named the file by.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, over {PIXELS:,}")
            if check_only:
                return np.empty(0, np.uint8)  # opening has read the header, and its size
            large = image.width * image.height > LARGE
            with _one_large if large else contextlib.nullcontext():
                return _decoded(image, shape)
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        reason = str(error).splitlines()[0].replace(str(path), "it") if str(error) else error
        allowed = ", ".join(FORMATS)
        remedy = "mend it or take it out of the folder" if key == "data.root" else "name another"
        raise ValueError(
            f"{key}: {path} is no image that can be read ({reason}); allowed are {allowed}:"
            f" {remedy}"
        ) from None


def _decoded(image: Any, shape: Sequence[int]) -> np.ndarray:
    from PIL import Image, ImageOps

    c, h, w = shape
    ImageOps.exif_transpose(image, in_place=True)  # as below: no copy of a large one but where due
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode.startswith(("I", "F")):  # 16 bits: convert() would cut, not scale
        image = Image.fromarray((np.asarray(image, np.float32) / 257).astype(np.uint8))
    mode = "L" if c == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    image = ImageOps.fit(image, (w, h), method=Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(h, w, c).transpose(2, 0, 1)
