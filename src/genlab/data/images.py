"""Images: grey levels to [-1, 1] or to tokens, flips, checks, and pictures with a part to keep.

Read: `Images`. Where they come from is a source (sources/images.py for known sets,
sources/folder.py for files of one's own). Pixels stay uint8 in memory; a batch is a gather and a
scaling, or the decoding of its files.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Given
from genlab.data.asking import HALVES, half
from genlab.data.asks import Ask, Painted
from genlab.data.base import DataModule, Examples
from genlab.data.decode import opened
from genlab.data.pictures import Pictures, refuse_too_many
from genlab.data.sources.images import ImageSource
from genlab.data.stated import check, sha256
from genlab.rng import generator
from genlab.views.grid import Grid

NAME = 1000  # letters of a class's name
MOST = 10**7  # numbers of a picture that a stranger's checkpoint may name

FORMS = ("image", "pixels", "shuffled")
Form = Literal["image", "pixels", "shuffled"]


def flip_some(images: Tensor, draws: Tensor) -> Tensor:
    """Each image [B, C, H, W] mirrored left to right where its uniform draw [B] is below 1/2."""
    return torch.where((draws < 0.5)[:, None, None, None], images.flip(-1), images)


def served(images: Tensor, levels: int, form: Form) -> Tensor:
    """Grey levels [B, C, H, W] uint8 as a model sees them.

    "image": floats from -1 to 1, both reached exactly; "pixels": tokens [B, C*H*W], row by row;
    "shuffled": these in one random order.
    """
    if form != "image":
        return in_order(images.flatten(1).long(), form)
    return images.float().div_((levels - 1) / 2).sub_(1)


@functools.cache
def shuffled(num: int) -> LongTensor:
    """The places [num] of the pixels, in an order that is one and the same in every run."""
    return torch.randperm(num, generator=generator("pixels", num))


def in_order(pixels: Tensor, form: Form) -> Tensor:
    """Pixels [B, C*H*W], row by row, as a form has them."""
    return pixels[:, shuffled(pixels.shape[1])] if form == "shuffled" else pixels


class ImageExamples(Examples):
    """Pictures as a model sees them, and their labels if they are wanted."""

    def __init__(
        self, pictures: Pictures, *, levels: int, form: Form, flip: bool, labelled: bool
    ) -> None:
        self.pictures, self.levels, self.form = pictures, levels, form
        self.labels = pictures.labels if labelled else None
        self.draws = 1 if flip else 0

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        images = self.pictures.take(ids, self.at)
        if self.draws and draws is not None:
            images = flip_some(images, draws[:, 0])
        batch = Batch(x=served(images, self.levels, self.form))
        if self.labels is not None:
            batch["cond"] = self.labels[ids]
        return batch

    def name_of(self, i: int) -> str:
        return self.pictures.name_of(i)

    @property
    def images(self) -> Tensor:
        """All pictures [N, C, H, W] uint8."""
        return self.pictures.take(torch.arange(len(self.pictures)))


class Images(DataModule):
    """Images from a source, with their labels or without."""

    kind = "image"
    noun = "images"
    view = Grid()

    def __init__(
        self,
        *,
        source: ImageSource,
        shape: Sequence[int],
        num_classes: int | None,
        levels: int,
        batch_size: int,
        seed: int,
        vocab: int | None = None,
        std: float | None = None,
        form: Form = "image",
        flip: bool = False,
        limit: int | None = None,
        num_workers: int = 0,
        val_examples: int | None = 1024,
    ) -> None:
        """`form` pixels, shuffled: tokens; `flip` mirrors half of train; `limit` keeps its first N.

        `num_classes` null serves the images without their labels. `num_workers`: decode files on
        demand in so many processes; 0 holds all images in memory.
        """
        if form not in FORMS:
            raise ValueError(f"data.form={form!r}: allowed are {', '.join(FORMS)}")
        if form == "image" and (len(shape) != 3 or min(shape) < 1):
            raise ValueError(
                f"data.shape={list(shape)}: an image has [CHANNELS,HEIGHT,WIDTH]:"
                " write data.shape=[1,HEIGHT,WIDTH] or [3,HEIGHT,WIDTH]"
            )
        if levels is None or not 2 <= levels <= 256:
            raise ValueError(f"data.levels={levels}: an image has from 2 to 256 grey levels")
        expected = None if form == "image" else levels
        if vocab != expected:
            raise ValueError(
                f"data.vocab={vocab} does not fit data.form={form}: write data.vocab="
                f"{'null' if expected is None else expected}"
            )
        for key, value, least in (("limit", limit, 1), ("num_workers", num_workers, 0)):
            if value is not None and value < least:
                raise ValueError(f"data.{key}={value}: write a whole number from {least} on")
        super().__init__(
            shape=shape,
            batch_size=batch_size,
            seed=seed,
            num_classes=num_classes,
            vocab=vocab,
            levels=levels,
            std=std,
            val_examples=val_examples,
        )
        self.source, self.form, self.flip, self.limit = source, form, flip, limit
        self.num_workers = num_workers
        self._image_shape = self.shape if form == "image" else None
        self.class_names = source.class_names

    # --- reading --------------------------------------------------------------------------------

    def prepare(self) -> None:
        self.source.prepare()

    def read(self) -> dict[str, Examples]:
        name = self.source.name
        self.check_levels()
        splits = self.source.read(self.shape if self.form == "image" else None)
        self.class_names = self.source.class_names
        if self.num_classes is not None:
            names = self.class_names
            check("num_classes", self.num_classes, len(names) if names else None, name)
        splits["train"] = splits["train"].first(self.limit)
        if not self.num_workers:
            refuse_too_many(sum(map(len, splits.values())), self.shape)
        return {split: self._examples(split, pictures) for split, pictures in splits.items()}

    def check_levels(self) -> None:
        check("levels", self.levels, self.source.levels, self.source.name)

    def _examples(self, split: str, pictures: Pictures) -> ImageExamples:
        if self.num_workers:
            pictures.check()
        else:
            pictures = pictures.in_memory()
        c, h, w = self._image_shape = tuple(pictures.take(torch.tensor([0])).shape[1:])
        found = (c, h, w) if self.form == "image" else (c * h * w,)
        check("shape", self.shape, found, self.source.name)
        return ImageExamples(
            pictures,
            levels=self.levels,
            form=self.form,
            flip=self.flip and split == "train",
            labelled=self.num_classes is not None,
        )

    def digest(self) -> str:
        parts: list = []
        for split in (self.train, self.split("val")):
            parts += split.pictures.identity()
            parts += [split.labels if split.labels is not None else b"no labels"]
        return sha256(*parts)

    def notes(self) -> list[str]:
        found, names, skipped = super().notes(), self.class_names, self.source.skipped
        if names and not self.num_classes:
            found.append(
                f"{len(names)} folders with images:"
                f" write data.num_classes={len(names)} to train with classes"
                if self.source.name == "ImageFolder"
                else f"its {len(names)} classes are left out (data.num_classes=null)"
            )
        if skipped:
            shown = ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
            found.append(f"{len(skipped)} file{'s' * (len(skipped) > 1)} skipped: {shown}")
        return found

    # --- samples --------------------------------------------------------------------------------

    def state(self) -> dict:
        names = list(self.class_names) if self.class_names is not None else None
        return {"image_shape": list(self._image_shape or ()), "class_names": names}

    def load_state(self, state: dict) -> None:
        shape, names = tuple(state["image_shape"]), state["class_names"]
        if len(shape) not in (0, 3) or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError(f"image_shape={shape}: three sizes, or none")
        if names is not None and not (
            isinstance(names, list | tuple)
            and all(type(n) is int or (isinstance(n, str) and len(n) <= NAME) for n in names)
        ):
            raise ValueError(f"class_names: texts of at most {NAME} letters, or null")
        if math.prod(shape) > max(MOST, math.prod(self.shape)):
            raise ValueError(f"image_shape={shape}: {MOST:,} numbers at most")
        self._image_shape = shape or self._image_shape
        self.class_names = names

    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]:
        """bits_per_dim too, where levels have a probability."""
        units = super().units(totals, discrete=discrete)
        if discrete:
            units["bits_per_dim"] = -totals.log_prob / totals.values / math.log(2)
        return units

    def decode(self, x: Tensor) -> list[np.ndarray]:
        """x [B, C, H, W] in [-1, 1], or tokens [B, C*H*W], as B arrays [H, W, C] uint8."""
        x = x.detach().cpu()
        if self.form != "image":
            if self._image_shape is None:
                raise ValueError("decoding pixels needs the images' shape: load() the data first")
            if self.form == "shuffled":
                x = x[:, shuffled(x.shape[1]).argsort()]
            x = x.view(-1, *self._image_shape).float() / ((self.levels - 1) / 2) - 1
        grey = (x.float() + 1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return list(grey.permute(0, 2, 3, 1).contiguous().numpy())

    def asks(self) -> tuple[Ask, ...]:
        if len(shape := self._image_shape or self.shape) != 3:
            return super().asks()
        return (*super().asks(), Painted(key="given", label="picture", shape=shape))

    def asked_given(
        self, num: int, prompt: str | None, given: str | None, mask: str | None
    ) -> Given | None:
        """A picture's file, and the part of it that is kept: a half by name, or a mask's file.

        A mask is a picture of the same size, white where the picture is kept.
        """
        super().asked_given(num, prompt, None, None)
        if given is None and mask is None:
            return None
        if given is None or mask is None:
            raise ValueError(
                f"given={given or 'null'} mask={mask or 'null'}: a picture and the part of it that"
                f" is kept go together: given=FILE mask={'|'.join(HALVES)} or mask=FILE"
            )
        shape = self._image_shape or self.shape
        grey = torch.from_numpy(opened(_file("given", given), shape, key="given").copy())
        if mask in HALVES:
            kept = half(mask, shape)
        else:
            white = opened(_file("mask", mask), (1, *shape[1:]), key="mask") > 127
            kept = torch.from_numpy(white).expand(tuple(shape))
        levels = (grey.float() / 255 * (self.levels - 1)).round().to(torch.uint8)
        x = served(levels[None], self.levels, self.form)
        kept = in_order(kept[None].flatten(1), self.form).view(x.shape)
        repeats = (num, *[1] * (x.ndim - 1))
        return Given(x=x.repeat(repeats), mask=kept.repeat(repeats))


def _file(key: str, name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        more = f", nor one of the halves {', '.join(HALVES)}" if key == "mask" else ""
        raise ValueError(f"{key}={name}: there is no such file{more}")
    return path
