"""Likelihoods of grey levels for which a decoder says more than a location for each value.

Read: both are a `Likelihood` of variational.py; `outputs` numbers a value come from the decoder,
params [B, outputs * C, ...], and x = 2 k / (levels - 1) - 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genlab.objectives.variational import Likelihood, log_level
from genlab.shapes import sum_example

LEAST = -7.0  # log scales: e^-7 is an eighth of one of 256 levels


def _levels(levels: int | None, outputs: int, needed: int | None) -> int:
    """The levels, checked, and whether as many outputs are stated as are needed."""
    if levels is None or levels < 2:
        raise ValueError(
            f"objective.likelihood.levels={levels}: needs images with a number of grey levels; for"
            " other data write objective=elbo_gaussian"
        )
    if outputs != (needed or levels):
        raise ValueError(
            f"objective.likelihood.outputs={outputs}: the decoder gives {needed or levels} numbers"
            f" a value; write {needed or levels}"
        )
    return levels


class LogisticMixture(Likelihood):
    """`num` logistic laws for each value, integrated over each level.

    Salimans et al. 2017 (PixelCNN++, arXiv 1701.05517), eq. 1-2; values are independent given z.
    """

    discrete = True

    def __init__(
        self, *, levels: int | None, num: int = 5, outputs: int = 15, scale: float = 0.1
    ) -> None:
        """`scale` is where every law's scale starts; `outputs` is 3 num: weight, place, scale."""
        super().__init__()
        if num < 1:
            raise ValueError(f"objective.likelihood.num={num}: must be at least 1")
        self.levels = _levels(levels, outputs, 3 * num)
        self.num, self.outputs, self.start = num, outputs, math.log(scale)

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        log_weight, location, log_scale = self._laws(params)
        each = log_level(x[:, None], location, log_scale, self.levels)
        return sum_example((log_weight + each).logsumexp(1))

    def mean(self, params: Tensor) -> Tensor:
        log_weight, location, _ = self._laws(params)
        return (log_weight.exp() * location.clamp(-1, 1)).sum(1)

    def sample(self, params: Tensor, u: Tensor) -> Tensor:
        """u says which law, and what is left of it where in the law."""
        log_weight, location, log_scale = self._laws(params)
        k, u = inverse(log_weight.exp(), u)
        location, log_scale = (t.gather(1, k[:, None])[:, 0] for t in (location, log_scale))
        x = location + log_scale.exp() * torch.logit(u, eps=1e-7)
        return ((x.clamp(-1, 1) + 1) / 2 * (self.levels - 1)).round() * 2 / (self.levels - 1) - 1

    def _laws(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log weights, locations, log scales, each [B, num, C, ...]; places start spread out."""
        weight, location, log_scale = params.float().unflatten(1, (3, self.num, -1)).unbind(1)
        spread = torch.linspace(-1, 1, 2 * self.num + 1, device=params.device)[1::2]
        spread = spread.view(-1, *[1] * (location.ndim - 2))
        return weight.log_softmax(1), location + spread, (log_scale + self.start).clamp(min=LEAST)


class Categorical(Likelihood):
    """Any law over the levels of each value, independent given z: a softmax of `levels` numbers."""

    discrete = True

    def __init__(self, *, levels: int | None, outputs: int) -> None:
        super().__init__()
        self.levels = _levels(levels, outputs, None)
        self.outputs = outputs

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        k = ((x + 1) / 2 * (self.levels - 1)).round().long()
        return sum_example(self._log_p(params).gather(1, k[:, None])[:, 0])

    def mean(self, params: Tensor) -> Tensor:
        p = self._log_p(params).exp()
        value = torch.linspace(-1, 1, self.levels, device=p.device)
        return (p * value.view(-1, *[1] * (p.ndim - 2))).sum(1)

    def sample(self, params: Tensor, u: Tensor) -> Tensor:
        k, _ = inverse(self._log_p(params).exp(), u)
        return 2 * k.to(params) / (self.levels - 1) - 1

    def _log_p(self, params: Tensor) -> Tensor:
        """[B, levels, C, ...]."""
        return params.float().unflatten(1, (self.levels, -1)).log_softmax(1)


def inverse(p: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Which of p [B, K, ...] the uniforms u [B, ...] fall on, and where in it, in [0, 1)."""
    ends = p.cumsum(1)
    k = (u[:, None] >= ends).sum(1).clamp(max=p.shape[1] - 1)
    width, end = (t.gather(1, k[:, None])[:, 0] for t in (p, ends))
    return k, ((u - (end - width)) / width).clamp(0, 1)
