"""The evidence lower bound of a ladder of latents: each layer's prior depends on those above it.

Read: `LadderELBO.loss` is the formula. A layer l is (z_l, prior, posterior), and a normal law is
(mean, logvar) of any shape [B, ...]. The likelihoods are those of variational.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.objectives import posteriors
from genlab.objectives.variational import Beta, Likelihood
from genlab.shapes import sum_example

Normal = tuple[Tensor, Tensor]
Layer = tuple[Tensor, Normal, Normal]


def kl(q: Normal, p: Normal) -> Tensor:
    """KL(q || p) of normal laws with diagonal covariance, in nats [B]."""
    (mean_q, logvar_q), (mean_p, logvar_p) = q, p
    far = logvar_q.exp() + (mean_q - mean_p) ** 2
    return 0.5 * sum_example(logvar_p - logvar_q + far * (-logvar_p).exp() - 1)


class LadderELBO(nn.Module):
    """- log p(x | z) + beta sum_l KL(q(z_l | z_<l, x) || p(z_l | z_<l)), z_l ~ q.

    Sonderby et al. 2016 (arXiv 1602.02282), eq. 7; Child 2021 (arXiv 2011.10650), section 2.2.
    Given the layers above, each term is in closed form. In nats per example.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        *,
        beta: float = 1.0,
        warmup: int = 0,
        cycle: int | None = None,
    ) -> None:
        """Without a `warmup` (Sonderby, section 2.2) layers that are of no use yet are turned off
        for good."""
        super().__init__()
        self.likelihood, self.beta = likelihood, Beta(beta, warmup, cycle)

    def loss(
        self, x: Tensor, params: Tensor, layers: Sequence[Layer], *, seen: int | None = None
    ) -> dict[str, Tensor]:
        """With the KL of each layer, kl_1 the top one's."""
        reconstruction = -self.likelihood.log_prob(x, params)
        kls = [kl(posterior, prior) for _, prior, posterior in layers]
        total = torch.stack(kls).sum(0)
        return {
            "loss": reconstruction + self.beta(seen) * total,
            "reconstruction": reconstruction,
            "kl": total,
            **{f"kl_{number}": each for number, each in enumerate(kls, 1)},
        }

    def bound(self, x: Tensor, params: Tensor, layers: Sequence[Layer]) -> Tensor:
        """log p(x | z) - sum_l KL [B]: the evidence lower bound, whatever beta is."""
        total = torch.stack([kl(posterior, prior) for _, prior, posterior in layers]).sum(0)
        return self.likelihood.log_prob(x, params) - total

    def log_weight(self, x: Tensor, params: Tensor, layers: Sequence[Layer]) -> Tensor:
        """log p(x, z) / q(z | x) [B]: an importance weight (Burda et al. 2016, eq. 7-8)."""
        return self.likelihood.log_prob(x, params) + sum(
            posteriors.Normal(*prior).log_prob(z) - posteriors.Normal(*posterior).log_prob(z)
            for z, prior, posterior in layers
        )
