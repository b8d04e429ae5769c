"""Points in the plane from laws whose density is known: what a model should learn, exactly.

Read: a law says how points are drawn and their log density; `Toy2D` serves it as data without end.
All laws have mean 0 and variance about 1 a coordinate, stated in each, so that a model meets them
with the scale that it meets images with.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Given
from genlab.data.asks import Ask, Row
from genlab.data.base import DataModule, Examples
from genlab.data.origins import DRAWN
from genlab.data.stated import sha256
from genlab.rng import generator as seeded
from genlab.views.scatter import Scatter


class Law(ABC):
    """A density over the plane."""

    parts: int | None = None  # how many labels its points carry
    modes: Tensor | None = None  # [K, 2] the centres, where it has some
    std: float | None = None  # of the normal noise around modes or curves

    @abstractmethod
    def draw(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points [num, 2] float32 and their labels [num]."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """The log density of x [N, 2] in nats [N], float64."""

    def describe(self) -> str:
        """The law and its numbers: what its draws follow from."""
        numbers = {k: v for k, v in vars(self).items() if isinstance(v, int | float)}
        return f"{type(self).__name__}{sorted(numbers.items())}"


def mixture_log_prob(x: Tensor, centres: Tensor, weights: Tensor, std: float) -> Tensor:
    """The log density of normal noise around centres [K, 2] of weights [K], at x [N, 2] -> [N].

    log p(x) = logsumexp_k(log w_k - |x - c_k|^2 / (2 std^2)) - log(2 pi std^2)
    """
    centres = centres.to(x.device, torch.float64)
    log_weights = weights.to(x.device, torch.float64).log() - math.log(2 * math.pi * std**2)
    parts = [  # in pieces: a curve has a thousand centres
        (log_weights - torch.cdist(part.double(), centres).square() / (2 * std**2)).logsumexp(1)
        for part in x.split(4096)
    ]
    return torch.cat(parts)


class Mixture(Law):
    """Equal parts of normal noise `std` around `modes`; the label is the mode."""

    def __init__(self, modes: Tensor, std: float) -> None:
        self.modes, self.std, self.parts = modes, _positive("std", std), len(modes)

    def draw(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        label = torch.randint(self.parts, (num,), generator=generator)
        noise = torch.randn(num, 2, generator=generator)
        return self.modes[label] + self.std * noise, label

    def log_prob(self, x: Tensor) -> Tensor:
        weights = torch.full((self.parts,), 1 / self.parts)
        return mixture_log_prob(x, self.modes, weights, self.std)


class Ring(Mixture):
    """Normal clusters evenly on a circle.

    `radius` null is sqrt(2), which makes a variance of 1 + std^2 a coordinate.
    """

    def __init__(self, *, modes: int = 8, std: float = 0.1, radius: float | None = None) -> None:
        angle = 2 * math.pi * torch.arange(_at_least("modes", modes, 1)) / modes
        self.radius = None if radius is None else _positive("radius", radius)
        away = math.sqrt(2) if radius is None else radius
        super().__init__(away * torch.stack([angle.cos(), angle.sin()], 1), std)


class Grid(Mixture):
    """Normal clusters on a square grid around 0.

    `spacing` null is what makes a variance of 1 + std^2 a coordinate.
    """

    def __init__(self, *, side: int = 5, std: float = 0.05, spacing: float | None = None) -> None:
        self.spacing = None if spacing is None else _positive("spacing", spacing)
        line = torch.arange(_at_least("side", side, 2), dtype=torch.float32)
        line = line - line.mean()
        line = line / line.std(correction=0) if spacing is None else spacing * line
        super().__init__(torch.cartesian_prod(line, line), std)


class Curves(Law):
    """Curves with normal noise around them; the label is the curve, all are equally likely.

    The density is an integral along the curve. Gauss-Legendre with `nodes` places takes it to the
    last digits (tested), for its steps are shorter than std and the curves are smooth.
    """

    nodes = 512

    def __init__(self, parts: int, std: float) -> None:
        self.parts, self.std = parts, _positive("std", std)

    @abstractmethod
    def curve(self, t: Tensor, label: Tensor) -> Tensor:
        """The points [N, 2] of the curves `label` at the places t in (0, 1)."""

    def place(self, u: Tensor) -> Tensor:
        """Uniform draws as places t; the inverse of their distribution function."""
        return u

    def density(self, t: Tensor) -> Tensor:
        """How likely the places are."""
        return torch.ones_like(t)

    def draw(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        label = torch.randint(self.parts, (num,), generator=generator)
        t = self.place(torch.rand(num, generator=generator))
        noise = torch.randn(num, 2, generator=generator)
        return self.curve(t, label) + self.std * noise, label

    def log_prob(self, x: Tensor) -> Tensor:
        nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(self.nodes))
        t = (nodes + 1) / 2
        weights = (weights / 2 * self.density(t) / self.parts).repeat(self.parts)
        label = torch.arange(self.parts).repeat_interleave(self.nodes)
        centres = self.curve(t.repeat(self.parts), label)
        return mixture_log_prob(x, centres, weights, self.std)


class Moons(Curves):
    """Two half circles, each reaching into the other (scikit-learn's make_moons).

    Moved to mean 0 and scaled to a mean variance of 1 + std^2: 1.51 across and 0.49 up.
    """

    def __init__(self, *, std: float = 0.1) -> None:
        super().__init__(2, std)

    def curve(self, t: Tensor, label: Tensor) -> Tensor:
        cos, sin = (math.pi * t).cos(), (math.pi * t).sin()
        lower = label == 1
        across = torch.where(lower, 1 - cos, cos) - 0.5
        up = torch.where(lower, 0.5 - sin, sin) - 0.25
        # variance across: 1/2 + 1/4; up: (1/2 + 3/4 - 2/pi) / 2 - 1/16
        scale = math.sqrt(((0.75) + (0.5625 - 1 / math.pi)) / 2)
        return torch.stack([across, up], 1) / scale


class Spirals(Curves):
    """Two arms of 1.5 turns, one the other mirrored in the centre, radius 2 at their ends.

    The angle is 3 pi t, the radius 2 t, and t the root of a uniform draw, so that the points lie
    evenly along the arm: a mean variance of 1 + std^2.
    """

    def __init__(self, *, std: float = 0.05) -> None:
        super().__init__(2, std)

    def place(self, u: Tensor) -> Tensor:
        return u.sqrt()

    def density(self, t: Tensor) -> Tensor:
        return 2 * t

    def curve(self, t: Tensor, label: Tensor) -> Tensor:
        angle = 3 * math.pi * t
        arm = torch.stack([-angle.cos(), angle.sin()], 1) * (2 * t)[:, None]
        return torch.where((label == 1)[:, None], -arm, arm)


class Checkerboard(Law):
    """Evenly on the 8 dark squares of a 4x4 board from -sqrt(3) to sqrt(3): variance 1."""

    side = 4
    half = math.sqrt(3)

    def draw(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        square = torch.randint(self.side**2 // 2, (num,), generator=generator)
        row = square // (self.side // 2)
        column = 2 * (square % (self.side // 2)) + row % 2
        corner = torch.stack([column, row], 1) + torch.rand(num, 2, generator=generator)
        return corner * (2 * self.half / self.side) - self.half, square

    def log_prob(self, x: Tensor) -> Tensor:
        at = ((x.double() + self.half) * (self.side / (2 * self.half))).floor()
        inside = ((at >= 0) & (at < self.side)).all(1) & (at.sum(1) % 2 == 0)
        area = (2 * self.half) ** 2 / 2
        return torch.where(inside, -math.log(area), -math.inf)


class Points(Examples):
    """Points [N, 2] drawn once, and their labels [N] unless they go without."""

    def __init__(self, x: Tensor, labels: Tensor | None) -> None:
        self.x, self.labels = x, labels

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        batch = Batch(x=self.x[ids])
        if self.labels is not None:
            batch["cond"] = self.labels[ids]
        return batch


class Toy2D(DataModule):
    """A law's points without end: every training batch is drawn anew, val is one draw of 4,096.

    `train` is another such draw, for what needs training examples to compare with.
    """

    kind = "points"
    noun = "points"
    origin = DRAWN
    endless = True
    view = Scatter()
    held_out = 4096

    def __init__(
        self,
        *,
        law: Law,
        batch_size: int,
        seed: int,
        shape: Sequence[int] = (2,),
        num_classes: int | None = None,
        vocab: int | None = None,
        levels: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`num_classes`: null draws without labels; the law's number of parts with them."""
        if tuple(shape) != (2,):
            raise ValueError(
                f"data.shape={list(shape)}: points in the plane have data.shape=[2]"
                "; a table of other columns is no data set of this kind"
            )
        for key, value in (("vocab", vocab), ("levels", levels)):
            if value is not None:
                raise ValueError(f"data.{key}={value}: points have none; write data.{key}=null")
        if num_classes not in (None, law.parts):
            parts = f" or {law.parts}" if law.parts else ""
            raise ValueError(
                f"data.num_classes={num_classes}: {type(law).__name__} can have null{parts}"
            )
        super().__init__(
            shape=shape,
            batch_size=batch_size,
            seed=seed,
            num_classes=num_classes,
            std=std,
            val_examples=val_examples,
        )
        self.law = law
        self.modes, self.mode_std = law.modes, law.std

    def log_prob(self, x: Tensor) -> Tensor:
        """The true log density of x [N, 2] in nats [N]."""
        return self.law.log_prob(x)

    def read(self) -> dict[str, Examples]:
        # fixed draws, whatever the seed: runs are measured on the same points
        train, val = (self.law.draw(self.held_out, seeded("toy", s)) for s in ("train", "val"))
        return {"train": self._points(*train), "val": self._points(*val)}

    def _points(self, x: Tensor, labels: Tensor) -> Points:
        return Points(x, labels if self.num_classes is not None else None)

    @property
    def epoch_examples(self) -> None:
        return None

    def train_ids(self, k: int) -> LongTensor:
        """The numbers of the draws in the k-th global batch [batch_size]."""
        return torch.arange(k * self.batch_size, (k + 1) * self.batch_size)

    def fresh(self, k: int) -> Batch:
        points = self._points(*self.law.draw(self.batch_size, seeded("draw", self.seed, k)))
        return points.batch(torch.arange(self.batch_size))

    def describe(self) -> str:
        self.load()
        law = f"points drawn without end from {type(self.law).__name__}"
        parts = [law, *self.said_of_classes(), f"{len(self.val):,} held out"]
        return "; ".join([", ".join(parts), *self.notes()])

    def asks(self) -> tuple[Ask, ...]:
        known = Row(key="given", label="known coordinates", names=("x", "y"), listed=True)
        return (*super().asks(), known)

    def asked_given(
        self, num: int, prompt: str | None, given: str | None, mask: str | None
    ) -> Given | None:
        """Known coordinates: given=[0.5,null] keeps the first and draws the second."""
        super().asked_given(num, prompt, None, mask)
        if given is None:
            return None
        try:
            values = json.loads(given)
            known = torch.tensor([v is not None for v in values])
            x = torch.tensor([0.0 if v is None else float(v) for v in values])
        except (ValueError, TypeError):
            known = x = torch.empty(0)
        if x.shape != (2,) or not x.isfinite().all():
            raise ValueError(
                f"given={given}: write a point's two coordinates, null for the one to be drawn:"
                " given=[0.5,null]"
            )
        return Given(x=x.repeat(num, 1), mask=known.repeat(num, 1))

    def digest(self) -> str:
        return sha256(self.law.describe(), self.val.x)

    def decode(self, x: Tensor) -> np.ndarray:
        """Points [N, 2] float32."""
        return x.detach().cpu().float().numpy()


def _positive(key: str, value: Any) -> float:
    if not value > 0:
        raise ValueError(f"data.law.{key}={value}: write a number above 0")
    return float(value)


def _at_least(key: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"data.law.{key}={value}: write a whole number from {least} on")
    return value
