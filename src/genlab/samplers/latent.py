"""The prior of latent-variable models (GAN, VAE): where z comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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
