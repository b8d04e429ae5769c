"""Discriminators of what a codec gives back: a logit for each part of an example, and features.

Read: each gives a list of scales, a scale is a list of its layers' outputs [B, C, ...], of which
the last are the logits [B, 1, ...]. The others are features: reconstructions are compared in them,
so that no network has to be downloaded. Weight norm (Salimans & Kingma 2016) does not mix examples.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from genlab.nn.layers import at_least_1, image_shape


class PatchDiscriminator(nn.Module):
    """Image [B, C, H, W] -> one scale: Isola et al. 2017 (arXiv 1611.07004), section 3.2.2.

    Each logit sees a patch: of 10, 22 or 46 pixels across with 1, 2 or 3 `layers`.
    """

    def __init__(self, shape: Sequence[int], *, width: int = 32, layers: int = 2) -> None:
        """`width` channels behind the first layer, doubled with each to at most 4 * width."""
        super().__init__()
        at_least_1(width=width, layers=layers)
        channels, height, length = image_shape(shape, "discriminator")
        if min(height, length) >> layers < 2:
            raise ValueError(
                f"net.discriminator.layers={layers}: sides of {height}x{length} halve to less than"
                " 2; write fewer"
            )
        dims = [channels, *(width * min(4, 2**i) for i in range(layers))]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, 4, stride=2, padding=1))
            for a, b in itertools.pairwise(dims)
        )
        self.logits = weight_norm(nn.Conv2d(dims[-1], 1, 3, padding=1))

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        return [_outputs(x, self.layers, self.logits)]


class WaveDiscriminator(nn.Module):
    """Waveform [B, 1, N] -> `scales`: as it is, and averaged to a half, a quarter of its samples.

    MelGAN's, small (Kumar et al. 2019, arXiv 1910.06711, section 2.2): convolutions with stride 4.
    """

    def __init__(
        self, shape: Sequence[int], *, width: int = 16, layers: int = 3, scales: int = 2
    ) -> None:
        """`width` channels behind the first layer, doubled with each."""
        super().__init__()
        at_least_1(width=width, layers=layers, scales=scales)
        if len(shape) != 2 or shape[1] >> (2 * layers + scales - 1) < 1:
            raise ValueError(
                f"data.shape={list(shape)}: a discriminator of waveforms [1,N] with"
                f" net.discriminator.layers={layers} takes {4**layers * 2 ** (scales - 1)} samples"
                " and more"
            )
        dims = [int(shape[0]), *(width * 2**i for i in range(layers))]
        self.layers = nn.ModuleList(
            nn.ModuleList(
                weight_norm(nn.Conv1d(a, b, 15, stride=4, padding=7))
                for a, b in itertools.pairwise(dims)
            )
            for _ in range(scales)
        )
        self.logits = nn.ModuleList(
            weight_norm(nn.Conv1d(dims[-1], 1, 3, padding=1)) for _ in range(scales)
        )

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        found = []
        for layers, logits in zip(self.layers, self.logits):
            found.append(_outputs(x, layers, logits))
            x = F.avg_pool1d(x, 2)
        return found


def _outputs(x: Tensor, layers: nn.ModuleList, logits: nn.Module) -> list[Tensor]:
    found = []
    for layer in layers:
        x = F.leaky_relu(layer(x), 0.2)
        found.append(x)
    return [*found, logits(x)]
