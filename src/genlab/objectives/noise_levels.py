"""How well a model denoises at each noise level, in one unit for all objectives.

Read: `denoised` measures examples at a level of each bin, `NoiseErrors.loss` gives the unit. The
levels are sigma / alpha, so that paths with other levels stand beside each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.objectives.diffusion import NetFn, Path
from genlab.rng import rand, randn_like
from genlab.shapes import per_example

EDGES = tuple(10 ** (i / 2 - 2.5) for i in range(10))  # 0.003 to 100: nine bins of half a decade


class NoiseErrors(NamedTuple):
    """|D(x_t; t) - x_0|^2 of B examples, each at one level of each of K bins.

    Not a number where the path has no level in a bin.
    """

    error: Tensor  # [B, K] the mean over an example's values
    ratio: Tensor  # [B, K] sigma / alpha
    mean: Tensor  # [B] of an example's values
    square: Tensor  # [B]

    def joined(self, others: Sequence[NoiseErrors]) -> NoiseErrors:
        """These examples and those of others."""
        return NoiseErrors(*(torch.cat(parts) for parts in zip(self, *others, strict=True)))

    def loss(self) -> Tensor:
        """The error over that of the best affine denoiser of data with this variance [B, K].

        With s the data's deviation that one leaves r^2 s^2 / (r^2 + s^2) at sigma / alpha = r; one
        over it is EDM's weight (Karras et al. 2022, table 1), and this EDM's own loss. 1 everywhere
        is what a network that has learnt nothing begins with there.
        """
        variance = (self.square.mean() - self.mean.mean() ** 2).clamp(min=1e-12)
        square = self.ratio**2
        return self.error * (square + variance) / (square * variance)


def denoised(path: Path, net_fn: NetFn, x0: Tensor) -> NoiseErrors | None:
    """Each example at a chance level of each bin, even in ln(sigma / alpha).

    None of an objective whose `denoise` is not E[x_0 | x_t].
    """
    if "slope" not in getattr(path, "offers", ("slope",)):
        return None
    ends = path.at(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist()
    lowest, highest = (_ratio(path, t) for t in ends)
    errors, ratios = [], []
    for low, high in pairwise(EDGES):
        low, high = max(low, lowest), min(high, highest)
        share, eps = rand(len(x0), x0.device).double(), randn_like(x0)
        ratio = low * (high / low) ** share
        if low >= high:
            errors.append(torch.full_like(ratio, math.nan))
        else:
            t = path.at_ratio(ratio).to(x0)
            D = path.denoise(net_fn, path.noised(x0, eps, t), t)
            errors.append(per_example((D.double() - x0) ** 2))
        ratios.append(ratio)
    mean, square = per_example(x0.double()), per_example(x0.double() ** 2)
    parts = torch.stack(errors, 1), torch.stack(ratios, 1), mean, square
    return NoiseErrors(*(part.cpu() for part in parts))


def _ratio(path: Path, t: float) -> float:
    alpha, sigma = path.alpha_sigma(t)
    return sigma / alpha if alpha > 0 else math.inf
