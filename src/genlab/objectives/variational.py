"""Variational autoencoders: the evidence lower bound, and what p(x | z) may be.

Read: `ELBO.loss` is the formula (others are in bounds.py, q(z | x) in posteriors.py, p(z) in
priors.py); a likelihood is log_prob, mean and sample of p(x | z), given the decoder's output
`params` (one location per value of x). Values are scaled to [-1, 1]; likelihoods are in nats,
summed over an example.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.objectives.posteriors import Law
from genlab.objectives.priors import Infer, LatentPrior
from genlab.shapes import sum_example


class Likelihood(nn.Module):
    """p(x | z) as a function of the decoder's output; all are [B, *shape] but log_prob [B].

    `discrete`: log_prob is a probability of grey levels (True), a density (False), or of data that
    grey images are not (None). Bits per dimension depend on which.
    """

    discrete: bool | None = None
    outputs: int = 1  # of the decoder for each value of x: params is [B, outputs * C, ...]

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """log p(x | z) in nats [B]."""
        raise NotImplementedError

    def mean(self, params: Tensor) -> Tensor:
        """E[x | z]."""
        raise NotImplementedError

    def sample(self, params: Tensor, u: Tensor) -> Tensor:
        """A draw of x by inverse CDF from uniforms u, shaped as x."""
        raise NotImplementedError


class Bernoulli(Likelihood):
    """Each value is black (-1) or white (1): Kingma & Welling 2013 (arXiv 1312.6114), eq. 11 (C.1).

    Grey values count as probabilities, which is usual but no likelihood of grey images.
    """

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        y = (x + 1) / 2
        return -sum_example(F.binary_cross_entropy_with_logits(params.float(), y, reduction="none"))

    def mean(self, params: Tensor) -> Tensor:
        return 2 * params.sigmoid() - 1

    def sample(self, params: Tensor, u: Tensor) -> Tensor:
        return 2 * (u < params.sigmoid()).to(params) - 1


class Gaussian(Likelihood):
    """x ~ N(params, sigma^2); with `learn` sigma is one learned number (Rybkin et al. 2021)."""

    discrete = False

    def __init__(self, *, sigma: float = 1.0, learn: bool = False) -> None:
        super().__init__()
        if sigma <= 0:
            raise ValueError(f"objective.likelihood.sigma={sigma}: must be above 0")
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma)), requires_grad=learn)

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        r = (x - params.float()) * (-self.log_sigma).exp()
        return sum_example(-(r**2) / 2 - self.log_sigma - math.log(2 * math.pi) / 2)

    def mean(self, params: Tensor) -> Tensor:
        return params

    def sample(self, params: Tensor, u: Tensor) -> Tensor:
        eps = torch.special.ndtri(u.clamp(1e-7, 1 - 1e-7))
        return params + self.log_sigma.exp() * eps


class DiscretisedLogistic(Likelihood):
    """A logistic law of location `params`, integrated over each grey level: exact for images.

    Kingma et al. 2016 (IAF, arXiv 1606.04934), eq. 16; Salimans et al. 2017 (PixelCNN++, arXiv
    1701.05517), eq. 2: the lowest and the highest level take the tails. The levels are x = 2 k /
    (levels - 1) - 1. One learned scale for all values; the location is params itself.
    """

    discrete = True

    def __init__(self, *, levels: int | None, scale: float = 0.1) -> None:
        super().__init__()
        if levels is None or levels < 2:
            raise ValueError(
                f"objective.likelihood.levels={levels}: needs images with a number of grey levels; "
                "for other data write objective=elbo_gaussian"
            )
        self.levels = levels
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """Of each value, summed."""
        return sum_example(log_level(x, params.float(), self.log_scale, self.levels))

    def mean(self, params: Tensor) -> Tensor:
        """The location within [-1, 1]: the logistic law's mean, but for the levels' tails."""
        return params.clamp(-1, 1)

    def sample(self, params: Tensor, u: Tensor) -> Tensor:
        x = params + self.log_scale.exp() * torch.logit(u, eps=1e-7)
        k = ((x.clamp(-1, 1) + 1) / 2 * (self.levels - 1)).round()
        return 2 * k / (self.levels - 1) - 1


def log_level(x: Tensor, location: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log [F((x + delta - m) / s) - F((x - delta - m) / s)], F the sigmoid, delta half a level.

    By F(a) - F(b) = F(a) F(-b) (1 - e^(b - a)), which is exact and never takes log 0.
    """
    delta = 1 / (levels - 1)
    inverse_scale = (-log_scale).exp()
    centred = x - location
    a, b = (centred + delta) * inverse_scale, (centred - delta) * inverse_scale
    log_width = torch.log(-torch.expm1(-2 * delta * inverse_scale))  # b - a = -2 delta / s
    below, above = F.logsigmoid(a), F.logsigmoid(-b)
    inside = below + above + log_width
    lowest, highest = x < -1 + delta, x > 1 - delta
    return torch.where(lowest, below, torch.where(highest, above, inside))


