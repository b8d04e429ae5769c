"""Normalising flows as nets: RealNVP, MAF, IAF for examples of any shape, Glow for images.

Read: `Net` tells the layers a class or a context; each net below is the order of its layers, from
noise to data, and what predicts their shifts and scales. They begin as the identity but for
permutations and rotations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.batch import Context
from genlab.nn.flows import (
    ActNorm,
    Autoregressive,
    Bijection,
    Coupling,
    Flattened,
    Flow,
    Half,
    Invertible1x1,
    Permutation,
    Reversed,
    Squeezed,
)
from genlab.nn.layers import (
    ClassEmbedding,
    Pooled,
    ScaleShift,
    at_least_1,
    image_shape,
    only_one,
    zeroed,
)
from genlab.nn.made import MADE, MaskedLinear
from genlab.nn.mlp import Block


class Net(Bijection):
    """A bijection that is told a class [B], a vector [B, context] or a `Context` of that width.

    Built without either it ignores them, so it also trains on labelled data.
    """

    def __init__(
        self,
        inner: Bijection,
        *,
        shape: Sequence[int],
        width: int,
        num_classes: int | None,
        context: int | None,
    ) -> None:
        super().__init__()
        self.inner, self.shape, self.context = inner, tuple(shape), context
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, width)
        self.pooled = None if context is None else Pooled(context, width)

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        if tuple(z.shape[1:]) != self.shape:
            raise ValueError(
                f"net.shape={list(self.shape)}: the flow is given examples of shape"
                f" {list(z.shape[1:])}"
            )
        return self.inner(z, self._told(context, len(z)), inverse=inverse)

    def start(self, y: Tensor, context: Any = None) -> Tensor:
        return self.inner.start(y, self._told(context, len(y)))

    def _told(self, context: Any, batch: int) -> Tensor | None:
        """What the layers are told [B, width]."""
        if self.classes is not None:
            return F.silu(self.classes(context, batch))
        if self.pooled is None:
            return None
        if isinstance(context, Tensor) and context.shape == (batch, self.context):
            there = torch.ones(batch, 1, dtype=torch.bool, device=context.device)
            context = Context(context.unsqueeze(1), there)
        if not isinstance(context, Context):
            given = list(context.shape) if isinstance(context, Tensor) else context
            raise ValueError(
                f"net.context={self.context}: the flow needs a context"
                f" [{batch}, {self.context}], given is {given}"
            )
        return F.silu(self.pooled(context))


class RealNVP(Net):
    """Couplings of vectors whose halves take turns (Dinh et al. 2017), with ActNorm."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        context: int | None = None,
        width: int = 128,
        depth: int = 2,
        steps: int = 8,
    ) -> None:
        """`steps` couplings, each by a net of `depth` residual blocks."""
        emb, dims = _checked("realnvp", shape, width, depth, steps, num_classes, context)
        stays = dims // 2
        turn = [(i + stays) % dims for i in range(dims)]  # each value stays in its turn
        layers: list[Bijection] = []
        for _ in range(steps):
            net = _Blocks(stays, 2 * (dims - stays), width=width, depth=depth, emb_dim=emb)
            layers += [Coupling(net), Permutation(turn), ActNorm(dims)]
        inner = Flattened(Flow(layers))
        super().__init__(inner, shape=shape, width=width, num_classes=num_classes, context=context)


class IAF(Net):
    """Inverse autoregressive flow (Kingma et al. 2016): one pass from noise to data.

    Back it takes one for each value: for a posterior, whose z0 is known.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        context: int | None = None,
        width: int = 128,
        depth: int = 2,
        steps: int = 4,
    ) -> None:
        """`steps` layers, the order of values turned round between two; `depth` hidden layers."""
        emb, dims = _checked("iaf", shape, width, depth, steps, num_classes, context)
        layers = [
            layer
            for _ in range(steps)
            for layer in (
                Autoregressive(_Masked(dims, width=width, depth=depth, emb_dim=emb)),
                Permutation([*range(dims)][::-1]),
            )
        ]
        inner = Flattened(Flow(layers))
        super().__init__(inner, shape=shape, width=width, num_classes=num_classes, context=context)


class MAF(Net):
    """Masked autoregressive flow (Papamakarios et al. 2017): one pass from data to noise.

    A draw takes one for each value: for densities and priors.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        context: int | None = None,
        width: int = 128,
        depth: int = 2,
        steps: int = 5,
    ) -> None:
        """`steps` layers, the order of values turned round between two; `depth` hidden layers."""
        emb, dims = _checked("maf", shape, width, depth, steps, num_classes, context)
        layers: list[Bijection] = []
        for _ in range(steps):
            net = _Masked(dims, width=width, depth=depth, emb_dim=emb)
            layers += [
                Reversed(Autoregressive(net)),
                Permutation([*range(dims)][::-1]),
                ActNorm(dims),
            ]
        inner = Flattened(Flow(layers))
        super().__init__(inner, shape=shape, width=width, num_classes=num_classes, context=context)


