"""Moving digits: handwritten digits that fly straight and bounce off the edges, made by code.

Read: `path` is the law, exactly: a point moves by the same step a frame along a straight line,
which the edges reflect (Moving MNIST of Srivastava et al. 2015, arXiv 1502.04681, is such a set:
two digits of MNIST in 64x64). A digit stands at the
nearest whole pixel, so its pixels are those of its picture. Held-out clips have held-out digits.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.data.films import Films
from genlab.data.pictures import Pictures
from genlab.data.sources.images import MNIST, Digits
from genlab.data.sources.videos import VideoSource
from genlab.rng import generator

SETS = {"digits": Digits, "mnist": MNIST}
SLOW, FAST = 1 / 8, 3 / 8  # of a digit's side, that it moves a frame


def path(start: Tensor, step: Tensor, times: Tensor, length: float) -> Tensor:
    """Places on a line of `length` with reflecting ends: start, step [...] -> [..., len(times)].

    The straight line start + step * t, folded: length - |(p mod 2 length) - length|.
    """
    line = start[..., None] + step[..., None] * times
    return length - (line.remainder(2 * length) - length).abs()


class MovingDigits(VideoSource):
    """Clips without end in principle; here `clips` of them, the same in every run."""

    def __init__(
        self,
        *,
        digits: str = "digits",
        together: int = 1,
        clips: int = 10_000,
        root: str | None = None,
    ) -> None:
        """`digits`: those of scikit-learn (8x8), or of mnist (28x28); `together` in a clip."""
        if digits not in SETS:
            raise ValueError(f"data.digits={digits}: allowed are {', '.join(SETS)}")
        for key, value, most in (("together", together, 9), ("clips", clips, 10**7)):
            if not 1 <= value <= most:
                raise ValueError(f"data.{key}={value}: allowed is 1 to {most:,}")
        self.digits = Digits() if digits == "digits" else SETS[digits](root=root)
        self.together, self.clips = together, clips
        self.class_names = list(self.digits.class_names) if together == 1 else None

    def prepare(self) -> None:
        self.digits.prepare()

    def read(self, shape: Sequence[int], *, stride: int, fps: float | None) -> dict[str, Films]:
        if stride != 1 or fps is not None:
            raise ValueError(f"data.stride={stride} data.fps={fps}: moving digits have 1 and null")
        found, top = self.digits.read(None), self.digits.levels - 1
        return {
            split: Flights(
                found[split], split, shape=shape, num=self.together, clips=clips, top=top
            )
            for split, clips in (("train", self.clips), ("val", max(2, self.clips // 10)))
        }


class Flights(Films):
    """Clips of one split, each drawn from five numbers a digit."""

    def __init__(
        self,
        pictures: Pictures,
        split: str,
        *,
        shape: Sequence[int],
        num: int,
        clips: int,
        top: int,
    ) -> None:
        """`shape` [C, T, H, W] of a clip; `top`: the pictures' whitest level."""
        self.pictures, self.shape, self.top = pictures, tuple(shape), top
        side = pictures.take(torch.tensor([0])).shape[-1]
        room = [s - side for s in shape[2:]]
        if shape[0] != 1 or min(room) < 1:
            raise ValueError(
                f"data.shape={list(shape)}: these digits are grey, {side} pixels a side, and want"
                f" room: write data.shape=[1,{shape[1]},{2 * side},{2 * side}]"
            )
        u = torch.rand(
            clips, num, 5, generator=generator("moving digits", split), dtype=torch.float64
        )
        self.ids = (u[..., 0] * len(pictures)).long()  # [N, num]
        angle, speed = 2 * math.pi * u[..., 3], side * (SLOW + (FAST - SLOW) * u[..., 4])
        steps, times = (angle.sin() * speed, angle.cos() * speed), torch.arange(shape[1])
        self.places = torch.stack(
            [path(u[..., 1 + i] * room[i], steps[i], times, room[i]) for i in (0, 1)], -1
        )  # [N, num, T, 2] of the upper left corner: down, across
        self.labels = pictures.labels[self.ids[:, 0]]
        self.lengths = torch.full((clips,), shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, num: int | None) -> Flights:
        found = copy.copy(self)
        for name in ("ids", "places", "labels", "lengths"):
            setattr(found, name, getattr(self, name)[:num])
        return found

    def frames(self, i: int) -> Tensor:
        channels, num, *sides = self.shape
        out = torch.zeros(num, channels, *sides, dtype=torch.uint8)
        drawn = (self.pictures.take(self.ids[i]).float() * (255 / self.top)).round().byte()
        side = drawn.shape[-1]
        for digit, places in zip(drawn, self.places[i].round().long().tolist()):
            for t, (down, across) in enumerate(places):
                part = out[t, :, down : down + side, across : across + side]
                torch.maximum(part, digit, out=part)
        return out

    def identity(self) -> list[Tensor | str]:
        return [self.ids, self.places, str((self.shape, self.top)), *self.pictures.identity()]
