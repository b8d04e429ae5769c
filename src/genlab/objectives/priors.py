"""p(z): the law of the latent code before anything is seen, and how it is drawn from.

Read: each is one class: `log_prob`, and `draw`, which makes a code of the sampler's normal noise.
`infer` is the encoder: x -> mean and log-variance of q(z | x). All in nats [B].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from genlab.batch import Batch
from genlab.objectives.posteriors import HALF_LOG_TAU, Law, Normal, log_normal
from genlab.rng import generator

Infer = Callable[[Tensor], tuple[Tensor, Tensor]]


class Uniforms(Protocol):
    """Draws with one generator per example (genlab.rng.Draws)."""

    def rand(self, shape: Sequence[int] = ()) -> Tensor: ...


class LatentPrior(nn.Module):
    """The base: what a prior must say."""

    conditional = True  # whether a model with conditions can have it
    standard = False  # whether it is N(0, I)

    def log_prob(self, z: Tensor, infer: Infer) -> Tensor:
        """log p(z) [B] of z [B, *S]."""
        raise NotImplementedError

    def draw(self, noise: Tensor, draws: Uniforms, infer: Infer) -> Tensor:
        """z [num, *S] ~ p of normal noise of the same shape."""
        raise NotImplementedError

    def kl(self, q: Law, z: Tensor, infer: Infer) -> Tensor:
        """KL(q || p) [B], from one draw z each where it has no closed form."""
        return q.log_prob(z) - self.log_prob(z, infer)

    def begin(self, batches: Iterable[Batch]) -> None:
        """Take from the first batches what it starts from; most need nothing."""


class StandardNormal(LatentPrior):
    """N(0, I)."""

    standard = True

    def log_prob(self, z: Tensor, infer: Infer) -> Tensor:
        return log_normal(z)

    def draw(self, noise: Tensor, draws: Uniforms, infer: Infer) -> Tensor:
        return noise

    def kl(self, q: Law, z: Tensor, infer: Infer) -> Tensor:
        return q.kl_to_normal(z)


class VampPrior(LatentPrior):
    """The mean of q(z | u_k) over learned pseudo-inputs u_k, k = 1 .. num.

    Tomczak & Welling 2018 (arXiv 1705.07120), eq. 9. The u_k begin as the first training examples
    and stay within the data's range.
    """

    conditional = False  # its pseudo-inputs are of no class

    def __init__(self, *, shape: Sequence[int], num: int = 500) -> None:
        super().__init__()
        if num < 1:
            raise ValueError(f"model.prior.num={num}: must be at least 1")
        drawn = torch.randn((num, *shape), generator=generator("vamp"), device="cpu")
        self.inputs = nn.Parameter(0.1 * drawn.to(torch.get_default_device()))

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch]) -> None:
        filled = 0
        for batch in batches:
            x = batch["x"][: len(self.inputs) - filled]
            self.inputs[filled : filled + len(x)] = x.to(self.inputs)
            filled += len(x)
            if filled == len(self.inputs):
                return

    def log_prob(self, z: Tensor, infer: Infer) -> Tensor:
        parts = self._parts(infer)
        mean, logvar = parts.mean.flatten(1), parts.logvar.flatten(1)  # [K, D]
        squares = (z.flatten(1)[:, None] - mean) ** 2 / logvar.exp()
        each = (-0.5 * (logvar + squares) - HALF_LOG_TAU).sum(2)  # [B, K]
        return each.logsumexp(1) - math.log(len(mean))

    def draw(self, noise: Tensor, draws: Uniforms, infer: Infer) -> Tensor:
        parts = self._parts(infer)
        k = (draws.rand() * len(self.inputs)).long().clamp(max=len(self.inputs) - 1)
        return parts.mean[k] + (parts.logvar[k] / 2).exp() * noise

    def _parts(self, infer: Infer) -> Normal:
        return Normal(*infer(self.inputs.clamp(-1, 1)))


class FlowPrior(LatentPrior):
    """The law of flow(noise), noise ~ N(0, I): Chen et al. 2017 (arXiv 1611.02731), section 3.2."""

    def __init__(self, flow: nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def log_prob(self, z: Tensor, infer: Infer) -> Tensor:
        noise, log_det = self.flow.inverse(z)
        return log_normal(noise) + log_det

    def draw(self, noise: Tensor, draws: Uniforms, infer: Infer) -> Tensor:
        return self.flow(noise)[0]
