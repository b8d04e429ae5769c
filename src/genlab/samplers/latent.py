"""The prior of latent-variable models (GAN, VAE): where z comes from, and ways between two z."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """Draws with one generator per example (genlab.rng.Draws)."""

    def randn(self, shape: Sequence[int]) -> Tensor: ...
    def rand(self, shape: Sequence[int] = ()) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Prior:
    """z ~ N(0, temperature^2 I); with `truncation` each value lies within that many sigmas.

    Less of either is more fidelity and less variety (the truncation trick, Brock et al. 2019).
    """

    temperature: float = 1.0
    truncation: float | None = None
    noise: bool = False  # VAE: draw x ~ p(x | z); otherwise its mean, as is usual for images

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"sampler.temperature={self.temperature}: must be at least 0")
        if self.truncation is not None and self.truncation <= 0:
            raise ValueError(f"sampler.truncation={self.truncation}: must be above 0, or null")

    def __call__(self, draws: Noise, shape: Sequence[int]) -> Tensor:
        """z [num, *shape]."""
        if self.truncation is None:
            return self.temperature * draws.randn(shape)
        # by inverse CDF: 2 Phi(z) - 1 is uniform within +-erf(truncation / sqrt 2)
        within = math.erf(self.truncation / math.sqrt(2))
        z = math.sqrt(2) * ((2 * draws.rand(shape) - 1) * within).erfinv()
        return self.temperature * z.clamp(-self.truncation, self.truncation)


def between(a: Tensor, b: Tensor, num: int) -> Tensor:
    """`num` points from each a to its b, both among them: [B, *shape] -> [B, num, *shape].

    On the great circle (White 2016, arXiv 1609.04468): on the straight line z would be shorter in
    the middle than any that the prior gives. The lengths, where they differ, change evenly.
    """
    shape, a, b = a.shape[1:], a.flatten(1)[:, None], b.flatten(1)[:, None]  # [B, 1, D]
    t = torch.linspace(0, 1, num, device=a.device)[:, None]
    long_a, long_b = (v.norm(dim=2, keepdim=True).clamp(min=1e-12) for v in (a, b))
    unit_a, unit_b = a / long_a, b / long_b
    angle = torch.atan2((unit_a - unit_b).norm(dim=2, keepdim=True),
                        (unit_a + unit_b).norm(dim=2, keepdim=True)) * 2  # fmt: skip
    sine = angle.sin()  # 0 for one direction, or opposite ones: there the line is what is left
    weights = [((s * angle).sin() / sine).where(sine > 1e-4, s) for s in (1 - t, t)]
    way = weights[0] * unit_a + weights[1] * unit_b
    return (((1 - t) * long_a + t * long_b) * way).unflatten(2, shape)
