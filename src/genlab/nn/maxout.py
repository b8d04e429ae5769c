"""The networks of PacGAN's points in the plane: batch norm in the generator, maxout against it.

Read: each class is a stack of layers. Lin et al. 2018 (arXiv 1712.04086), appendix; the same as in
Adversarially Learned Inference's toy experiments (Dumoulin et al. 2017).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.nn.layers import at_least_1


def _normal(module: nn.Linear, std: float) -> nn.Linear:
    nn.init.normal_(module.weight, std=std)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class BatchNormGenerator(nn.Module):
    """z [B, latent_dim] -> x [B, *shape]: linear, batch norm, ReLU, again and again; a last linear.

    Samples are drawn with the running means, so each depends on its own z alone.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        width: int = 400,
        depth: int = 4,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        at_least_1(width=width, depth=depth)
        self.shape = tuple(shape)
        layers: list[nn.Module] = []
        for dim_in, dim_out in itertools.pairwise([latent_dim, *[width] * depth]):
            linear = _normal(nn.Linear(dim_in, dim_out, bias=False), init_std)
            layers += [linear, nn.BatchNorm1d(dim_out, momentum=0.05), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.last = _normal(nn.Linear(width, math.prod(shape)), init_std)

    def forward(self, z: Tensor, cond: None = None) -> Tensor:
        return self.last(self.layers(z)).unflatten(1, self.shape)


class MaxoutDiscriminator(nn.Module):
    """Packs of `pack` examples [B, *shape] -> a logit for each example [B], that of its pack.

    A layer's unit is the largest of `pieces` linear ones (Goodfellow et al. 2013). `pack` examples
    that follow one another are judged as a whole (PacGAN, section 2); a last pack that is not full
    takes the first examples again.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        pack: int = 1,
        width: int = 200,
        depth: int = 3,
        pieces: int = 5,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        at_least_1(width=width, depth=depth, pack=pack, pieces=pieces)
        self.pack, self.pieces = pack, pieces
        dims = [pack * math.prod(shape), *[width] * depth]
        self.layers = nn.ModuleList(
            _normal(nn.Linear(a, b * pieces), init_std) for a, b in itertools.pairwise(dims)
        )
        self.logit = _normal(nn.Linear(width, 1), init_std)

    def forward(self, x: Tensor, cond: None = None) -> Tensor:
        num = len(x)
        packs = -(-num // self.pack)
        if missing := packs * self.pack - num:
            x = torch.cat([x, x[torch.arange(missing, device=x.device) % num]])
        h = x.reshape(packs, -1)
        for layer in self.layers:
            h = layer(h).unflatten(1, (-1, self.pieces)).amax(2)
        return self.logit(h).squeeze(1).repeat_interleave(self.pack)[:num]
