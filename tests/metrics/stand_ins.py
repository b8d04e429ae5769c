"""Small data and models with known truth, for the evaluations to be tested on."""

from __future__ import annotations

import contextlib
import math

import torch
from torch import Tensor

from genlab.batch import Batch
from genlab.models.conditions import Conditions
from genlab.rng import Draws, generator


class Table:
    """Examples held as tensors."""

    def __init__(self, x: Tensor, cond: Tensor | None = None, mask: Tensor | None = None) -> None:
        self.entries = {"x": x, "cond": cond, "mask": mask}

    def __len__(self) -> int:
        return len(self.entries["x"])

    def batch(self, ids: Tensor, generator: torch.Generator | None = None) -> Batch:
        return Batch(**{k: v[ids] for k, v in self.entries.items() if v is not None})


class Ring:
    """Eight Gaussians on the unit circle: points with an exact law."""

    kind, shape, num_classes, vocab, levels = "points", (2,), None, None, None
    std = mode_std = 0.05

    def __init__(self) -> None:
        angle = torch.arange(8) * math.pi / 4
        self.modes = torch.stack([angle.cos(), angle.sin()], 1)
        self.val = Table(self.draw(2000, generator("val")))

    def draw(self, num: int, g: torch.Generator, modes: int = 8) -> Tensor:
        mode = torch.randint(modes, (num,), generator=g)
        return self.modes[mode] + self.std * torch.randn(num, 2, generator=g)

    def train_batch(self, k: int) -> Batch:
        return Batch(x=self.draw(64, generator("train", k)))

    def log_prob(self, x: Tensor) -> Tensor:
        squares = torch.cdist(x.double(), self.modes.double()).square()
        log_p = -squares / (2 * self.std**2) - math.log(2 * math.pi * self.std**2)
        return log_p.logsumexp(1) - math.log(8)

    def fingerprint(self) -> str:
        return "ring"

    def units(self, totals, *, discrete: bool) -> dict[str, float]:
        return {"nats_per_example": -totals.log_prob / totals.examples}

    def decode(self, x: Tensor):
        return x.numpy()


class Stub:
    """The parts of a model that an evaluation calls; it is its own network of no parameters."""

    conditions = Conditions()
    conditions.some = True

    likelihood = "none"
    device = torch.device("cpu")

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": batch["x"].flatten(1).float().mean(1)}

    def log_prob_drawn(self, batch: Batch) -> tuple[Tensor, None]:
        return self.log_prob(batch), None

    def drawing(self):
        return contextlib.nullcontext()


class RingModel(Stub):
    """Draws from the first `modes` modes of the ring; its density is that of the whole ring."""

    likelihood = "exact"

    def __init__(self, ring: Ring, modes: int = 8) -> None:
        self.ring, self.modes = ring, modes

    def log_prob(self, batch: Batch) -> Tensor:
        return self.ring.log_prob(batch["x"])

    def sample(self, num, cond=None, given=None, *, seed=0, first=0) -> Tensor:
        draws = Draws(seed, first, num)
        mode = (draws.rand() * self.modes).long()
        return self.ring.modes[mode] + self.ring.std * draws.randn((2,))


class Uniform(Stub):
    """Every level of every value, or every token, is as likely as any other."""

    likelihood = "exact"

    def __init__(self, levels: int, *, discrete: bool | None = True) -> None:
        self.levels, self.discrete = levels, discrete

    def log_prob(self, batch: Batch) -> Tensor:
        mask = batch.get("mask", torch.ones(batch["x"].shape, dtype=torch.bool))
        # as a density over the levels' whole width, (levels - 1 + 1) * 2 / (levels - 1)
        span = self.levels if self.discrete else 2 * self.levels / (self.levels - 1)
        return -mask.flatten(1).sum(1).double() * math.log(span)

    def sample(self, num, cond=None, given=None, *, seed=0, first=0) -> Tensor:
        raise NotImplementedError


class Handout(Stub):
    """Hands out examples of a table: sample i is row (i + offset), whatever is asked."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def sample(self, num, cond=None, given=None, *, seed=0, first=0) -> Tensor:
        return self.x[(torch.arange(first, first + num)) % len(self.x)]
