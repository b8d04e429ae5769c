"""Networks of a ladder VAE: bottom up, what each stage is told of x; top down, what is drawn.

Read: `Rung` is one layer of latents, `Stage` those of one size. `TopDown` is given noise for each
layer, the top one first, and gives back, beside the parameters of p(x | z), each layer's (z, prior,
posterior), laws as (mean, logvar). Of images the top stage is a vector; maps follow, each of twice
the sides. Nothing runs at full size unless a stage lies there: pixels are folded into channels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.conv import ResBlock, halvings
from genlab.nn.layers import ClassEmbedding, at_least_1, zeroed
from genlab.nn.mlp import Block

Normal = tuple[Tensor, Tensor]
Layer = tuple[Tensor, Normal, Normal | None]


class Rung(nn.Module):
    """p(z | h), q(z | h, told) and h with z in it: a top-down block of Child 2021, figure 3.

    Both laws are N(0, I) at the start. h, told [B, dim, ...]; noise, z [B, latent, ...].
    """

    def __init__(
        self, dim: int, latent: int, body: nn.Module, linear: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__()
        self.prior = zeroed(linear(dim, 2 * latent))
        self.posterior = zeroed(linear(2 * dim, 2 * latent))
        self.tell, self.body = linear(latent, dim), body

    def forward(
        self, h: Tensor, noise: Tensor, told: Tensor | None, emb: Tensor | None
    ) -> tuple[Tensor, Layer]:
        prior = law = _normal(self.prior(F.silu(h)))
        posterior = None
        if told is not None:
            posterior = law = _normal(self.posterior(F.silu(torch.cat([h, told], 1))))
        mean, logvar = law
        z = mean + (logvar / 2).exp() * noise
        return self.body(h + self.tell(z), emb), (z, prior, posterior)


class Stage(nn.Module):
    """The rungs of one size, one after another; `up` brings what comes from above to it."""

    def __init__(self, up: nn.Module, rungs: Sequence[Rung]) -> None:
        super().__init__()
        self.up, self.rungs = up, nn.ModuleList(rungs)

    def forward(
        self, h: Tensor, noise: Sequence[Tensor], told: Tensor | None, emb: Tensor | None
    ) -> tuple[Tensor, list[Layer]]:
        h, layers = self.up(h), []
        for rung, eps in zip(self.rungs, noise, strict=True):
            h, layer = rung(h, eps, told, emb)
            layers.append(layer)
        return h, layers


class TopDown(nn.Module):
    """Noise of each layer, class, what each stage is told -> parameters [B, *shape], layers.

    Nothing told (None): z is drawn by the priors.
    """

    def __init__(
        self,
        width: int,
        num_classes: int | None,
        stages: Sequence[Stage],
        last: nn.Module,
        latent_shapes: Sequence[tuple[int, ...]],
    ) -> None:
        """`width`: of the first stage's h; `latent_shapes`: of each layer's z."""
        super().__init__()
        self.start = nn.Parameter(torch.zeros(width))
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, width)
        self.stages, self.last = nn.ModuleList(stages), last
        self.latent_shapes = list(latent_shapes)

    def forward(
        self,
        noise: Sequence[Tensor],
        cond: Tensor | None = None,
        told: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, list[Layer]]:
        emb = None if self.classes is None else self.classes(cond, len(noise[0]))
        h = self.start.expand(len(noise[0]), -1) if emb is None else self.start + emb
        layers: list[Layer] = []
        for i, stage in enumerate(self.stages):
            at = len(layers)
            here = None if told is None else told[i]
            h, found = stage(h, noise[at : at + len(stage.rungs)], here, emb)
            layers += found
        return self.last(F.silu(h)), layers


class MLPBottomUp(nn.Module):
    """x [B, *shape], class -> what each layer is told, the top one first, each [B, width]."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dims: Sequence[int],
        num_classes: int | None = None,
        width: int = 128,
    ) -> None:
        super().__init__()
        at_least_1(width=width, latent_dims=min(latent_dims, default=0))
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, width)
        emb_dim = None if num_classes is None else width
        self.first = nn.Linear(math.prod(shape), width)
        self.blocks = nn.ModuleList(Block(width, emb_dim=emb_dim) for _ in latent_dims)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> list[Tensor]:
        emb = None if self.classes is None else self.classes(cond, len(x))
        h, told = self.first(x.flatten(1)), []
        for block in self.blocks:
            h = block(h, emb)
            told.append(h)
        return told[::-1]


