"""Other bounds and terms for variational autoencoders than the ELBO, one paper each.

Read: each class is what objectives/variational.py's `Bound` asks for: `loss` of a batch with
the laws of its code (`Coded`). All per example [B], in nats.
"""

from __future__ import annotations

import math

from torch import Tensor

from genlab.objectives.posteriors import HALF_LOG_TAU, Normal, diagonal
from genlab.objectives.variational import ELBO, Bound, Coded, Likelihood


class IWAE(Bound):
    """- log 1/K sum_k p(x, z_k) / q(z_k | x), z_k ~ q: Burda et al. 2016 (arXiv 1509.00519), eq. 8.

    K draws a picture cost K passes of the decoder. K = 1 is the ELBO with its KL drawn.
    """

    def __init__(self, likelihood: Likelihood, *, num: int = 5) -> None:
        super().__init__(likelihood)
        if num < 1:
            raise ValueError(f"objective.num={num}: draws of z for each example, at least 1")
        self.num = num

    def loss(self, it: Coded) -> dict[str, Tensor]:
        z = it.q.draw(self.num)
        fit = self._fit(it, z)
        log_ratio = _draws(it.q.log_prob(z) - it.log_prior(z), it.x)
        bound = (fit - log_ratio).logsumexp(0) - math.log(self.num)
        return {"loss": -bound, "reconstruction": -fit.mean(0), "kl": log_ratio.mean(0)}

    def _fit(self, it: Coded, z: Tensor) -> Tensor:
        """log p(x | z_k) [K, B]."""
        again = it.x.repeat(self.num, *[1] * (it.x.ndim - 1))
        return _draws(self.likelihood.log_prob(again, it.decode(z)), it.x)


class DoublyReparameterised(IWAE):
    """IWAE's bound, whose gradient for the encoder does not drown in noise as K grows.

    Tucker et al. 2019 (arXiv 1810.04152), eq. 8: the encoder's is sum_k w_k^2 d log w_k / d z_k
    d z_k / d phi, w_k the normalised weights, with no gradient through q's own parameters; the
    decoder's is IWAE's.
    """

    def loss(self, it: Coded) -> dict[str, Tensor]:
        q = diagonal(it.q, "objective=iwae_dreg")
        z = q.draw(self.num)
        fit = self._fit(it, z)
        log_ratio = _draws(q.fixed().log_prob(z) - it.log_prior(z), it.x)
        log_weight = fit - log_ratio
        share = log_weight.detach().softmax(0)  # w_k [K, B]
        if z.requires_grad:  # a second w_k, on the way to the encoder alone
            flat = share.flatten()
            z.register_hook(lambda g: g * flat.view(-1, *[1] * (g.ndim - 1)))
        bound = log_weight.logsumexp(0) - math.log(self.num)
        return {"loss": -bound, "reconstruction": -fit.mean(0), "kl": log_ratio.mean(0)}


class FreeBits(ELBO):
    """The ELBO in which a value of the code may hold `nats` at no cost.

    Kingma et al. 2016 (arXiv 1606.04934), eq. 15: sum_j max(nats, mean over the batch of KL_j), so
    that a code that is not used costs as much as one that holds so little. Each process takes the
    mean over its share of the batch.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        *,
        nats: float = 0.1,
        beta: float = 1.0,
        warmup: int = 0,
        cycle: int | None = None,
    ) -> None:
        super().__init__(likelihood, beta=beta, warmup=warmup, cycle=cycle)
        if nats < 0:
            raise ValueError(f"objective.nats={nats}: must be at least 0")
        self.nats = nats

    def loss(self, it: Coded) -> dict[str, Tensor]:
        terms = super().loss(it)
        each = diagonal(it.q, "objective=free_bits").kl_each()
        free = each.mean(0).clamp(min=self.nats).sum()
        terms["loss"] = terms["reconstruction"] + self.beta(it.seen) * free
        return terms


class BetaTC(Bound):
    """The KL taken apart: information + tc_weight total correlation + what each value's law costs.

    Chen et al. 2018 (arXiv 1802.04942), eq. 2 and 4, alpha = gamma = 1. q(z) is the mean of
    q(z | x) over the batch: their estimate (eq. 5) but for a constant that only the size of the
    data set changes, and no gradient. With tc_weight = 1 the three are the ELBO's KL, drawn.
    """

    def __init__(self, likelihood: Likelihood, *, tc_weight: float = 6.0) -> None:
        super().__init__(likelihood)
        if tc_weight < 0:
            raise ValueError(f"objective.tc_weight={tc_weight}: must be at least 0; 1 is the ELBO")
        self.tc_weight = tc_weight

    def loss(self, it: Coded) -> dict[str, Tensor]:
        q = diagonal(it.q, "objective=beta_tc")
        z = q.draw()
        reconstruction = -self.likelihood.log_prob(it.x, it.decode(z))
        log_q, each = q.log_prob(z), averaged(q, z)
        log_joint, log_product = each["joint"], each["product"]
        information, tc = log_q - log_joint, log_joint - log_product
        dimensions = log_product - it.log_prior(z)
        return {
            "loss": reconstruction + information + self.tc_weight * tc + dimensions,
            "reconstruction": reconstruction,
            "kl": information + tc + dimensions,
            "information": information,
            "total_correlation": tc,
        }


def averaged(q: Normal, z: Tensor) -> dict[str, Tensor]:
    """log of the mean over a batch of q(z | x_j), whole and as a product over values, each [B]."""
    z, mean, logvar = (t.flatten(1) for t in (z, q.mean, q.logvar))
    squares = (z[:, None] - mean) ** 2 / logvar.exp()
    each = -0.5 * (logvar + squares) - HALF_LOG_TAU  # [B, B, D]
    return {
        "joint": each.sum(2).logsumexp(1) - math.log(len(mean)),
        "product": (each.logsumexp(1) - math.log(len(mean))).sum(1),
    }


def _draws(values: Tensor, x: Tensor) -> Tensor:
    """[K B] -> [K, B]."""
    return values.view(-1, len(x))
