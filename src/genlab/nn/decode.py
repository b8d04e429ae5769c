"""One token after the others: what a GPT does with a single new token, in few operators.

With one example a token's time goes to starting operators and to reading weights. So matrices lie
here with their longer side in order (a row vector times one is then 1.5 to 2 times as fast on a
CPU), a norm's gain is in the matrix behind it, keys and values are turned and stored together, and
a caption's keys are computed once. The same function as the modules', to rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.batch import Context
from genlab.nn.attention import Cache, CrossAttention, RoPE, SelfAttention, attend
from genlab.nn.layers import FeedForward

Map = Callable[[Tensor], Tensor]  # [B, width] -> [B, other width]


class LayerDecoder:
    """A block for one token: x [B, width], its place and the layer's cache -> [B, width]."""

    def __init__(self, block: nn.Module) -> None:
        attention: SelfAttention = block.attention
        feed_forward: FeedForward = block.mlp
        cross: CrossAttention | None = block.cross
        self.heads, self.kv_heads = attention.heads, attention.kv_heads
        self.head_dim = attention.head_dim
        plain = attention.qkv.weight.dtype == torch.float32 and self.heads == self.kv_heads
        self.attend = (
            F.scaled_dot_product_attention if plain else functools.partial(attend, causal=False)
        )
        self.norm1, self.qkv = _normed(block.norm1, *_of(attention.qkv))
        self.out = _matrix(*_of(attention.out))
        self.norm2, self.up = _normed(block.norm2, *_of(feed_forward.up))
        self.down, self.gated = _matrix(*_of(feed_forward.down)), feed_forward.gated
        if not self.gated:  # gelu(u) = (v + v erf(v)) / sqrt(2) for v = u / sqrt(2)
            self.up, self.down = _scaled(self.up, both=True), _scaled(self.down, both=False)
        self.cross = cross
        if cross is not None:
            self.norm_cross, self.query = _normed(block.norm_cross, *_of(cross.query))
            self.cross_out = _matrix(*_of(cross.out))
        self.told: tuple[Tensor, Tensor] | None = None  # the context's keys and values

    def __call__(
        self, x: Tensor, turn: Map | None, cache: Cache, place: int, context: Context | None
    ) -> Tensor:
        h, g, b = self.heads, self.kv_heads, len(x)
        qkv = _times(self.norm1(x), self.qkv).view(b, h + 2 * g, self.head_dim)
        if turn is not None:
            qkv = turn(qkv)
        kv = qkv.narrow(1, h, 2 * g).view(b, 2, g, self.head_dim)
        cache.both.select(3, place).copy_(kv)
        k, v = cache.keys.narrow(2, 0, place + 1), cache.values.narrow(2, 0, place + 1)
        heard = self.attend(qkv.narrow(1, 0, h).unsqueeze(2), k, v)
        x = _plus(x, heard.view(b, -1), self.out)
        if self.cross is not None and context is not None:
            x = self._listened(x, context)
        up = _times(self.norm2(x), self.up)
        if self.gated:
            gate, value = up.chunk(2, dim=-1)
            return _plus(x, F.silu(gate) * value, self.down)
        return _plus(x, torch.addcmul(up, up, torch.erf(up)), self.down)

    def _listened(self, x: Tensor, context: Context) -> Tensor:
        if self.told is None:
            self.told = self.cross.keys_values(context)
        q = _times(self.norm_cross(x), self.query).view(len(x), self.cross.heads, 1, -1)
        heard = attend(q, *self.told, causal=False, mask=context.mask[:, None, None])
        return _plus(x, heard.reshape(len(x), -1), self.cross_out)


