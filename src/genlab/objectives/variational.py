"""Variational autoencoders: the evidence lower bound, and what p(x | z) may be.

Read: `ELBO.loss` is the formula; a likelihood is log_prob, mean and sample of p(x | z), given the
decoder's output `params` (one location per value of x). Values are scaled to [-1, 1]; likelihoods
are in nats, summed over an example.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.shapes import sum_example


class Likelihood(nn.Module):
    """p(x | z) as a function of the decoder's output; all are [B, *shape] but log_prob [B].

    `discrete`: log_prob is a probability of grey levels (True), a density (False), or of data that
    grey images are not (None). Bits per dimension depend on which.
    """

    discrete: bool | None = None

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
        """log [F((x + delta - m) / s) - F((x - delta - m) / s)], F the sigmoid, delta half a level.

        By F(a) - F(b) = F(a) F(-b) (1 - e^(b - a)), which is exact and never takes log 0.
        """
        delta = 1 / (self.levels - 1)
        inverse_scale = (-self.log_scale).exp()
        centred = x - params.float()
        a, b = (centred + delta) * inverse_scale, (centred - delta) * inverse_scale
        log_width = torch.log(-torch.expm1(-2 * delta * inverse_scale))  # b - a = -2 delta / s
        below, above = F.logsigmoid(a), F.logsigmoid(-b)
        inside = below + above + log_width
        lowest, highest = x < -1 + delta, x > 1 - delta
        return sum_example(torch.where(lowest, below, torch.where(highest, above, inside)))

    def mean(self, params: Tensor) -> Tensor:
        """The location within [-1, 1]: the logistic law's mean, but for the levels' tails."""
        return params.clamp(-1, 1)

    def sample(self, params: Tensor, u: Tensor) -> Tensor:
        x = params + self.log_scale.exp() * torch.logit(u, eps=1e-7)
        k = ((x.clamp(-1, 1) + 1) / 2 * (self.levels - 1)).round()
        return 2 * k / (self.levels - 1) - 1


class ELBO(nn.Module):
    """- log p(x | z) + beta KL(q(z | x) || p(z)), z ~ q: Kingma & Welling 2013, eq. 3 and 10.

    q is N(mean, exp(logvar)) and p(z) = N(0, I), for z of any shape. beta = 1 is the bound; others
    are the beta-VAE (Higgins et al. 2017). In nats per example.
    """

    def __init__(self, likelihood: Likelihood, *, beta: float = 1.0) -> None:
        super().__init__()
        if beta < 0:
            raise ValueError(f"objective.beta={beta}: must be at least 0; 1 is the bound")
        self.likelihood, self.beta = likelihood, beta

    def loss(self, x: Tensor, params: Tensor, mean: Tensor, logvar: Tensor) -> dict[str, Tensor]:
        reconstruction = -self.likelihood.log_prob(x, params)
        kl = self.kl(mean, logvar)
        return {
            "loss": reconstruction + self.beta * kl,
            "reconstruction": reconstruction,
            "kl": kl,
        }

    @staticmethod
    def kl(mean: Tensor, logvar: Tensor) -> Tensor:
        """KL(N(mean, exp(logvar)) || N(0, I)) in nats [B], over all latents (appendix B)."""
        mean, logvar = mean.float(), logvar.float()
        return -0.5 * sum_example(1 + logvar - mean**2 - logvar.exp())

    def log_weight(
        self, x: Tensor, params: Tensor, z: Tensor, mean: Tensor, logvar: Tensor
    ) -> Tensor:
        """log p(x | z) p(z) / q(z | x) [B]: an importance weight (Burda et al. 2016, eq. 7-8)."""
        log_prior = -0.5 * sum_example(z**2)
        # both without ln(2 pi) / 2
        log_q = -0.5 * sum_example(logvar + (z - mean) ** 2 / logvar.exp())
        return self.likelihood.log_prob(x, params) + log_prior - log_q
