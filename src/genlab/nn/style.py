"""StyleGAN2's generator: what z says enters each layer as the scale of its channels.

Read: `ModulatedConv` is the paper's idea, `Mapping` makes w of z. Karras et al. 2020 (arXiv
1912.04958), sections 2 and 4.2. There is no noise at the layers: a sample is a function of its z
and class alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import ClassEmbedding, at_least_1
from genlab.nn.resgan import maps, resize

SLOPE, GAIN = 0.2, math.sqrt(2)


def unit(z: Tensor) -> Tensor:
    """z [B, D] at a mean square of 1."""
    return z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Mapping(nn.Module):
    """z [B, latent_dim], class -> w [B, dim]: the style."""

    def __init__(self, latent_dim: int, dim: int, *, num_classes: int | None, depth: int) -> None:
        super().__init__()
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, latent_dim)
        dims = [latent_dim * (1 if num_classes is None else 2), *[dim] * depth]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(dims))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor, cond: Tensor | None) -> Tensor:
        w = unit(z)
        if self.classes is not None:
            w = torch.cat([w, unit(self.classes(cond, len(z)))], dim=1)
        for layer in self.layers:
            w = GAIN * F.leaky_relu(layer(w), SLOPE)
        return w


class ModulatedConv(nn.Module):
    """A convolution whose weights are scaled by w, and then to unit size (eq. 1 and 3).

    w'_ijk = s_i w_ijk / sqrt(sum_ik (s_i w_ijk)^2): scaling x before and the output after it is the
    same, and one convolution serves all examples. `demodulate=False` leaves out the root.
    """

    def __init__(
        self, dim_in: int, dim_out: int, size: int, *, style: int, demodulate: bool = True
    ) -> None:
        super().__init__()
        scale = 1 / math.sqrt(dim_in * size**2)
        self.weight = nn.Parameter(scale * torch.randn(dim_out, dim_in, size, size))
        self.bias = nn.Parameter(torch.zeros(dim_out))
        self.style, self.demodulate = nn.Linear(style, dim_in), demodulate
        nn.init.normal_(self.style.weight, std=style**-0.5)
        nn.init.ones_(self.style.bias)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        s = self.style(w)  # [B, dim_in]
        h = F.conv2d(x * s[:, :, None, None], self.weight, padding=self.weight.shape[-1] // 2)
        if self.demodulate:
            squares = s.float().square() @ self.weight.float().square().sum((2, 3)).T
            h = h * (squares + 1e-8).rsqrt().to(h)[:, :, None, None]
        return h + self.bias[:, None, None]


class StyleGenerator(nn.Module):
    """z [B, latent_dim], class -> image in [-1, 1]; each stage adds its part of it (figure 7)."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        num_classes: int | None = None,
        widths: Sequence[int] = (16, 64, 128, 128),
        style_dim: int = 64,
        depth: int = 2,
    ) -> None:
        """`widths`: channels of each stage, full size first; `depth`: layers of the mapping."""
        super().__init__()
        at_least_1(style_dim=style_dim, depth=depth)
        self.sizes = maps(shape, len(widths))
        self.mapping = Mapping(latent_dim, style_dim, num_classes=num_classes, depth=depth)
        self.start = nn.Parameter(torch.randn(widths[-1], *self.sizes[-1]))
        ends = [(w, widths[min(i + 1, len(widths) - 1)]) for i, w in enumerate(widths)]
        self.convs = nn.ModuleList(ModulatedConv(a, w, 3, style=style_dim) for w, a in ends)
        self.parts = nn.ModuleList(
            ModulatedConv(w, shape[0], 1, style=style_dim, demodulate=False) for w in widths
        )

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        w = self.mapping(z, cond)
        h, image = self.start.expand(len(z), -1, -1, -1), None
        h = h.contiguous(memory_format=torch.channels_last)
        for i in reversed(range(len(self.sizes))):
            if image is not None:
                h, image = resize(h, self.sizes[i]), resize(image, self.sizes[i])
            h = GAIN * F.leaky_relu(self.convs[i](h, w), SLOPE)
            part = self.parts[i](h, w)
            image = part if image is None else image + part
        return image.tanh()
