"""Convolutional codecs: an image to a small feature map and back, for priors that learn the map.

Read: `stages` says how often the sides halve; the encoder goes down, the decoder mirrors it. The
latent is a map [c, h, w], so that what stands beside each other in the image does so in the latent:
28x28 goes to 7x7, 32x32 to 8x8 or 4x4. No class enters: a codec serves every condition alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.conv import ResBlock
from genlab.nn.layers import at_least_1, group_norm, image_shape


def stages(shape: Sequence[int], latent: Sequence[int]) -> int:
    """How often the sides of `shape` [C, H, W] halve on the way to `latent` [c, h, w]."""
    _, height, length = image_shape(shape, "conv_codec")
    if len(latent) == 3 and min(latent) > 0:
        n = (height // latent[1]).bit_length() - 1
        if n >= 0 and (height, length) == (latent[1] << n, latent[2] << n):
            return n
    fits = [f"[c,{height >> n},{length >> n}]" for n in range(1, 6) if not (height | length) % 2**n]
    raise ValueError(
        f"net.latent_map (of a KL codec net.latent_shape) {list(latent)}: the sides of"
        f" {list(shape)} do not halve to it; allowed are"
        f" {', '.join(fits) or 'none, for the sides are odd'}"
    )


class ConvCodecEncoder(nn.Module):
    """Image [B, C, H, W] -> feature map [B, c, h, w], unbounded; what a quantiser is given."""

    def __init__(
        self, shape: Sequence[int], *, latent: Sequence[int], width: int = 32, blocks: int = 1
    ) -> None:
        """`width` channels at full size, doubled with each halving to at most 4 * width."""
        super().__init__()
        at_least_1(width=width, blocks=blocks)
        dims = _dims(width, stages(shape, latent))
        self.first = nn.Conv2d(int(shape[0]), dims[0], 3, padding=1)
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(dims)
        )
        self.blocks = nn.ModuleList(_blocks(d, blocks) for d in dims[1:] or dims)
        self.norm = group_norm(dims[-1])
        self.last = nn.Conv2d(dims[-1], self.channels_out(latent), 1)

    @staticmethod
    def channels_out(latent: Sequence[int]) -> int:
        return int(latent[0])

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        for i, block in enumerate(self.blocks):
            h = block(self.downs[i](h) if self.downs else h)
        return self.last(F.silu(self.norm(h)))


class ConvGaussianEncoder(ConvCodecEncoder):
    """Image -> mean and log-variance of q(z | x), each a map [B, c, h, w]: a VAE's encoder."""

    @staticmethod
    def channels_out(latent: Sequence[int]) -> int:
        return 2 * int(latent[0])

    def forward(self, x: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, logvar = super().forward(x).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)  # exp stays finite, whatever the encoder says


class ConvCodecDecoder(nn.Module):
    """Feature map [B, c, h, w] -> raw parameters of p(x | z) [B, C, H, W], one location a value."""

    def __init__(
        self, shape: Sequence[int], *, latent: Sequence[int], width: int = 32, blocks: int = 1
    ) -> None:
        super().__init__()
        at_least_1(width=width, blocks=blocks)
        dims = _dims(width, stages(shape, latent))[::-1]
        self.first = nn.Conv2d(int(latent[0]), dims[0], 3, padding=1)
        self.blocks = nn.ModuleList(_blocks(d, blocks) for d in dims[:-1] or dims)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in itertools.pairwise(dims)
        )
        self.norm = group_norm(dims[-1])
        self.last = nn.Conv2d(dims[-1], int(shape[0]), 3, padding=1)

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        h = self.first(z)
        for i, block in enumerate(self.blocks):
            h = block(h)
            h = self.ups[i](h) if self.ups else h
        return self.last(F.silu(self.norm(h)))


def _dims(width: int, halvings: int) -> list[int]:
    return [width * min(4, 2**i) for i in range(halvings + 1)]


def _blocks(dim: int, num: int) -> nn.Sequential:
    return nn.Sequential(*(ResBlock(dim, dim) for _ in range(num)))
