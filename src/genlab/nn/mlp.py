"""Fully connected networks: a noise net, a GAN's two and a VAE's two, for examples of any shape.

Read: every network flattens its example and runs a stack of `Block`s; points in the plane are the
usual case. Conditions are class indices [B] or None.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import ClassEmbedding, Conditioning, ScaleShift, at_least_1, zeroed


class Block(nn.Module):
    """x + linear(silu(linear(norm(x)))), the norm scaled and shifted by `emb`: [B, width]."""

    def __init__(self, width: int, *, emb_dim: int | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.film = None if emb_dim is None else ScaleShift(emb_dim, width)
        self.up, self.down = nn.Linear(width, width), zeroed(nn.Linear(width, width))

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        h = self.norm(x)
        if self.film is not None:
            h = self.film(emb, h)
        return x + self.down(F.silu(self.up(h)))


class MLP(nn.Module):
    """Noisy x [B, *shape], noise level t [B], class [B] or None -> [B, *shape]."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        width: int = 256,
        depth: int = 4,
        frequencies: int = 0,
    ) -> None:
        """`frequencies` adds sin and cos of (pi/2) 2^k x, k < frequencies, to the input values.

        With none of them a network of few inputs learns fine detail slowly: Tancik et al. 2020
        (arXiv 2006.10739).
        """
        super().__init__()
        at_least_1(width=width, depth=depth)
        self.conditioning = Conditioning(width, num_classes=num_classes)
        rates = math.pi / 2 * 2.0 ** torch.arange(frequencies)
        self.register_buffer("rates", rates, persistent=False)
        self.first = nn.Linear(math.prod(shape) * (1 + 2 * frequencies), width)
        self.blocks = nn.ModuleList(Block(width, emb_dim=width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = zeroed(nn.Linear(width, math.prod(shape)))

    def forward(self, x: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        emb = self.conditioning(t, cond)
        flat = x.flatten(1)
        angles = (flat[:, :, None] * self.rates).flatten(1)
        h = self.first(torch.cat([flat, angles.sin(), angles.cos()], dim=1))
        for block in self.blocks:
            h = block(h, emb)
        return self.last(F.silu(self.norm(h))).view(x.shape)


class _Stack(nn.Module):
    """num_in values and a class -> num_out values; the class is embedded beside the input."""

    def __init__(
        self, num_in: int, num_out: int, *, num_classes: int | None, width: int, depth: int
    ) -> None:
        super().__init__()
        at_least_1(width=width, depth=depth)
        self.first = nn.Linear(num_in, width)
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.last = nn.Linear(width, num_out)

    def forward(self, x: Tensor, cond: Tensor | None) -> Tensor:
        h = self.first(x)
        if self.classes is not None:
            h = h + self.classes(cond, len(x))
        for block in self.blocks:
            h = block(h)
        return self.last(F.silu(h))


class MLPGenerator(nn.Module):
    """z [B, latent_dim], class -> x [B, *shape]; in [-1, 1] if `bounded` (images), else free."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        num_classes: int | None = None,
        width: int = 256,
        depth: int = 3,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        self.shape, self.bounded = tuple(shape), bounded
        self.stack = _Stack(
            latent_dim, math.prod(shape), num_classes=num_classes, width=width, depth=depth
        )

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        x = self.stack(z, cond).unflatten(1, self.shape)
        return x.tanh() if self.bounded else x


class MLPDiscriminator(nn.Module):
    """x [B, *shape], class -> logit [B]; the class enters by projection (Miyato and Koyama 2018).

    No norm: R1 and WGAN-GP penalise the gradient of each example, and the scale of x must be seen.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        width: int = 256,
        depth: int = 3,
    ) -> None:
        super().__init__()
        dims = [math.prod(shape)] + [width] * depth
        layers: list[nn.Module] = [nn.Flatten()]
        for dim_in, dim_out in itertools.pairwise(dims):
            layers += [nn.Linear(dim_in, dim_out), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.logit = nn.Linear(dims[-1], 1)
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, dims[-1])
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=dims[-1] ** -0.5)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        h = self.layers(x)
        logit = self.logit(h).squeeze(1)
        if self.classes is not None:
            logit = logit + (self.classes(cond, len(x)) * h).sum(1)
        return logit


class MLPEncoder(nn.Module):
    """x [B, *shape], class -> mean and log-variance of q(z | x), each [B, latent_dim]."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        num_classes: int | None = None,
        width: int = 256,
        depth: int = 2,
    ) -> None:
        super().__init__()
        self.stack = _Stack(
            math.prod(shape), 2 * latent_dim, num_classes=num_classes, width=width, depth=depth
        )

    def forward(self, x: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, logvar = self.stack(x.flatten(1), cond).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)  # exp stays finite, whatever the encoder says


class MLPDecoder(nn.Module):
    """z [B, latent_dim], class -> raw parameters of p(x | z) [B, *shape]: one location a value.

    With `outputs` n there are n numbers a value, [B, n * shape[0], ...].
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        num_classes: int | None = None,
        width: int = 256,
        depth: int = 2,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        at_least_1(outputs=outputs)
        self.shape = (outputs * shape[0], *shape[1:])
        self.stack = _Stack(
            latent_dim, math.prod(self.shape), num_classes=num_classes, width=width, depth=depth
        )

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        return self.stack(z, cond).unflatten(1, self.shape)
