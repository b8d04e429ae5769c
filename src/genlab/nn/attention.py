"""Attention: `attend` (the product), RoPE (positions), SelfAttention (projections and KV cache),
CrossAttention (to a caption or other context).

Read: SelfAttention.forward top to bottom; `attend` holds the one choice that speed depends on.
Shapes: B examples, T queries, S keys, H heads, G key-value heads (G divides H), D = dim / H.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.batch import Context


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool,
    dropout: float = 0.0,
    mask: Tensor | None = None,
) -> Tensor:
    """softmax(q k^T / sqrt(D)) v: q [B, H, T, D], k and v [B, G, S, D] -> [B, H, T, D], v's dtype.

    Causal: the last query stands at the last key (T < S continues a cache). `mask` (not with
    causal): bool, which keys count, broadcast over [B, H, T, S].
    """
    dtype = v.dtype
    if k.shape[1] != q.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    t, s = q.shape[-2], k.shape[-2]
    if causal and 1 < t < s:
        mask = torch.ones(t, s, dtype=torch.bool, device=q.device).tril(s - t)
    causal = causal and t == s > 1
    # On a CPU the fused kernel's backward is slow in bfloat16 (torch 2.15), so it runs in float32.
    # Forward + backward in ms, 2 threads, as: fused bf16 | unfused bf16 | fused float32:
    #   B12 H4 T64 D32 causal 5.1 | 2.4 | 0.9      B16 H6 T256 D64 causal 74 | 98 | 32
    #   B128 H2 T64 D32 25.8 | 9.6 | 4.3           B128 H4 T16 D32 19.9 | 3.3 | 1.6
    # That CPU has no bfloat16 arithmetic; on one that has (avx512_bf16) a whole GPT step took
    # 28 ms fused float32, 24 ms unfused at T64, and 805 | 825 ms at width 384, T256: no loser.
    # Entering autocast takes longer than one token's product: only where something is narrower.
    if q.device.type == "cpu" and (dtype != torch.float32 or torch.is_autocast_enabled("cpu")):
        with torch.autocast("cpu", enabled=False):
            wide = torch.promote_types(dtype, torch.float32)
            q, k, v = q.to(wide), k.to(wide), v.to(wide)
            out = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=causal)
            return out.to(dtype)
    q, k = (x if x.dtype == dtype else x.to(dtype) for x in (q, k))
    return F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=causal)


class RoPE(nn.Module):
    """Rotary positions (Su et al. 2021): a query-key product depends on their distance alone.

    Pairs are (i, i + D/2), angle = position * base^(-2i/D).
    """

    def __init__(self, dim: int, *, max_length: int, base: float = 10000.0) -> None:
        super().__init__()
        if dim % 2:
            raise ValueError(f"net.width/net.heads={dim}: positions=rope needs an even head width")
        rates = base ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        angles = torch.arange(max_length, dtype=torch.float64)[:, None] * rates
        self.register_buffer("cos", angles.cos().float()[:, None], persistent=False)  # [S, 1, D/2]
        self.register_buffer("sin", angles.sin().float()[:, None], persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """x [B, T, H, D] at positions start .. start+T-1 -> the same, turned, in float32."""
        cos, sin = (c[start : start + x.shape[1]] for c in (self.cos, self.sin))
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Cache(NamedTuple):
    """Keys and values of one layer, each [B, G, max_length, D], and both of them in one tensor."""

    both: Tensor  # [B, 2, G, max_length, D]
    keys: Tensor
    values: Tensor

    @classmethod
    def empty(cls, size: tuple[int, int, int, int], like: Tensor) -> Cache:
        """Room for `size` numbers of the type of `like`, on its device."""
        both = like.new_empty(size[0], 2, *size[1:])
        return cls(both, *both.unbind(1))


class SelfAttention(nn.Module):
    """Multi-head self-attention with grouped key-value heads (GQA, Ainslie et al. 2023)."""

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        kv_heads: int | None = None,
        causal: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
        rope: RoPE | None = None,
    ) -> None:
        super().__init__()
        kv_heads = kv_heads or heads
        if dim % heads:
            raise ValueError(f"net.heads={heads}: must divide the width, {dim}")
        if heads % kv_heads:
            raise ValueError(f"net.kv_heads={kv_heads}: must divide net.heads={heads}")
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, dim // heads
        self.causal, self.dropout = causal, dropout
        self.rope = rope
        self.qkv = nn.Linear(dim, (heads + 2 * kv_heads) * self.head_dim, bias=bias)
        self.out = nn.Linear(dim, dim, bias=bias)

    def forward(self, x: Tensor, cache: Cache | None = None, start: int = 0) -> Tensor:
        """x [B, T, dim] -> the same; with a cache x stands at start .. start+T-1 and is added."""
        b, t, dim = x.shape
        h, g = self.heads, self.kv_heads
        qkv = self.qkv(x).view(b, t, h + 2 * g, self.head_dim)
        qk, v = qkv.split([h + g, g], dim=2)
        if self.rope is not None:
            qk = self.rope(qk, start)
        q, k = qk.transpose(1, 2).split([h, g], dim=1)  # [B, H, T, D] and [B, G, T, D]
        v = v.transpose(1, 2)
        if cache is not None:
            k, v = self._extend(cache, k, v, start)
        out = attend(q, k, v, causal=self.causal, dropout=self.dropout if self.training else 0.0)
        out = self.out(out.transpose(1, 2).reshape(b, t, dim))
        return F.dropout(out, self.dropout) if self.training else out

    @staticmethod
    def _extend(cache: Cache, k: Tensor, v: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Write k and v into the cache at `start`; give back all keys and values up to there."""
        end = start + k.shape[2]
        cache.both[:, 0, :, start:end] = k
        cache.both[:, 1, :, start:end] = v
        keys, values = cache.both[:, :, :, :end].to(v.dtype).unbind(1)
        return keys, values


class CrossAttention(nn.Module):
    """Multi-head attention from x to a context: x [B, T, dim], states [B, S, context]."""

    def __init__(self, dim: int, *, context: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"net.heads={heads}: must divide the width, {dim}")
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(context, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        q, (k, v) = self._heads(self.query(x)), self.keys_values(context)
        out = attend(q, k, v, causal=False, mask=context.mask[:, None, None])
        return self.out(out.transpose(1, 2).reshape(x.shape))

    def keys_values(self, context: Context) -> tuple[Tensor, Tensor]:
        """Of the context's states, each [B, H, S, D]."""
        k, v = (self._heads(part) for part in self.key_value(context.states).chunk(2, dim=-1))
        return k, v

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
