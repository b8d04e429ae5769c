"""Videos: clips of so many frames, from files or made by code.

Read: `Videos`. Where they come from is a source (sources/videos.py, sources/moving_digits.py), how
they are taken by number films.py, how a file is read moving.py. Of a longer clip a part is taken
(in training at a place that is drawn, held out the middle), a shorter one goes on as `data.short`
says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch
from genlab.data.base import DataModule, Examples
from genlab.data.class_names import NamedClasses
from genlab.data.films import Films, placed
from genlab.data.sources.videos import VideoSource
from genlab.data.stated import check, sha256
from genlab.views.moving import Moving

MOST = 10**8  # numbers of an example
SEEN = 32  # sides of the frames that a classifier is shown, at most: a matter of time

Short = Literal["hold", "loop"]


class VideoExamples(Examples):
    """Clips [C, T, H, W], and their labels (or captions) if they are wanted."""

    def __init__(
        self, films: Films, *, num: int, drawn: bool, labelled: bool, short: Short
    ) -> None:
        """`num` frames; `drawn`: the place in a longer clip is drawn, else it is the middle."""
        self.films, self.num, self.short = films, num, short
        self.labels = films.labels if labelled else None
        self.draws = int(drawn)

    def __len__(self) -> int:
        return len(self.films)

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        places = [0.5] * len(ids) if draws is None else draws[:, 0].tolist()
        found = []
        for i, place in zip(ids.tolist(), places):
            if self.at is not None:
                self.at[0] = i
            found.append(placed(self.films.frames(i), self.num, place, self.short))
        x = torch.stack(found).transpose(1, 2).float().div_(127.5).sub_(1)
        batch = Batch(x=x.contiguous())
        if self.labels is not None:
            batch["cond"] = self.labels[ids]
        return batch

    def name_of(self, i: int) -> str:
        return self.films.name_of(i)


class Videos(NamedClasses, DataModule):
    """Clips from a source, with their labels or without."""

    kind = "video"
    noun = "clips"

    def __init__(
        self,
        *,
        source: VideoSource,
        shape: Sequence[int],
        num_classes: int | None,
        batch_size: int,
        seed: int,
        stride: int = 1,
        fps: float | None = None,
        short: Short = "hold",
        play: float = 8.0,
        num_workers: int = 0,
        limit: int | None = None,
        levels: int | None = None,
        vocab: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`shape` [CHANNELS, FRAMES, HEIGHT, WIDTH]; every `stride`-th frame, or `fps` a second.

        `short`: a clip of fewer frames holds its last one, or loops; `play`: frames a second that
        samples are shown at; `limit`: the first N clips of train; `num_workers`: decode files on
        demand in so many processes.
        """
        if len(shape) != 4 or shape[0] not in (1, 3) or shape[1] < 2 or min(shape[2:]) < 1:
            raise ValueError(
                f"data.shape={list(shape)}: a clip has [CHANNELS,FRAMES,HEIGHT,WIDTH]: 1 or 3"
                " channels, 2 frames or more"
            )
        for key, value, allowed, said in (
            ("shape", list(shape), np.prod(shape) <= MOST, f"{MOST:,} numbers at most"),
            ("stride", stride, stride >= 1, "1 or more"),
            ("fps", fps, fps is None or 0 < fps <= 1000, "above 0, up to 1000, or null"),
            ("stride", stride, fps is None or stride == 1, "1 where data.fps says the rate"),
            ("short", short, short in ("hold", "loop"), "hold, loop"),
            ("play", play, 0.1 <= play <= 50, "0.1 to 50 frames a second"),
            ("num_workers", num_workers, num_workers >= 0, "0 or more"),
            ("limit", limit, limit is None or limit > 0, "1 or more, or null"),
            ("levels", levels, levels is None, "null: clips have none"),
            ("vocab", vocab, vocab is None, "null: clips have none"),
        ):
            if not allowed:
                raise ValueError(f"data.{key}={value}: allowed is {said}")
        super().__init__(
            shape=shape, batch_size=batch_size, seed=seed, num_classes=num_classes, std=std,
            val_examples=val_examples,
        )  # fmt: skip
        self.source, self.stride, self.fps, self.short = source, stride, fps, short
        self.limit, self.num_workers = limit, num_workers
        self.class_names = source.class_names
        self.view = Moving(fps=play)

    # --- reading --------------------------------------------------------------------------------

    def prepare(self) -> None:
        self.source.prepare()

    def read(self) -> dict[str, Examples]:
        found = self.source.read(self.shape, stride=self.stride, fps=self.fps)
        self.class_names = self.source.class_names
        if self.num_classes is not None:
            names = self.class_names
            check("num_classes", self.num_classes, len(names) if names else None, self.source.name)
        return {split: self._examples(split, films) for split, films in found.items()}

    def _examples(self, split: str, films: Films) -> VideoExamples:
        if split == "train":
            films = films.first(self.limit)
        films = films.check() if self.num_workers else films.hold()
        return VideoExamples(
            films,
            num=self.shape[1],
            drawn=split == "train",
            labelled=self.num_classes is not None,
            short=self.short,
        )

    def digest(self) -> str:
        parts: list = [f"{self.shape} {self.stride} {self.fps} {self.short}"]
        for split in (self.train, self.split("val")):
            parts += split.films.identity()
            parts += [split.labels if split.labels is not None else b"no labels"]
        return sha256(*parts)

    def notes(self) -> list[str]:
        """How many were cut or filled up; what was left out, and why."""
        found, names, skipped = super().notes(), self.class_names, self.source.skipped
        films = [s.films for s in (self._splits or {}).values()]
        if all(f.lengths is not None for f in films):
            lengths, num = torch.cat([f.lengths for f in films]), self.shape[1]
            longer, shorter = int((lengths > num).sum()), int((lengths < num).sum())
            end = "begin again" if self.short == "loop" else "hold their last frame"
            found.append(
                f"{num} frames of each: {longer:,} of {len(lengths):,} are longer and cut,"
                f" {shorter:,} shorter and {end}; the longest has {int(lengths.max()):,}"
            )
        if names and self.train.labels is None:
            found.append(f"{len(names)} classes: write data.num_classes={len(names)} to use them")
        for what, all_names in (
            ("skipped", list(skipped)),
            ("that cannot be read left out", [name for f in films for name in f.broken]),
        ):
            if all_names:
                shown = ", ".join(all_names[:5]) + (", ..." if len(all_names) > 5 else "")
                found.append(f"{len(all_names)} file{'s' * (len(all_names) > 1)} {what}: {shown}")
        return found

    # --- samples --------------------------------------------------------------------------------

    def decode(self, x: Tensor) -> list[np.ndarray]:
        """x [B, C, T, H, W] in [-1, 1] as B arrays [T, H, W, C] uint8."""
        x = torch.nan_to_num(x.detach().cpu().float())
        grey = (x + 1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return list(grey.permute(0, 2, 3, 4, 1).contiguous().numpy())

    def pictured(self, x: Tensor) -> list[np.ndarray]:
        """Each clip as one small picture [H, W, C * T] uint8, a frame after the other: what a
        classifier is shown."""
        x = torch.nan_to_num(x.detach().cpu().float())
        sides = [min(SEEN, side) for side in x.shape[3:]]
        small = torch.nn.functional.adaptive_avg_pool2d(x.transpose(1, 2).flatten(1, 2), sides)
        grey = (small + 1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return list(grey.permute(0, 2, 3, 1).contiguous().numpy())