class MLPTopDown(TopDown):
    """A ladder of vectors, `latent_dims[l]` values each: for points, rows and tiny images."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dims: Sequence[int],
        num_classes: int | None = None,
        width: int = 128,
        outputs: int = 1,
    ) -> None:
        """`outputs`: the parameters of p(x | z) for each value of x."""
        at_least_1(width=width, outputs=outputs, latent_dims=min(latent_dims, default=0))
        emb_dim = None if num_classes is None else width
        stages = [
            Stage(nn.Identity(), [Rung(width, n, Block(width, emb_dim=emb_dim), nn.Linear)])
            for n in latent_dims
        ]
        out = nn.Linear(width, outputs * math.prod(shape))
        last = nn.Sequential(out, nn.Unflatten(1, (outputs * int(shape[0]), *shape[1:])))
        super().__init__(width, num_classes, stages, last, [(n,) for n in latent_dims])


def stages_of(
    shape: Sequence[int], widths: Sequence[int], **others: Sequence[int]
) -> tuple[list[tuple[int, int]], int]:
    """(the sides of the maps, the smallest first; pixels a side that fold into channels).

    The stages are the vector and these maps; the sides double from the smallest, to x's at most.
    """
    _, height, length, n = halvings(shape, "ladder")
    at_least_1(**{k: min(v, default=0) for k, v in {"widths": widths, **others}.items()})
    for key, values in others.items():
        if len(values) != len(widths):
            raise ValueError(
                f"net.{key}={list(values)} net.widths={list(widths)}: each has a number a stage"
            )
    if not 2 <= len(widths) <= n + 2:
        raise ValueError(
            f"net.widths={list(widths)}: {len(widths)} stages; images of {list(shape)} have 2 to"
            f" {n + 2}, a vector and maps from {height}x{length} on"
        )
    sides = [(height << i, length << i) for i in range(len(widths) - 1)]
    return sides, int(shape[1]) // sides[-1][0]


class ConvBottomUp(nn.Module):
    """Image, class -> what each stage is told, the vector first, then maps [B, widths[s], h, w]."""

    def __init__(
        self, shape: Sequence[int], *, widths: Sequence[int], num_classes: int | None = None
    ) -> None:
        super().__init__()
        sides, fold = stages_of(shape, widths)
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, widths[0])
        emb_dim = None if num_classes is None else widths[0]
        maps = list(widths)[:0:-1]  # bottom up
        first = nn.Conv2d(int(shape[0]) * fold**2, maps[0], 3, padding=1)
        self.ins = nn.ModuleList([nn.Sequential(nn.PixelUnshuffle(fold), first)])
        self.ins.extend(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(maps)
        )
        self.blocks = nn.ModuleList(ResBlock(w, w, emb_dim=emb_dim) for w in maps)
        self.last = nn.Linear(maps[-1] * math.prod(sides[0]), widths[0])

    def forward(self, x: Tensor, cond: Tensor | None = None) -> list[Tensor]:
        emb = None if self.classes is None else self.classes(cond, len(x))
        h, told = x, []
        for into, block in zip(self.ins, self.blocks, strict=True):
            h = block(into(h), emb)
            told.append(h)
        return [self.last(F.silu(h).flatten(1)), *told[::-1]]


class ConvTopDown(TopDown):
    """A ladder of a vector and maps: `rungs[s]` layers of `latent_dims[s]` channels in stage s."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        widths: Sequence[int],
        latent_dims: Sequence[int],
        rungs: Sequence[int],
        num_classes: int | None = None,
        outputs: int = 1,
    ) -> None:
        """`widths`: the network's channels in each stage, the vector first; `outputs`: the
        parameters of p(x | z) for each value of x."""
        at_least_1(outputs=outputs)
        sides, fold = stages_of(shape, widths, latent_dims=latent_dims, rungs=rungs)
        emb_dim = None if num_classes is None else widths[0]
        stages, shapes = [], []
        for i, (width, latent, num) in enumerate(zip(widths, latent_dims, rungs, strict=True)):
            layers = range(num)
            if i == 0:
                up: nn.Module = nn.Identity()
                here = [
                    Rung(width, latent, Block(width, emb_dim=emb_dim), nn.Linear) for _ in layers
                ]
                shapes += [(latent,)] * num
            else:
                joint = _spread if i == 1 else _doubled
                up = joint(widths[i - 1], width, sides[i - 1])
                here = [
                    Rung(width, latent, ResBlock(width, width, emb_dim=emb_dim), _pointwise)
                    for _ in layers
                ]
                shapes += [(latent, *sides[i - 1])] * num
            stages.append(Stage(up, here))
        out = nn.Conv2d(widths[-1], outputs * int(shape[0]) * fold**2, 3, padding=1)
        last = nn.Sequential(out, nn.PixelShuffle(fold))
        super().__init__(widths[0], num_classes, stages, last, shapes)


def _normal(out: Tensor) -> Normal:
    """exp stays finite, also of the difference of two log-variances."""
    mean, logvar = out.float().chunk(2, dim=1)
    return mean, logvar.clamp(-30, 20)


def _pointwise(dim_in: int, dim_out: int) -> nn.Conv2d:
    """The bodies look around; so few channels as a law has cost a 3x3 convolution as many would."""
    return nn.Conv2d(dim_in, dim_out, 1)


def _spread(dim_in: int, dim_out: int, side: tuple[int, int]) -> nn.Module:
    """A vector to a map of these sides."""
    linear = nn.Linear(dim_in, dim_out * math.prod(side))
    return nn.Sequential(linear, nn.Unflatten(1, (dim_out, *side)))


def _doubled(dim_in: int, dim_out: int, side: tuple[int, int]) -> nn.Module:
    """A map to one of these sides, twice its own: each place four times."""
    return nn.Sequential(nn.Conv2d(dim_in, dim_out, 1), nn.Upsample(side))
