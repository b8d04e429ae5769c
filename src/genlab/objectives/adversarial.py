"""Adversarial losses: what the generator and the discriminator minimise, per example.

Read: each class is one paper's formula whole: `generator` and `discriminator` take logits [B],
`penalty` takes the discriminator as a function of x. `penalty_every` is how often (in batches) it
is due, and it is weighted by as much. What real examples score is given to the generator's loss as
a function: a pass of the discriminator that only a loss of pairs pays for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.rng import rand
from genlab.shapes import append_dims, sum_example

Critic = Callable[[Tensor], Tensor]
Logits = Callable[[], Tensor]


class Adversarial(Protocol):
    """What the GAN's training step needs; everything per example [B]."""

    critic_steps: int  # of the discriminator, a batch
    penalty_every: int  # batches
    boundary: float | None  # the logit between real and fake; None: only differences count

    def generator(self, fake: Tensor, real: Logits) -> Tensor: ...
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor: ...
    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> dict[str, Tensor]: ...


def input_gradient(critic: Critic, x: Tensor) -> Tensor:
    """d sum_j critic(x)_j / d x, itself differentiable.

    Where the critic judges each example by itself this is each one's own gradient. Where it mixes
    them (batch norm, packs, minibatch deviations) it is that of all their logits together.
    """
    x = x.detach().requires_grad_()
    with torch.autocast(x.device.type, enabled=False):  # a squared gradient wants full precision
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient


class ZeroCentred:
    """R1 and R2, Mescheder et al. 2018 (arXiv 1801.04406), eq. 9-10: gradients of D tend to zero.

    gamma/2 |grad D|^2 on real and on generated x, taken every `penalty_every` batches with that
    weight (lazy, Karras et al. 2020, appendix B).
    """

    critic_steps = 1

    def __init__(
        self, *, r1_gamma: float = 0.0, r2_gamma: float = 0.0, penalty_every: int = 16
    ) -> None:
        if min(r1_gamma, r2_gamma) < 0 or penalty_every < 1:
            raise ValueError(
                f"objective.r1_gamma={r1_gamma}, objective.r2_gamma={r2_gamma} must be at least 0, "
                f"objective.penalty_every={penalty_every} at least 1"
            )
        self.r1_gamma, self.r2_gamma, self.penalty_every = r1_gamma, r2_gamma, penalty_every

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        due = {"r1": (self.r1_gamma, real), "r2": (self.r2_gamma, fake)}
        return {
            name: gamma / 2 * sum_example(input_gradient(critic, x) ** 2)
            for name, (gamma, x) in due.items()
            if gamma > 0
        }


class NonSaturating(ZeroCentred):
    """The non-saturating game, Goodfellow et al. 2014 (arXiv 1406.2661), section 3."""

    boundary = 0.0

    def generator(self, fake: Tensor, real: Logits) -> Tensor:
        """- log sigmoid(D(G(z)))."""
        return F.softplus(-fake.float())

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """- log sigmoid(D(x)) - log(1 - sigmoid(D(G(z)))) (eq. 1)."""
        return F.softplus(-real.float()) + F.softplus(fake.float())


class Relativistic(ZeroCentred):
    """The relativistic pairing game of R3GAN, Huang et al. 2024 (arXiv 2501.05441), eq. 2.

    Each generated example plays against one real example, of the same condition: f of their logits'
    difference, f(t) = - log(1 + exp(-t)). With R1 and R2 it converges locally (section 2.3).
    """

    boundary = None

    def generator(self, fake: Tensor, real: Logits) -> Tensor:
        """- log sigmoid(D(G(z)) - D(x))."""
        return F.softplus(real().float() - fake.float())

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """- log sigmoid(D(x) - D(G(z)))."""
        return F.softplus(fake.float() - real.float())


class LeastSquares(ZeroCentred):
    """Least squares, Mao et al. 2017 (arXiv 1611.04076), eq. 9: real is 1, fake 0, to be 1."""

    boundary = 0.5

    def generator(self, fake: Tensor, real: Logits) -> Tensor:
        return (fake.float() - 1) ** 2 / 2

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (real.float() - 1) ** 2 / 2 + fake.float() ** 2 / 2


class Hinge:
    """The hinge loss, Lim & Ye 2017 (arXiv 1705.02894); Miyato et al. 2018, eq. 16-17."""

    critic_steps = 1
    penalty_every = 1
    boundary = 0.0

    def generator(self, fake: Tensor, real: Logits) -> Tensor:
        return -fake.float()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(1 - real.float()) + F.relu(1 + fake.float())

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        return {}


class WGANGP:
    """Wasserstein GAN with gradient penalty, Gulrajani et al. 2017 (arXiv 1704.00028), algorithm 1.

    The critic makes `critic_steps` steps a batch, on the same real examples against new fakes (the
    paper takes new real ones too); so one batch is one step here as everywhere.
    """

    penalty_every = 1
    boundary = None

    def __init__(self, *, gp_weight: float = 10.0, critic_steps: int = 5) -> None:
        if gp_weight < 0 or critic_steps < 1:
            raise ValueError(
                f"objective.gp_weight={gp_weight} must be at least 0, "
                f"objective.critic_steps={critic_steps} at least 1"
            )
        self.gp_weight, self.critic_steps = gp_weight, critic_steps

    def generator(self, fake: Tensor, real: Logits) -> Tensor:
        return -fake.float()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.float() - real.float()

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """lambda (|grad D(x_hat)| - 1)^2, x_hat between real and fake (eq. 3)."""
        if self.gp_weight == 0:
            return {}
        mix = append_dims(rand(len(real), real.device), real)
        gradient = input_gradient(critic, fake + mix * (real - fake))
        norm = (sum_example(gradient**2) + 1e-12).sqrt()  # the root's slope at 0 is infinite
        return {"gradient_penalty": self.gp_weight * (norm - 1) ** 2}
