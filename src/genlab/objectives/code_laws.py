"""The values of a code one by one: how much each tells of x, and which are in use.

Read: `CodeLaws` holds what q(z_j | x) is for some examples, and says what z_j is before x is seen:
N(0, 1) where the prior is that, else the normal law with the mean and the spread of the aggregate
posterior, under which the KL is an upper bound of what z_j tells of x (Hoffman & Johnson 2016,
"ELBO surgery").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

IN_USE = 0.01  # nats, above which a value of the code tells of x
ACTIVE = 0.01  # the variance of a value's posterior mean over examples (Burda et al. 2016)


@dataclass(frozen=True)
class CodeLaws:
    """q(z_j | x) = N(mean, std^2) of B examples and D values of the code, independent of others.

    `part`: of which part of the code the values are, where there is more of it.
    """

    mean: Tensor  # [B, D]
    std: Tensor  # [B, D]
    standard: bool  # whether z_j ~ N(0, 1) before x is seen
    part: str = ""

    def joined(self, others: Sequence[CodeLaws]) -> CodeLaws:
        """These examples and those of others."""
        parts = [self, *others]
        mean, std = (
            torch.cat([getattr(p, name).cpu().double() for p in parts]) for name in ("mean", "std")
        )
        return CodeLaws(mean, std, self.standard, self.part)

    def before(self) -> tuple[Tensor, Tensor]:
        """The mean and standard deviation of each z_j before x is seen, [D] each."""
        if self.standard:
            return torch.zeros_like(self.mean[0]), torch.ones_like(self.mean[0])
        spread = self.std.square().mean(0) + self.mean.var(0, correction=0)
        return self.mean.mean(0), spread.sqrt()

    def kl(self) -> Tensor:
        """The mean over examples of KL(q(z_j | x) || what z_j is before), in nats [D]."""
        centre, spread = self.before()
        far = (self.std.square() + (self.mean - centre).square()) / spread.square()
        return ((spread / self.std).log() + (far - 1) / 2).mean(0)

    def in_use(self) -> list[int]:
        """The values whose KL is above IN_USE, the one that tells most first."""
        kl = self.kl()
        return [j for j in kl.argsort(descending=True, stable=True).tolist() if kl[j] > IN_USE]

    def active(self) -> int:
        """How many values' posterior mean varies over examples by more than ACTIVE.

        Burda et al. 2016 (arXiv 1509.00519), section 5.2: A_u = Cov_x(E[u | x]) > 10^-2.
        """
        return int((self.mean.var(0) > ACTIVE).sum())
