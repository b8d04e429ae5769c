"""Black and white images made of grey ones: each grey level is the probability of white.

Salakhutdinov and Murray 2008. Published likelihoods of "binarised MNIST" are of two kinds that
differ by some nats: static, where each picture was drawn once for all, and dynamic, where a picture
is drawn anew whenever it is seen in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch
from genlab.data.base import Examples
from genlab.data.images import Form, ImageExamples, Images, served
from genlab.data.pictures import Arrays, Pictures
from genlab.data.sources.images import ImageSource
from genlab.data.stated import check
from genlab.rng import generator


def drawn(grey: Tensor, u: Tensor) -> Tensor:
    """1 where a uniform draw in [0, 1) lies below grey / 255, else 0; uint8, shaped as `grey`."""
    return (u * 255 < grey).to(torch.uint8)


class BinaryExamples(ImageExamples):
    """Grey pictures, drawn black and white by the uniform numbers that each example is given.

    Where none are given, as for what is measured, each picture is the one that was drawn once.
    """

    def __init__(self, grey: Pictures, fixed: Pictures, *, form: Form, labelled: bool) -> None:
        super().__init__(fixed, levels=2, form=form, flip=False, labelled=labelled)
        self.grey = grey
        self.draws = grey.take(torch.tensor([0]))[0].numel()

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        if draws is None:
            return super().batch(ids)
        grey = self.grey.take(ids, self.at)
        batch = Batch(x=served(drawn(grey, draws.view(grey.shape)), 2, self.form))
        if self.labels is not None:
            batch["cond"] = self.labels[ids]
        return batch


class BinaryImages(Images):
    """Images of two levels: `dynamic` draws train anew each time; val and test are drawn once."""

    fixed_seed: ClassVar = 2008  # of what is drawn once, in every run: a data set, not a setting

    def __init__(
        self,
        *,
        source: ImageSource,
        shape: Sequence[int],
        batch_size: int,
        seed: int,
        dynamic: bool = False,
        num_classes: int | None = None,
        levels: int = 2,
        vocab: int | None = None,
        std: float | None = None,
        form: Form = "image",
        limit: int | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        if levels != 2:
            raise ValueError(f"data.levels={levels}: black and white images have 2")
        super().__init__(
            source=source,
            shape=shape,
            num_classes=num_classes,
            levels=levels,
            batch_size=batch_size,
            seed=seed,
            vocab=vocab,
            std=std,
            form=form,
            limit=limit,
            val_examples=val_examples,
        )
        self.dynamic = dynamic

    def check_levels(self) -> None:
        check("levels", 256, self.source.levels, f"what {self.source.name} is drawn from")

    def _examples(self, split: str, pictures: Pictures) -> Examples:
        grey = pictures.in_memory()
        u = torch.rand(grey.images.shape, generator=generator("binary", self.fixed_seed, split))
        static = super()._examples(split, Arrays(drawn(grey.images, u), pictures.labels))
        if not (self.dynamic and split == "train"):
            return static
        labelled = self.num_classes is not None
        return BinaryExamples(grey, static.pictures, form=self.form, labelled=labelled)

    def digest(self) -> str:
        return super().digest() + ("-dynamic" if self.dynamic else "-static")
