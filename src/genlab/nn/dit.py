"""DiT: a transformer over an image's patches, conditioned by adaLN-zero (Peebles and Xie 2023).

With `context` each block also attends to a caption's states (PixArt-alpha, Chen et al. 2023).

Read: `DiT.forward`: cut into patches, blocks, put together. Every block starts as the identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.batch import Context
from genlab.nn.attention import CrossAttention, SelfAttention
from genlab.nn.layers import Conditioning, FeedForward, at_least_1, image_shape, sinusoids, zeroed


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x [B, T, dim] scaled and shifted by [B, 1, dim] each."""
    return torch.addcmul(shift, x, 1 + scale)


class Block(nn.Module):
    """Attention and feed-forward, each x + gate * branch(modulate(norm(x))): [B, T, width].

    Between them attention to the context, where there is one.
    """

    def __init__(
        self, width: int, *, heads: int, dropout: float, context: int | None = None
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attention = SelfAttention(width, heads=heads, dropout=dropout)
        self.mlp = FeedForward(width, dropout=dropout)
        self.modulation = zeroed(nn.Linear(width, 6 * width))
        self.cross = None
        if context is not None:
            self.norm_cross = nn.LayerNorm(width)
            self.cross = CrossAttention(width, context=context, heads=heads)
            zeroed(self.cross.out)

    def forward(self, x: Tensor, emb: Tensor, context: Context | None = None) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = (
            self.modulation(emb).unsqueeze(1).chunk(6, dim=-1)
        )
        x = x + gate1 * self.attention(modulate(self.norm1(x), shift1, scale1))
        if self.cross is not None and context is not None:
            x = x + self.cross(self.norm_cross(x), context)
        return x + gate2 * self.mlp(modulate(self.norm2(x), shift2, scale2))


class DiT(nn.Module):
    """Noisy image x [B, C, H, W], noise level t [B], class [B], context or None -> [B, C, H, W]."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        context: int | None = None,
        patch: int = 2,
        width: int = 128,
        depth: int = 6,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        """`context`: the width of the states that each block attends to, in place of classes."""
        super().__init__()
        at_least_1(width=width, depth=depth, patch=patch)
        channels, height, length = image_shape(shape, "dit")
        if height % patch or length % patch:
            raise ValueError(
                f"net.patch={patch}: must divide the sides of data.shape={list(shape)}"
            )
        if width % 4 or width % heads:
            raise ValueError(f"net.width={width}: must be a multiple of 4 and of net.heads={heads}")
        self.patch = patch
        self.conditioning = Conditioning(width, num_classes=num_classes, context=context)
        self.first = nn.Conv2d(channels, width, patch, stride=patch)
        self.register_buffer(
            "positions", _grid(height // patch, length // patch, width), persistent=False
        )
        self.blocks = nn.ModuleList(
            Block(width, heads=heads, dropout=dropout, context=context) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation = zeroed(nn.Linear(width, 2 * width))
        self.last = zeroed(nn.Linear(width, channels * patch * patch))

    def forward(self, x: Tensor, t: Tensor, cond: Tensor | Context | None = None) -> Tensor:
        emb = self.conditioning(t, cond)
        context = cond if isinstance(cond, Context) else None
        h = self.first(x)  # [B, width, H/patch, W/patch]
        rows = h.shape[2]
        h = h.flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            h = block(h, emb, context)
        shift, scale = self.modulation(emb).unsqueeze(1).chunk(2, dim=-1)
        h = self.last(modulate(self.norm(h), shift, scale)).transpose(1, 2)
        return F.pixel_shuffle(h.unflatten(2, (rows, -1)), self.patch)


def _grid(rows: int, columns: int, dim: int) -> Tensor:
    """Fixed 2-D positions [rows * columns, dim]: half tells the row, half the column.

    As in DiT, frequencies fall from 1 to 1e-4 radians a patch.
    """
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    halves = [sinusoids(p.flatten(), dim // 2, lowest=1e-4, highest=1.0) for p in (y, x)]
    return torch.cat(halves, dim=1)
