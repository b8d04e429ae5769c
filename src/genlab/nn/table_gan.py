"""A generator and a discriminator for rows of a table: categories by softmax, rows judged in packs.

Read: `TableGenerator`, whose x has in a category's block 2 p - 1, and `PackDiscriminator`. After
CTGAN's (Xu et al. 2019, arXiv 1907.00503, section 4.4); but no row draws noise beside its z (there
Gumbel-softmax has some), so that z alone says what is drawn.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.nn.layers import at_least_1


def one_hot(cond: Tensor | None, num_classes: int | None, like: Tensor) -> Tensor:
    """Classes [B] as rows [B, num_classes] beside `like`: 1 at the class; "no class" is all 0.

    Beside z a row of one 1 is quiet. An embedding as loud as z made generators of hardly anything
    but the class: what was not asked for was the same in all rows.
    """
    hot = like.new_zeros(len(like), (num_classes or 0) + 1)
    if cond is not None and num_classes is not None:
        hot.scatter_(1, cond[:, None], 1.0)
    return hot[:, : num_classes or 0]


class TableGenerator(nn.Module):
    """z [B, latent_dim], class -> x [B, W]: numbers as they are, blocks of categories as 2 p - 1.

    Each layer is linear, batch norm, ReLU, and stands beside its input: the next one sees both.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        latent_dim: int,
        num_classes: int | None = None,
        width: int = 256,
        depth: int = 2,
    ) -> None:
        """`widths` of x's blocks: a number 1, a category from 2 on."""
        super().__init__()
        at_least_1(width=width, depth=depth)
        self.widths = list(widths)
        self.num_classes = num_classes
        dims = [latent_dim + (num_classes or 0)]
        for _ in range(depth):
            dims.append(dims[-1] + width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, width), nn.BatchNorm1d(width), nn.ReLU())
            for dim in dims[:-1]
        )
        self.last = nn.Linear(dims[-1], sum(self.widths))

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        h = torch.cat([z, one_hot(cond, self.num_classes, z)], 1)
        for layer in self.layers:
            h = torch.cat([layer(h), h], 1)
        blocks = self.last(h).split(self.widths, 1)
        return torch.cat([b if b.shape[1] == 1 else 2 * b.softmax(1) - 1 for b in blocks], 1)


class PackDiscriminator(nn.Module):
    """Packs of `pack` rows [B, *shape], class -> a logit for each row [B], that of its pack.

    Rows that follow one another, each with its class beside it, are judged as a whole (PacGAN, Lin
    et al. 2018, arXiv 1712.04086, section 2); a last pack that is not full takes the first again.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        pack: int = 10,
        width: int = 256,
        depth: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        at_least_1(width=width, depth=depth, pack=pack)
        if not 0 <= dropout < 1:
            raise ValueError(f"net.discriminator.dropout={dropout}: from 0 to below 1")
        self.pack, self.num_classes = pack, num_classes
        dims, layers = [pack * (math.prod(shape) + (num_classes or 0)), *[width] * depth], []
        for dim_in, dim_out in itertools.pairwise(dims):
            layers += [nn.Linear(dim_in, dim_out), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.logit = nn.Linear(width, 1)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        x = torch.cat([x, one_hot(cond, self.num_classes, x)], 1)
        num = len(x)
        packs = -(-num // self.pack)
        if missing := packs * self.pack - num:
            x = torch.cat([x, x[torch.arange(missing, device=x.device) % num]])
        logit = self.logit(self.layers(x.reshape(packs, -1)))
        return logit.squeeze(1).repeat_interleave(self.pack)[:num]