class Decoder:
    """A GPT for one token: its weights as they were when this was made."""

    def __init__(self, net: nn.Module) -> None:
        self.embed = net.embed.weight
        self.positions = None if net.positions is None else net.positions.weight
        self.layers = [LayerDecoder(block) for block in net.blocks]
        attention: SelfAttention = net.blocks[0].attention
        self.turns = None if attention.rope is None else _turns(attention.rope, attention)
        tied = net.embed.weight[: net.vocab]
        weight, bias = (tied, None) if net.head is None else (net.head.weight, net.head.bias)
        self.norm, self.head = _normed(net.norm, weight, bias)

    def __call__(
        self,
        tokens: Tensor,
        caches: list[Cache],
        place: int,
        *,
        shift: Tensor | None = None,
        context: Context | None = None,
    ) -> Tensor:
        """Tokens [B] at `place`, `shift` [B, width] onto their embedding -> logits [B, vocab]."""
        x = self.embed.index_select(0, tokens)
        if self.positions is not None:
            x = x + self.positions[place]
        if shift is not None:
            x = x + shift
        turn = None if self.turns is None else self.turns(place)
        for layer, cache in zip(self.layers, caches):
            x = layer(x, turn, cache, place, context)
        return _times(self.norm(x), self.head)


def decodes(net: nn.Module, block: type) -> bool:
    """Whether a Decoder does what the net does: its parts are genlab's own and nothing was put in
    their place (an adapter, a shard, a subclass)."""
    known = {
        nn.ModuleList, nn.Embedding, nn.Linear, nn.RMSNorm, nn.LayerNorm,
        SelfAttention, CrossAttention, FeedForward, RoPE, block,
    }  # fmt: skip
    parts = [net.blocks, net.embed, net.norm, *net.blocks.modules()]
    return all(type(part) in known and not part._forward_hooks for part in parts)


Matrix = tuple[Tensor, Tensor | None]  # [width, other width], and what is added behind it


def _of(linear: nn.Linear) -> tuple[Tensor, Tensor | None]:
    return linear.weight, linear.bias


def _matrix(weight: Tensor, bias: Tensor | None, gain: Tensor | None = None) -> Matrix:
    weight = (weight if gain is None else weight * gain).detach().t()
    wide = weight.device.type == "cpu" and weight.shape[1] > weight.shape[0]
    return (weight.contiguous() if wide else weight), bias


def _scaled(matrix: Matrix, *, both: bool) -> Matrix:
    """A matrix over sqrt(2), and (with `both`) what is added behind it too."""
    weight, bias = matrix
    scale = 2**-0.5
    return weight * scale, bias * scale if both and bias is not None else bias


def _normed(norm: nn.Module, weight: Tensor, bias: Tensor | None) -> tuple[Map, Matrix]:
    """A norm without its gain, and the matrix behind it with it."""
    if isinstance(norm, nn.RMSNorm):
        width, eps = norm.normalized_shape[0], norm.eps

        def rms(x: Tensor) -> Tensor:
            squares = torch.linalg.vecdot(x, x).unsqueeze_(-1)
            return x * squares.mul_(1 / width).add_(eps).rsqrt_()

        return rms, _matrix(weight, bias, norm.weight)
    shape, gain, shift, eps = norm.normalized_shape, norm.weight, norm.bias, norm.eps
    return lambda x: F.layer_norm(x, shape, gain, shift, eps), _matrix(weight, bias)


def _times(x: Tensor, matrix: Matrix) -> Tensor:
    weight, bias = matrix
    return torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)


def _plus(x: Tensor, h: Tensor, matrix: Matrix) -> Tensor:
    """x + h times the matrix."""
    weight, bias = matrix
    x = torch.addmm(x, h, weight)
    return x if bias is None else x + bias


def _turns(rope: RoPE, attention: SelfAttention) -> Callable[[int], Map]:
    """RoPE for queries, keys and values [B, H + 2 G, D] at once: values stay as they are."""
    turned, still = attention.heads + attention.kv_heads, attention.kv_heads
    half = attention.head_dim // 2

    def turn_at(place: int) -> Map:
        cos, sin = rope.cos[place], rope.sin[place]  # [1, D/2]
        ones = cos.new_ones(still, 2 * half)
        cos = torch.cat([torch.cat([cos, cos], -1).expand(turned, -1), ones])
        sin = torch.cat([torch.cat([-sin, sin], -1).expand(turned, -1), 0 * ones])
        return lambda x: torch.addcmul(x * cos, x.roll(half, -1), sin)

    return turn_at
