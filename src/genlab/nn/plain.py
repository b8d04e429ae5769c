"""Plain fully connected networks, as papers of 2013 to 2018 have them: linear, ReLU, linear.

Read: `layers`. No norm, no residuals; a comparison with such a paper wants its own network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from genlab.nn.layers import at_least_1


def layers(dims: Sequence[int]) -> nn.Sequential:
    """Linear layers between `dims`, ReLU after each but the last; torch's own first weights."""
    at_least_1(width=min(dims))
    made: list[nn.Module] = []
    for dim_in, dim_out in itertools.pairwise(dims):
        made += [nn.Linear(dim_in, dim_out), nn.ReLU()]
    return nn.Sequential(*made[:-1])


class PlainEncoder(nn.Module):
    """x [B, *shape] -> mean and log-variance of q(z | x), each [B, latent_dim]."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        width: int = 400,
        depth: int = 1,
        zero_one: bool = False,
    ) -> None:
        """`zero_one`: x in [-1, 1] is seen as [0, 1], as those papers have it: black is nothing."""
        super().__init__()
        self.zero_one = zero_one
        self.layers = layers([math.prod(shape), *[width] * depth, 2 * latent_dim])

    def forward(self, x: Tensor, cond: None = None) -> tuple[Tensor, Tensor]:
        x = (x + 1) / 2 if self.zero_one else x
        mean, logvar = self.layers(x.flatten(1)).chunk(2, dim=1)
        return mean, logvar


class PlainDecoder(nn.Module):
    """z [B, latent_dim] -> raw parameters of p(x | z) [B, *shape]; `outputs` numbers a value."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        width: int = 400,
        depth: int = 1,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.shape = (outputs * shape[0], *shape[1:])
        self.layers = layers([latent_dim, *[width] * depth, math.prod(self.shape)])

    def forward(self, z: Tensor, cond: None = None) -> Tensor:
        return self.layers(z).unflatten(1, self.shape)
