"""Convolutional networks for images: DCGAN's two, a VAE's two, and the residual block of the U-Net.

Read: `halvings` says which feature-map sizes a network has; the rest is four short networks.
Images are [B, C, H, W]; sides are multiples of 4, from 8 up.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from genlab.nn.layers import (
    ClassEmbedding,
    ScaleShift,
    at_least_1,
    group_norm,
    image_shape,
    one_of,
    zeroed,
)

GENERATOR_NORMS = ("batch", "conditional", "group", "none")
DISCRIMINATOR_NORMS = ("spectral", "batch", "none")


def halvings(shape: Sequence[int], net: str, fold: int = 1) -> tuple[int, int, int, int]:
    """(C, smallest H, smallest W, number of halvings): both sides halve while they stay >= 4.

    With `fold` of x's pixels folded into channels: C is fold^2 x's, and fewer halvings are left.
    """
    channels, height, width = image_shape(shape, net)
    if height % 4 or width % 4 or min(height, width) < 8:
        raise ValueError(
            f"data.shape={list(shape)}: net {net} takes sides that are multiples of 4, from 8 up"
        )
    if fold < 1 or height % fold or width % fold or min(height, width) < 4 * fold:
        raise ValueError(
            f"net.fold={fold}: must divide the sides of {list(shape)} and leave 4 pixels of each"
        )
    channels, height, width, n = channels * fold**2, height // fold, width // fold, 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) >= 8:
        height, width, n = height // 2, width // 2, n + 1
    return channels, height, width, n


class ResBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), the second norm scaled and shifted by `emb`.

    The second convolution starts at zero. x [B, in, H, W], emb [B, emb_dim] -> [B, out, H, W].
    """

    def __init__(
        self, dim_in: int, dim_out: int, *, emb_dim: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = group_norm(dim_in), group_norm(dim_out)
        self.conv1 = nn.Conv2d(dim_in, dim_out, 3, padding=1)
        self.conv2 = zeroed(nn.Conv2d(dim_out, dim_out, 3, padding=1))
        self.film = None if emb_dim is None else ScaleShift(emb_dim, dim_out)
        self.skip = nn.Identity() if dim_in == dim_out else nn.Conv2d(dim_in, dim_out, 1)
        self.dropout = dropout

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        if self.film is not None:
            h = self.film(emb, h)
        h = F.dropout(F.silu(h), self.dropout, self.training)
        return self.skip(x) + self.conv2(h)


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scale and shift are the class's own (de Vries et al. 2017, 1707.00683)."""

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(dim, affine=False)
        self.scale, self.shift = (zeroed(ClassEmbedding(num_classes, dim)) for _ in range(2))

    def forward(self, x: Tensor, cond: Tensor | None) -> Tensor:
        scale, shift = (e(cond, len(x))[:, :, None, None] for e in (self.scale, self.shift))
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class DCGANGenerator(nn.Module):
    """z [B, latent_dim], class -> image in [-1, 1] (Radford et al. 2016, any size from 8x8).

    `width` is the number of channels at full size; it doubles with each halving, to at most
    8 * width. The last layer is a 3x3 convolution, as in Miyato et al. 2018, table 3. With
    norm=conditional the class enters at each norm too, as in Miyato and Koyama 2018.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        num_classes: int | None = None,
        width: int = 64,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        at_least_1(width=width, latent_dim=latent_dim)
        one_of("net.generator.norm", norm, GENERATOR_NORMS)
        if norm == "conditional" and num_classes is None:
            raise ValueError("net.generator.norm=conditional: the data have no classes; take batch")
        channels, self.height, self.width, n = halvings(shape, "dcgan")
        dims = [width * min(8, 2**i) for i in reversed(range(n + 1))]  # smallest map first
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, latent_dim)
        inputs = latent_dim * (1 if num_classes is None else 2)
        self.first = nn.Linear(inputs, dims[0] * self.height * self.width)
        layers: list[nn.Module] = [_norm(norm, dims[0], num_classes), nn.ReLU()]
        for dim_in, dim_out in itertools.pairwise(dims):
            up = nn.ConvTranspose2d(dim_in, dim_out, 4, stride=2, padding=1)
            layers += [up, _norm(norm, dim_out, num_classes), nn.ReLU()]
        layers += [nn.Conv2d(dims[-1], channels, 3, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        _dcgan_init(self)

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        if self.classes is not None:
            z = torch.cat([z, self.classes(cond, len(z))], dim=1)
        h = self.first(z).unflatten(1, (-1, self.height, self.width))
        for layer in self.layers:
            h = layer(h, cond) if isinstance(layer, ConditionalBatchNorm) else layer(h)
        return h


class DCGANDiscriminator(nn.Module):
    """Image, class -> logit [B]; the class enters by projection (Miyato and Koyama 2018).

    The layers are those of Miyato et al. 2018, table 3: a 3x3 convolution at each size, a 4x4 one
    with stride 2 between; plain DCGAN would have a single layer for an 8x8 image.
    norm=spectral (from there too) suits every loss and bounds the classes' projection as well, as
    Miyato and Koyama do; norm=batch is DCGAN's own, but mixes the
    examples of a batch, so gradient penalties per example (R1, WGAN-GP) are not defined with it.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        width: int = 64,
        norm: str = "spectral",
    ) -> None:
        super().__init__()
        at_least_1(width=width)
        one_of("net.discriminator.norm", norm, DISCRIMINATOR_NORMS)
        channels, height, length, n = halvings(shape, "dcgan")
        dims = [channels] + [width * min(8, 2**i) for i in range(n + 1)]
        layers: list[nn.Module] = []
        for i, (dim_in, dim_out) in enumerate(itertools.pairwise(dims)):
            if i > 0:
                layers += [nn.Conv2d(dim_in, dim_in, 4, stride=2, padding=1)]
                layers += [nn.BatchNorm2d(dim_in)] if norm == "batch" else []
                layers += [nn.LeakyReLU(0.2)]
            layers += [nn.Conv2d(dim_in, dim_out, 3, padding=1)]
            layers += [nn.BatchNorm2d(dim_out)] if norm == "batch" and i > 0 else []
            layers += [nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        features = dims[-1] * height * length
        self.logit = nn.Linear(features, 1)
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, features)
        _dcgan_init(self)
        if norm == "spectral":
            for layer in [*self.layers, self.logit, self.classes]:
                if isinstance(layer, nn.Conv2d | nn.Linear | ClassEmbedding):
                    spectral_norm(layer)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        h = self.layers(x)
        logit = self.logit(h).squeeze(1)
        if self.classes is not None:
            logit = logit + (self.classes(cond, len(x)) * h).sum(1)
        return logit


