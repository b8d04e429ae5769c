"""Small blocks that several networks share: norms, feed-forwards, embeddings of time and of class.

Read: each block stands alone. `TimeEmbedding` says which noise levels it expects, `ClassEmbedding`
what "no class" means, `Conditioning` puts both together for the noise networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.batch import Context

NORMS = ("rms", "layer")
FEED_FORWARDS = ("swiglu", "gelu")


def one_of(key: str, value: str, allowed: Sequence[str]) -> str:
    """`value` if it is allowed, else a ValueError that names the key and what is allowed."""
    if value not in allowed:
        raise ValueError(f"{key}={value!r}: allowed are {', '.join(allowed)}")
    return value


def at_least_1(**sizes: int) -> None:
    """Refuse a net without width or depth: a ValueError that names the size."""
    for key, value in sizes.items():
        if value < 1:
            raise ValueError(f"net.{key}={value}: at least 1")


def image_shape(shape: Sequence[int], net: str) -> tuple[int, int, int]:
    """(C, H, W), or a ValueError where `shape` is not an image's."""
    if len(shape) != 3:
        raise ValueError(
            f"data.shape={list(shape)}: net {net} takes images [C,H,W]; "
            "for other shapes choose net=mlp, mlp_gan or mlp_vae"
        )
    channels, height, width = (int(n) for n in shape)
    return channels, height, width


def zeroed(module: nn.Module) -> nn.Module:
    """The module with all parameters zero: a residual branch that starts as the identity."""
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


def norm(kind: str, dim: int, *, bias: bool = False) -> nn.Module:
    """RMS norm (Zhang and Sennrich 2019; it has no bias) or layer norm over the last dimension."""
    if one_of("net.norm", kind, NORMS) == "rms":
        return nn.RMSNorm(dim, eps=1e-6)
    return nn.LayerNorm(dim, bias=bias)


class GroupNorm(nn.GroupNorm):
    """Group norm (Wu and He 2018) in float32: what is narrower is cast there and back.

    torch's own kernel for bfloat16 on CPUs takes longer than the float32 one with both casts: a
    whole step of the digits' U-Net takes 0.83 of the time with them (one thread, AVX512_BF16).
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.dtype not in (torch.bfloat16, torch.float16):
            return super().forward(x)
        return super().forward(x.float()).to(x.dtype)


def group_norm(channels: int) -> GroupNorm:
    """Group norm with at most 32 groups of at least 4 channels (as EDM): a power of two of them."""
    groups = math.gcd(32, channels)
    while groups > 1 and channels // groups < 4:
        groups //= 2
    return GroupNorm(groups, channels, eps=1e-6)


class FeedForward(nn.Module):
    """Two-layer feed-forward: GELU with 4 * dim hidden, or SwiGLU (Shazeer 2020) with 8/3 * dim.

    8/3 keeps the number of weights (three matrices for two); it is rounded up to a multiple of 32.
    """

    def __init__(
        self, dim: int, *, kind: str = "gelu", bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.gated = one_of("net.mlp", kind, FEED_FORWARDS) == "swiglu"
        hidden = -(-dim * 8 // (3 * 32)) * 32 if self.gated else 4 * dim
        self.up = nn.Linear(dim, hidden * (2 if self.gated else 1), bias=bias)
        self.down = nn.Linear(hidden, dim, bias=bias)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        if self.gated:
            gate, value = self.up(x).chunk(2, dim=-1)
            h = F.silu(gate) * value
        else:
            h = F.gelu(self.up(x))
        out = self.down(h)
        return F.dropout(out, self.dropout) if self.training else out


def sinusoids(t: Tensor, dim: int, *, lowest: float, highest: float) -> Tensor:
    """cos and sin of t at dim/2 geometric angular frequencies: t [...] -> [..., dim] in float32."""
    steps = torch.linspace(math.log(lowest), math.log(highest), dim // 2, device=t.device)
    angles = t.float().unsqueeze(-1) * steps.exp()
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedding(nn.Module):
    """Noise level t [B], or several an example [B, N] -> [B, dim]: sinusoids, two linear layers.

    Several share the sinusoids: each has features / N of them, so that the weights are the same.

    t should be of order 1, as EDM's c_noise = ln(sigma) / 4 and a flow's t in [0, 1] are. The
    frequencies 0.5 .. 100 rad tell levels 1 % apart from each other and are yet smooth in t.
    """

    def __init__(self, dim: int, *, features: int = 64) -> None:
        super().__init__()
        self.features = features
        self.mlp = nn.Sequential(nn.Linear(features, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        each = self.features // (t.shape[1] if t.ndim > 1 else 1)
        return self.mlp(sinusoids(t, each, lowest=0.5, highest=100.0).flatten(1))


class ClassEmbedding(nn.Embedding):
    """Class [B] -> [B, dim]; row num_classes is "no class", which `cond=None` means for all."""

    def __init__(self, num_classes: int, dim: int) -> None:
        super().__init__(num_classes + 1, dim)

    def forward(self, cond: Tensor | None, batch: int) -> Tensor:
        if cond is None:
            return self.weight[-1].expand(batch, -1)
        return super().forward(cond)


def only_one(num_classes: int | None, context: int | None) -> None:
    """Refuse a net that is to be given both."""
    if num_classes is not None and context is not None:
        raise ValueError(
            f"net.num_classes={num_classes} and net.context={context}: a net is given classes or a "
            "context; write net.num_classes=null"
        )


class Pooled(nn.Module):
    """The mean of a context's states that count, as one vector: [B, dim]."""

    def __init__(self, context: int, dim: int) -> None:
        super().__init__()
        self.out = nn.Linear(context, dim)

    def forward(self, context: Context) -> Tensor:
        counts = context.mask.unsqueeze(-1).to(context.states)
        return self.out((context.states * counts).sum(1) / counts.sum(1))


