"""A codec of waveforms: strided convolutions over time, to a sequence of vectors and back.

Read: the encoder divides the rate by one stride after another, the decoder mirrors it: SEANet's
form, as SoundStream (Zeghidour et al. 2021, arXiv 2107.03312, section III-A) and EnCodec have it,
small, not causal, and the first layer strides at once: most of the work would lie at full rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import at_least_1


class DilatedBlock(nn.Module):
    """x + conv1(elu(conv3(elu(x)))), the second convolution dilated. [B, dim, T] -> the same."""

    def __init__(self, dim: int, dilation: int) -> None:
        super().__init__()
        self.conv3 = nn.Conv1d(dim, dim, 3, dilation=dilation, padding=dilation)
        self.conv1 = nn.Conv1d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv1(F.elu(self.conv3(F.elu(x))))


class WaveEncoder(nn.Module):
    """Waveform [B, C, N] -> vectors [B, dim, T]; what a quantiser is given."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent: Sequence[int],
        strides: Sequence[int] = (4, 4, 4),
        width: int = 32,
        blocks: int = 2,
    ) -> None:
        """`width` channels behind the first stride, doubled with each to at most 4 * width;
        `blocks` behind each stride, with dilations of 1, 3, 9, ..."""
        super().__init__()
        dims = _dims(shape, latent, strides, width, blocks)
        self.downs = nn.ModuleList(
            nn.Conv1d(a, b, 2 * s, stride=s, padding=s // 2)
            for (a, b), s in zip(itertools.pairwise(dims), strides)
        )
        self.blocks = nn.ModuleList(_blocks(d, blocks) for d in dims[1:])
        self.last = nn.Conv1d(dims[-1], int(latent[0]), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        for down, block in zip(self.downs, self.blocks):
            x = block(down(x))
        return self.last(F.elu(x))


class WaveDecoder(nn.Module):
    """Vectors [B, dim, T] -> raw parameters of p(x | z) [B, C, N], one location a sample."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent: Sequence[int],
        strides: Sequence[int] = (4, 4, 4),
        width: int = 32,
        blocks: int = 2,
    ) -> None:
        """`strides`: the encoder's, in its order."""
        super().__init__()
        dims = _dims(shape, latent, strides, width, blocks)[::-1]
        *ups, last = [
            nn.ConvTranspose1d(a, b, 2 * s, stride=s, padding=s // 2)
            for (a, b), s in zip(itertools.pairwise(dims), reversed(strides))
        ]
        self.first = nn.Conv1d(int(latent[0]), dims[0], 3, padding=1)
        self.blocks = nn.ModuleList(_blocks(d, blocks) for d in dims[:-1])
        self.ups, self.last = nn.ModuleList(ups), last

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        h = self.first(z)
        for block, up in zip(self.blocks, [*self.ups, self.last], strict=True):
            h = up(F.elu(block(h)))
        return h


def _dims(
    shape: Sequence[int], latent: Sequence[int], strides: Sequence[int], width: int, blocks: int
) -> list[int]:
    """The channels of each rate, the waveform's first; refused where the lengths do not fit."""
    at_least_1(width=width, blocks=blocks)
    if len(shape) != 2:
        raise ValueError(
            f"data.shape={list(shape)}: net wave_codec takes waveforms [1,N]; write data=fsdd_waves"
            " or data=audio_waves"
        )
    if not strides or any(s < 2 or s % 2 for s in strides):
        raise ValueError(f"net.strides={list(strides)}: each an even number of samples")
    whole = math.prod(strides)
    if len(latent) != 2 or latent[1] * whole != shape[1]:
        raise ValueError(
            f"net.latent_map={list(latent)}: strides {list(strides)} take {shape[1]} samples to"
            f" {shape[1] / whole:g} vectors"
            + (f"; write net.latent_map=[{latent[0]},{shape[1] // whole}]" if latent else "")
        )
    return [int(shape[0]), *(width * min(4, 2**i) for i in range(len(strides)))]


def _blocks(dim: int, num: int) -> nn.Sequential:
    return nn.Sequential(*(DilatedBlock(dim, 3**i) for i in range(num)))