class ConvEncoder(nn.Module):
    """Image, class -> mean and log-variance of q(z | x), each [B, latent_dim]."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        num_classes: int | None = None,
        width: int = 32,
        fold: int = 1,
    ) -> None:
        """`width` channels at full size, doubled with each halving to at most 4 * width.

        `fold`: squares of so many pixels a side become channels, so that full size is that much
        smaller; convolutions on all pixels are most of the cost.
        """
        super().__init__()
        at_least_1(width=width, latent_dim=latent_dim)
        channels, height, length, n = halvings(shape, "conv_vae", fold)
        dims = [width * min(4, 2**i) for i in range(n + 1)]
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, width)
        emb_dim = None if num_classes is None else width
        self.fold = nn.PixelUnshuffle(fold) if fold > 1 else nn.Identity()
        self.first = nn.Conv2d(channels, dims[0], 3, padding=1)
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(dims)
        )
        self.blocks = nn.ModuleList(ResBlock(d, d, emb_dim=emb_dim) for d in dims[1:])
        self.last = nn.Linear(dims[-1] * height * length, 2 * latent_dim)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        emb = None if self.classes is None else self.classes(cond, len(x))
        h = self.first(self.fold(x))
        for down, block in zip(self.downs, self.blocks, strict=True):
            h = block(down(h), emb)
        mean, logvar = self.last(F.silu(h).flatten(1)).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)  # exp stays finite, whatever the encoder says


class ConvDecoder(nn.Module):
    """z [B, latent_dim], class -> raw parameters of p(x | z), shaped as x: one location a value.

    With `outputs` n there are n numbers a value, [B, n C, H, W].
    The class stands beside z at the input too (CVAE, Sohn et al. 2015): what an image of a class
    looks like on the whole need not be told by z.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent_dim: int,
        num_classes: int | None = None,
        width: int = 32,
        fold: int = 1,
        outputs: int = 1,
    ) -> None:
        """`width` and `fold` as in ConvEncoder."""
        super().__init__()
        at_least_1(width=width, latent_dim=latent_dim, outputs=outputs)
        channels, self.height, self.width, n = halvings(shape, "conv_vae", fold)
        dims = [width * min(4, 2**i) for i in reversed(range(n + 1))]
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, width)
        emb_dim = None if num_classes is None else width
        beside = emb_dim or 0
        self.first = nn.Linear(latent_dim + beside, dims[0] * self.height * self.width)
        self.blocks = nn.ModuleList(ResBlock(d, d, emb_dim=emb_dim) for d in dims[:-1])
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in itertools.pairwise(dims)
        )
        self.last = nn.Conv2d(dims[-1], outputs * channels, 3, padding=1)
        self.unfold = nn.PixelShuffle(fold) if fold > 1 else nn.Identity()

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        emb = None if self.classes is None else self.classes(cond, len(z))
        h = self.first(z if emb is None else torch.cat([z, emb], 1))
        h = h.unflatten(1, (-1, self.height, self.width))
        for block, up in zip(self.blocks, self.ups, strict=True):
            h = up(block(h, emb))
        return self.unfold(self.last(F.silu(h)))


def _norm(kind: str, dim: int, num_classes: int | None) -> nn.Module:
    if kind == "conditional" and num_classes is not None:
        return ConditionalBatchNorm(dim, num_classes)
    if kind == "batch":
        return nn.BatchNorm2d(dim)
    return group_norm(dim) if kind == "group" else nn.Identity()


def _dcgan_init(net: nn.Module) -> None:
    """DCGAN section 3: all weights from N(0, 0.02^2)."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        elif layer is getattr(net, "classes", None):  # those of norms start at 0
            nn.init.normal_(layer.weight, std=0.02)