class Conditioning(nn.Module):
    """Noise level [B] or levels [B, N] and class [B], context or None -> SiLU(time + class or
    context) [B, dim].

    A network built without classes ignores `cond`, so it also trains on labelled data.
    """

    def __init__(
        self, dim: int, *, num_classes: int | None = None, context: int | None = None
    ) -> None:
        """`context`: the width of a context's states, in place of classes."""
        super().__init__()
        only_one(num_classes, context)
        self.time = TimeEmbedding(dim)
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, dim)
        self.pooled = None if context is None else Pooled(context, dim)

    def forward(self, t: Tensor, cond: Tensor | Context | None) -> Tensor:
        emb = self.time(t)
        if self.classes is not None:
            emb = emb + self.classes(cond, len(t))
        if self.pooled is not None and cond is not None:
            emb = emb + self.pooled(cond)
        return F.silu(emb)


class ScaleShift(nn.Linear):
    """Embedding [B, emb] -> scale and shift [B, dim, 1...], both 0 at the start (FiLM, AdaGN)."""

    def __init__(self, emb: int, dim: int) -> None:
        super().__init__(emb, 2 * dim)
        zeroed(self)

    def forward(self, emb: Tensor, x: Tensor) -> Tensor:
        """x [B, dim, ...] -> x * (1 + scale) + shift."""
        emb = super().forward(emb)
        scale, shift = emb.reshape(emb.shape + (1,) * (x.ndim - 2)).chunk(2, dim=1)
        return torch.addcmul(shift, x, 1 + scale)


def recurrent(layer: nn.RNNBase, x: Tensor, state: Tensor | tuple[Tensor, ...] | None) -> Any:
    """A recurrent layer's (output, state).

    Under autocast on the CPU oneDNN has an LSTM of bfloat16 only where there is AVX512: elsewhere
    it is of float32.
    """
    old = torch.backends.cpu.get_cpu_capability() in ("AVX2", "DEFAULT")
    if old and isinstance(layer, nn.LSTM) and x.device.type == "cpu":
        with torch.autocast("cpu", enabled=False):
            return layer(x.float(), state)
    return layer(x, state)