Decode = Callable[[Tensor], Tensor]  # z [num B, *S] -> the parameters of p(x | z)


@dataclass(frozen=True)
class Coded:
    """A batch and the laws of its code: what a bound is made of."""

    x: Tensor  # [B, ...]
    q: Law
    prior: LatentPrior
    decode: Decode
    infer: Infer
    seen: int | None = None  # training examples so far; None: nothing is trained

    def kl(self, z: Tensor) -> Tensor:
        """KL(q || p) [B], of one draw z each where it has no closed form."""
        return self.prior.kl(self.q, z, self.infer)

    def log_prior(self, z: Tensor) -> Tensor:
        return self.prior.log_prob(z, self.infer)


class Bound(nn.Module):
    """What a VAE minimises: a likelihood, and how far q(z | x) may lie from p(z)."""

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood

    def loss(self, it: Coded) -> dict[str, Tensor]:
        """The terms per example [B], in nats."""
        raise NotImplementedError

    def log_weight(self, it: Coded) -> Tensor:
        """log p(x | z) p(z) / q(z | x) [B] of one draw each (Burda et al. 2016, eq. 7-8)."""
        z = it.q.draw()
        log_prior = it.log_prior(z)
        return self.likelihood.log_prob(it.x, it.decode(z)) + log_prior - it.q.log_prob(z)


@dataclass(frozen=True)
class Beta:
    """The weight of a KL: `value`, to which it rises in a line from 0 over `warmup` examples

    (Bowman et al. 2016), and does so anew every `cycle` examples where that is stated (Fu et al.
    2019, arXiv 1903.10145).
    """

    value: float = 1.0
    warmup: int = 0
    cycle: int | None = None

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError(f"objective.beta={self.value}: must be at least 0; 1 is the bound")
        if self.warmup < 0 or (self.cycle is not None and self.cycle < max(self.warmup, 1)):
            raise ValueError(
                f"objective.warmup={self.warmup} objective.cycle={self.cycle}: warmup is the"
                " examples over which beta rises, at least 0; cycle, after which it does so again,"
                " is no less"
            )

    def __call__(self, seen: int | None) -> float:
        """After `seen` training examples; the whole of it where nothing is trained (None)."""
        if seen is None or self.warmup == 0:
            return self.value
        since = seen if self.cycle is None else seen % self.cycle
        return self.value * min(1.0, since / self.warmup)


class ELBO(Bound):
    """- log p(x | z) + beta KL(q(z | x) || p(z)), z ~ q: Kingma & Welling 2013, eq. 3 and 10.

    beta = 1 is the bound; others are the beta-VAE (Higgins et al. 2017). In nats per example.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        *,
        beta: float = 1.0,
        warmup: int = 0,
        cycle: int | None = None,
    ) -> None:
        """`warmup` and `cycle` in examples: `Beta`."""
        super().__init__(likelihood)
        self.beta = Beta(beta, warmup, cycle)

    def loss(self, it: Coded) -> dict[str, Tensor]:
        z = it.q.draw()
        reconstruction = -self.likelihood.log_prob(it.x, it.decode(z))
        kl = it.kl(z)
        return {
            "loss": reconstruction + self.beta(it.seen) * kl,
            "reconstruction": reconstruction,
            "kl": kl,
        }
