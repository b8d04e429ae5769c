"""The U-Net over space and time: the image U-Net on every frame, and layers that join the frames.

Read: `VideoUNet.forward` (frames become a batch), `TimedLevel` (an image level, then time),
`Time` (what is added). Ho et al. 2022, Video Diffusion Models, arXiv 2204.03458: convolutions see
one frame, attention over frames stands behind each attention over space; here a convolution over
neighbouring frames stands behind every block beside it, as in Singer et al. 2022, arXiv 2209.14792.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.batch import Context, each
from genlab.nn.attention import RoPE, SelfAttention
from genlab.nn.layers import group_norm, zeroed
from genlab.nn.unet import Level, UNet, num_heads


class Time(nn.Module):
    """Frames joined at each place: [B * T, C, H, W] -> the same; starts as the identity.

    x + a convolution over three neighbouring frames; then, where the level attends, x + attention
    over all frames, which knows how far they are apart (RoPE) and so takes clips of any length.
    """

    def __init__(self, dim: int, *, frames: int, head_dim: int | None) -> None:
        """`head_dim` None: no attention."""
        super().__init__()
        self.frames = frames
        self.norm = group_norm(dim)
        # of the frame before, itself and the frame behind: a convolution over three frames. With
        # Conv3d for it a whole step of training takes over twice the time on a CPU
        self.near = zeroed(nn.Conv2d(3 * dim, dim, 1))
        self.attention = None
        if head_dim is not None:
            heads = num_heads(dim, head_dim)
            self.norm2 = nn.LayerNorm(dim)
            rope = RoPE(dim // heads, max_length=frames, base=100.0)
            self.attention = SelfAttention(dim, heads=heads, rope=rope)
            zeroed(self.attention.out)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.norm(x))
        clips = h.unflatten(0, (-1, self.frames))  # [B, T, C, H, W]
        none = torch.zeros_like(clips[:, :1])
        before = torch.cat([none, clips[:, :-1]], 1).flatten(0, 1)
        behind = torch.cat([clips[:, 1:], none], 1).flatten(0, 1)
        x = x + self.near(torch.cat([before, h, behind], 1))
        if self.attention is None:
            return x
        h = x.unflatten(0, (-1, self.frames)).permute(0, 3, 4, 1, 2)  # [B, H, W, T, C]
        sides = h.shape[:3]
        h = self.attention(self.norm2(h.flatten(0, 2)))  # [B * H * W, T, C]
        return x + h.unflatten(0, sides).permute(0, 3, 4, 1, 2).flatten(0, 1)


class TimedLevel(Level):
    """A level of the image U-Net, then the frames are joined; of one frame it is that level."""

    def __init__(self, dim_in: int, dim_out: int, *, frames: int, **settings: Any) -> None:
        super().__init__(dim_in, dim_out, **settings)
        self.frames = frames
        self.time = Time(dim_out, frames=frames, head_dim=settings["attention"])

    def forward(self, x: Tensor, emb: Tensor, context: Context | None = None) -> Tensor:
        h = super().forward(x, emb, context)
        return h if self.frames == 1 else self.time(h)


class VideoUNet(UNet):
    """Noisy clip x [B, C, T, H, W], noise level t [B], class [B], context or None -> the same.

    Its names of weights are the image U-Net's, with `time` beside them: of one frame, or as long
    as `time` is at its start, each frame goes through the image U-Net by itself, exactly.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_classes: int | None = None,
        context: int | None = None,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 4),
        blocks: int = 1,
        attention: Sequence[int] = (2, 4),
        head_dim: int = 32,
        dropout: float = 0.0,
        patch: int = 1,
    ) -> None:
        """As `UNet`; blocks that attend over space attend over time too."""
        if len(shape) != 4:
            raise ValueError(
                f"data.shape={list(shape)}: net video_unet takes clips [C,T,H,W]; for pictures"
                " choose net=unet"
            )
        channels, self.frames, *sides = shape
        super().__init__(
            [channels, *sides],
            num_classes=num_classes,
            context=context,
            width=width,
            multipliers=multipliers,
            blocks=blocks,
            attention=attention,
            head_dim=head_dim,
            dropout=dropout,
            patch=patch,
        )

    def level(self, dim_in: int, dim_out: int, **settings: Any) -> Level:
        return TimedLevel(dim_in, dim_out, frames=self.frames, **settings)

    def forward(self, x: Tensor, t: Tensor, cond: Tensor | Context | None = None) -> Tensor:
        def repeated(rows: Tensor) -> Tensor:
            return rows.repeat_interleave(self.frames, 0)

        frames = x.transpose(1, 2).flatten(0, 1)  # [B * T, C, H, W]
        out = super().forward(frames, repeated(t), each(repeated, cond))
        return out.unflatten(0, (-1, self.frames)).transpose(1, 2)