class Glow(Net):
    """Squeeze, `steps` times ActNorm, 1x1 convolution and coupling, then half of it again.

    Kingma & Dhariwal 2018 (arXiv 1807.03039), fig. 2; what a scale leaves is N(0, I), without the
    learned one of the released code.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        context: int | None = None,
        width: int = 128,
        steps: int = 8,
        scales: int = 2,
    ) -> None:
        only_one(num_classes, context)
        at_least_1(width=width, steps=steps, scales=scales)
        channels, *sides = image_shape(shape, "glow")
        if any(side % 2**scales for side in sides):
            raise ValueError(
                f"data.shape={list(shape)}: net glow of net.scales={scales} takes sides that are"
                f" multiples of {2**scales}"
            )
        emb = None if num_classes is None and context is None else width
        inner: Bijection | None = None
        for scale in reversed(range(scales)):  # the coarsest first
            there = channels * 2 ** (scale + 2)  # a squeeze makes 4 times, half of it goes on
            layers: list[Bijection] = [] if inner is None else [Half(inner)]
            for _ in range(steps):
                net = _Convolutions(there // 2, there, width=width, emb_dim=emb)
                layers += [Coupling(net), Invertible1x1(there), ActNorm(there)]
            inner = Squeezed(Flow(layers))
        super().__init__(inner, shape=shape, width=width, num_classes=num_classes, context=context)


def _checked(
    name: str,
    shape: Sequence[int],
    width: int,
    depth: int,
    steps: int,
    num_classes: int | None,
    context: int | None,
) -> tuple[int | None, int]:
    """The width of what the layers are told, and the number of values."""
    only_one(num_classes, context)
    at_least_1(width=width, depth=depth, steps=steps)
    if math.prod(shape) < 2:
        raise ValueError(f"net.shape={list(shape)}: net {name} takes at least 2 values")
    return (None if num_classes is None and context is None else width), math.prod(shape)


class _Blocks(nn.Module):
    """x [B, in] and what is told -> [B, out], 0 at the start."""

    def __init__(
        self, dim_in: int, dim_out: int, *, width: int, depth: int, emb_dim: int | None
    ) -> None:
        super().__init__()
        self.first = nn.Linear(dim_in, width)
        self.blocks = nn.ModuleList(Block(width, emb_dim=emb_dim) for _ in range(depth))
        self.last = zeroed(nn.Linear(width, dim_out))

    def forward(self, x: Tensor, emb: Tensor | None) -> Tensor:
        h = self.first(x)
        for block in self.blocks:
            h = block(h, emb)
        return self.last(F.silu(h))


class _Convolutions(nn.Module):
    """x [B, in, H, W] and what is told -> [B, out, H, W]: 3 x 3, 1 x 1, 3 x 3, 0 at the start."""

    def __init__(self, dim_in: int, dim_out: int, *, width: int, emb_dim: int | None) -> None:
        super().__init__()
        self.first = nn.Conv2d(dim_in, width, 3, padding=1)
        self.film = None if emb_dim is None else ScaleShift(emb_dim, width)
        self.middle = nn.Conv2d(width, width, 1)
        self.last = zeroed(nn.Conv2d(width, dim_out, 3, padding=1))

    def forward(self, x: Tensor, emb: Tensor | None) -> Tensor:
        h = F.relu(self.first(x))
        if self.film is not None:
            h = self.film(emb, h)
        return self.last(F.relu(self.middle(h)))


class _Masked(nn.Module):
    """x [B, D] and what is told -> shifts and log-scales [B, 2 D], each of values before its own.

    MADE's masks (made.py). What is told reaches every layer whole. 0 at the start.
    """

    def __init__(self, dims: int, *, width: int, depth: int, emb_dim: int | None) -> None:
        super().__init__()
        *masks, last = MADE.masks(dims, 1, width, depth)
        self.layers = nn.ModuleList(MaskedLinear(mask) for mask in masks)
        self.last = zeroed(MaskedLinear(torch.cat([last, last])))
        sizes = [] if emb_dim is None else [width] * depth
        self.told = nn.ModuleList(nn.Linear(emb_dim, size, bias=False) for size in sizes)
        self.told_last = None
        if emb_dim is not None:
            self.told_last = zeroed(nn.Linear(emb_dim, 2 * dims, bias=False))

    def forward(self, x: Tensor, emb: Tensor | None) -> Tensor:
        h = x
        for i, layer in enumerate(self.layers):
            h = layer.part(h) + layer.bias
            h = F.relu(h if emb is None else h + self.told[i](emb))
        out = self.last.part(h) + self.last.bias
        return out if self.told_last is None else out + self.told_last(emb)
