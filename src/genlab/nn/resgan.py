"""R3GAN's two networks: residual blocks without normalisation, a stage for each size of the map.

Read: `Block` is the paper's; `maps` says which sizes there are; generator and discriminator mirror
each other. Huang et al. 2024 (arXiv 2501.05441), section 3. What is smaller here: few channels at
full size, where a step's time is spent, and convolutions of 3x3 at both ends, so that a picture of
one channel is met by more than a scaling of its pixels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import ClassEmbedding, at_least_1, image_shape
from genlab.nn.minibatch import MinibatchDeviation

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # of a leaky ReLU (He et al. 2015)


def maps(shape: Sequence[int], stages: int) -> list[tuple[int, int]]:
    """The (H, W) of each stage, full size first: each half of the one before, rounded up."""
    _, height, width = image_shape(shape, "resgan")
    sizes = [(-(-height // 2**i), -(-width // 2**i)) for i in range(stages)]
    if min(sizes[-1]) < 2:
        raise ValueError(
            f"net.widths: {stages} stages leave {sizes[-1][0]}x{sizes[-1][1]} of "
            f"data.shape={list(shape)}: at least 2x2; take fewer stages"
        )
    return sizes


def check_stages(widths: Sequence[int], blocks: Sequence[int], hidden: int, group: int) -> None:
    at_least_1(expansion=hidden, group=group, **{f"widths.{i}": w for i, w in enumerate(widths)})
    if len(widths) != len(blocks) or min(blocks, default=-1) < 0:
        raise ValueError(
            f"net.widths={list(widths)}, net.blocks={list(blocks)}: one number for each stage"
        )
    odd = [w for w, n in zip(widths, blocks, strict=True) if n and w * hidden % group]
    if odd:
        raise ValueError(
            f"net.group={group}: it must divide net.expansion * width, {hidden * odd[0]}"
        )


def conv(dim_in: int, dim_out: int, size: int, *, gain: float, **options) -> nn.Conv2d:
    """A convolution that keeps the map's size, its weights of variance gain^2 / fan-in."""
    made = nn.Conv2d(dim_in, dim_out, size, padding=size // 2, **options)
    nn.init.normal_(made.weight, std=gain / math.sqrt(made.weight[0].numel()))
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, to twice the size or to half of it: there it is the mean of 2x2 pixels."""
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


class Block(nn.Module):
    """x + 1x1(act(grouped 3x3(act(1x1(x))))), its last convolution zero at the start.

    The first two are smaller by L^(-1/4) for L blocks, so that the first updates change the output
    alike whatever the depth (Fixup, Zhang et al. 2019, with m = 3 layers a branch).
    """

    def __init__(self, width: int, *, expansion: int, group: int, depth: int) -> None:
        super().__init__()
        hidden, gain = expansion * width, GAIN * depth**-0.25
        self.expand = conv(width, hidden, 1, gain=gain)
        self.mix = conv(hidden, hidden, 3, gain=gain, groups=hidden // group)
        self.reduce = conv(hidden, width, 1, gain=0.0, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.expand(x), SLOPE)
        return x + self.reduce(F.leaky_relu(self.mix(h), SLOPE))


def stages(
    widths: Sequence[int], blocks: Sequence[int], expansion: int, group: int
) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(
            *(Block(w, expansion=expansion, group=group, depth=sum(blocks)) for _ in range(n))
        )
        for w, n in zip(widths, blocks, strict=True)
    )


class ResGenerator(nn.Module):
    """z [B, latent_dim], class -> image in [-1, 1]: learnt maps, weighed by z, grow by stages."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        num_classes: int | None = None,
        widths: Sequence[int] = (16, 64, 128, 128),
        blocks: Sequence[int] = (1, 1, 1, 1),
        expansion: int = 2,
        group: int = 16,
    ) -> None:
        """`widths`, `blocks`: channels and residual blocks of each stage, full size first.

        `group`: channels that a block's 3x3 convolution mixes.
        """
        super().__init__()
        check_stages(widths, blocks, expansion, group)
        self.sizes = maps(shape, len(widths))
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, latent_dim)
        inputs = latent_dim * (1 if num_classes is None else 2)
        self.weigh = nn.Linear(inputs, widths[-1], bias=False)
        nn.init.normal_(self.weigh.weight, std=inputs**-0.5)
        self.basis = nn.Parameter(torch.randn(widths[-1], *self.sizes[-1]))
        self.stages = stages(widths, blocks, expansion, group)
        self.steps = nn.ModuleList(
            conv(large, small, 1, gain=1.0, bias=False)
            for small, large in itertools.pairwise(widths)
        )
        self.last = conv(widths[0], shape[0], 3, gain=1.0)

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        if self.classes is not None:
            z = torch.cat([z, self.classes(cond, len(z))], dim=1)
        h = self.weigh(z)[:, :, None, None] * self.basis
        h = h.contiguous(memory_format=torch.channels_last)  # a third less time on a CPU
        for i in reversed(range(len(self.stages))):
            h = self.stages[i](h)
            if i > 0:
                h = resize(self.steps[i - 1](h), self.sizes[i - 1])
        return self.last(h).tanh()


class ResDiscriminator(nn.Module):
    """Image -> logit [B]: the generator's mirror; the class enters by projection.

    Projection: Miyato and Koyama 2018 (arXiv 1802.05637), eq. 4. `minibatch` above 1: groups of so
    many examples see how far they differ (minibatch.py).
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        widths: Sequence[int] = (16, 64, 128, 128),
        blocks: Sequence[int] = (1, 1, 1, 1),
        expansion: int = 2,
        group: int = 16,
        minibatch: int = 1,
    ) -> None:
        super().__init__()
        check_stages(widths, blocks, expansion, group)
        at_least_1(minibatch=minibatch)
        self.sizes = maps(shape, len(widths))
        self.first = conv(shape[0], widths[0], 3, gain=1.0)
        self.stages = stages(widths, blocks, expansion, group)
        self.steps = nn.ModuleList(
            conv(small, large, 1, gain=1.0, bias=False)
            for small, large in itertools.pairwise(widths)
        )
        self.deviation = MinibatchDeviation(minibatch) if minibatch > 1 else None
        features = widths[-1] + (minibatch > 1)
        self.basis = nn.Parameter(torch.randn(features, *self.sizes[-1]))
        with torch.no_grad():
            self.basis /= math.sqrt(math.prod(self.sizes[-1]))
        self.logit = nn.Linear(features, 1)
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, features)
        for layer in (self.logit, self.classes):
            if layer is not None:
                nn.init.normal_(layer.weight, std=features**-0.5)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        h = self.first(x.contiguous(memory_format=torch.channels_last))
        for i, stage in enumerate(self.stages):
            h = stage(h)
            if i < len(self.steps):
                h = self.steps[i](resize(h, self.sizes[i + 1]))
        if self.deviation is not None:
            h = self.deviation(h)
        h = (h * self.basis).sum((2, 3))
        logit = self.logit(h).squeeze(1)
        if self.classes is not None:
            logit = logit + (self.classes(cond, len(x)) * h).sum(1)
        return logit
