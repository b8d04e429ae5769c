"""Inversion: the z that a decoder makes into a given x, found by its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.samplers.latent import Noise
from genlab.shapes import append_dims, sum_example


@dataclass(frozen=True, kw_only=True)
class Inversion:
    """min_z |G(z) - x|^2 + weight |z|^2, from several starts: Bora et al. 2017 (arXiv 1703.03209).

    Adam at a rate that falls to zero by a line; each example's best start is what counts, so an
    example's z depends on no other's.
    """

    steps: int = 300
    lr: float = 0.1
    weight: float = 0.001  # of z's size: keeps it where the prior is
    starts: int = 4

    def __post_init__(self) -> None:
        if min(self.steps, self.starts) < 1 or self.lr <= 0 or self.weight < 0:
            raise ValueError(
                f"inversion: steps={self.steps}, starts={self.starts} must be at least 1, "
                f"lr={self.lr} above 0, weight={self.weight} at least 0"
            )

    def __call__(
        self, decode: Callable[[Tensor], Tensor], x: Tensor, draws: Noise, shape: Sequence[int]
    ) -> Tensor:
        """x [B, ...] -> z [B, *shape]; the starts are drawn from the prior."""
        best, least = self._from(draws.randn(shape), decode, x)
        for _ in range(self.starts - 1):
            z, loss = self._from(draws.randn(shape), decode, x)
            best = z.where(append_dims(loss < least, z), best)
            least = loss.minimum(least)
        return best

    def _from(
        self, z: Tensor, decode: Callable[[Tensor], Tensor], x: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Where the gradient leads from z, and the loss there, per example."""

        def loss(z: Tensor) -> Tensor:
            return sum_example((decode(z) - x) ** 2) + self.weight * sum_example(z**2)

        z = z.clone().requires_grad_()
        adam = torch.optim.Adam([z], lr=self.lr, betas=(0.9, 0.99))
        for i in range(self.steps):
            adam.param_groups[0]["lr"] = self.lr * (1 - i / self.steps)
            with torch.enable_grad():
                (z.grad,) = torch.autograd.grad(loss(z).sum(), z)
            adam.step()
        with torch.no_grad():
            return z.detach(), loss(z)
