"""q(z | x): the law of the latent code that an encoder's two outputs stand for.

Read: `Normal` is the law itself, of one batch; `Diagonal` makes it from the encoder's mean and
log-variance, `Flowed` bends its draws by a normalising flow, so that q need be neither normal nor
independent. All in nats, summed over an example's code [B, *S].
"""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor, nn

from genlab.rng import randn
from genlab.shapes import sum_example

HALF_LOG_TAU = math.log(2 * math.pi) / 2


class Bijection(Protocol):
    """A normalising flow: z -> (y, log |det dy/dz| [B]), and back."""

    def __call__(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]: ...
    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]: ...


class Law(Protocol):
    """q(z | x) of a batch of B examples; draw j of example i is row j B + i."""

    def draw(self, num: int = 1) -> Tensor:
        """num draws of each example's z [num B, *S], which carry gradients."""

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x) [num B] of num draws for each example."""

    def kl_to_normal(self, z: Tensor) -> Tensor:
        """KL(q || N(0, I)) [B], or an estimate of it from one draw z each."""

    def middle(self) -> Tensor:
        """The code that stands for q [B, *S]: its mean, where that is known."""


class Normal:
    """N(mean, exp(logvar)), each [B, *S]; its values are independent."""

    def __init__(self, mean: Tensor, logvar: Tensor) -> None:
        self.mean, self.logvar = mean, logvar

    def draw(self, num: int = 1) -> Tensor:
        """mean + sigma eps (Kingma & Welling 2013, section 2.4)."""
        b, *rest = self.mean.shape
        eps = randn((b, num, *rest), self.mean.device).movedim(1, 0)
        return (self.mean + (self.logvar / 2).exp() * eps).flatten(0, 1)

    def log_prob(self, z: Tensor) -> Tensor:
        z = z.unflatten(0, (-1, len(self.mean)))
        each = -0.5 * (self.logvar + (z - self.mean) ** 2 / self.logvar.exp()) - HALF_LOG_TAU
        return sum_example(each.flatten(0, 1))

    def kl_each(self) -> Tensor:
        """KL(q || N(0, I)) of each value of the code [B, *S] (Kingma & Welling, appendix B)."""
        return -0.5 * (1 + self.logvar - self.mean**2 - self.logvar.exp())

    def kl_to_normal(self, z: Tensor) -> Tensor:
        return sum_example(self.kl_each())

    def middle(self) -> Tensor:
        return self.mean

    def fixed(self) -> Normal:
        """The same law, through which no gradient flows."""
        return Normal(self.mean.detach(), self.logvar.detach())


class Bent:
    """The law of flow(z), z ~ base: log q(y) = log base(z) - log |det dy/dz|."""

    def __init__(self, base: Normal, flow: Bijection, context: Tensor) -> None:
        self.base, self.flow, self.context = base, flow, context
        self._last: tuple[Tensor, Tensor] | None = None  # a draw, and its log q

    def draw(self, num: int = 1) -> Tensor:
        z = self.base.draw(num)
        y, log_det = self.flow(z, self._context(num))
        self._last = y, self.base.log_prob(z) - log_det
        return y

    def log_prob(self, z: Tensor) -> Tensor:
        if self._last is not None and self._last[0] is z:
            return self._last[1]
        start, log_det = self.flow.inverse(z, self._context(len(z) // len(self.context)))
        return self.base.log_prob(start) + log_det

    def kl_to_normal(self, z: Tensor) -> Tensor:
        return self.log_prob(z) - log_normal(z)

    def middle(self) -> Tensor:
        """Where the flow takes the base's mean."""
        return self.flow(self.base.mean, self._context(1))[0]

    def _context(self, num: int) -> Tensor:
        return self.context.repeat(num, *[1] * (self.context.ndim - 1))


class Diagonal(nn.Module):
    """q(z | x) = N(mean, exp(logvar)): Kingma & Welling 2013 (arXiv 1312.6114), eq. 9."""

    def forward(self, mean: Tensor, logvar: Tensor) -> Law:
        return Normal(mean, logvar)


class Flowed(nn.Module):
    """A normal law's draws, bent by a flow that sees the encoder's output.

    Rezende & Mohamed 2015 (arXiv 1505.05770), eq. 13; with an inverse autoregressive flow it is
    Kingma et al. 2016 (arXiv 1606.04934), algorithm 1. What the flow is told is the mean.
    """

    def __init__(self, flow: nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, mean: Tensor, logvar: Tensor) -> Law:
        return Bent(Normal(mean, logvar), self.flow, mean.flatten(1))


def log_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I) [B]."""
    return sum_example(-0.5 * z.float() ** 2 - HALF_LOG_TAU)


def diagonal(law: Law, asked_by: str) -> Normal:
    """The law, if it is a normal one of independent values; ValueError names who needs it so."""
    if not isinstance(law, Normal):
        raise ValueError(
            f"{asked_by} takes apart the KL of a normal posterior: write posterior=diagonal"
        )
    return law
