"""GPT: a causal transformer over tokens, with a key-value cache for drawing token after token.

Read: `GPT.forward`; `Block` is two residual branches. The defaults are the present habit (RMS norm,
RoPE, SwiGLU, no biases); norm=layer, positions=learned, mlp=gelu is nanoGPT's GPT-2 exactly. With
`context` each block also attends to a caption's states; the cache knows nothing of them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.batch import Context
from genlab.nn import layers
from genlab.nn.attention import Cache, CrossAttention, RoPE, SelfAttention
from genlab.nn.decode import Decoder, decodes
from genlab.nn.layers import ClassEmbedding, FeedForward, at_least_1, one_of, only_one

POSITIONS = ("rope", "learned")


class GPTState(NamedTuple):
    """What a GPT remembers of the tokens so far: their number, and each layer's keys and values.

    A state shares its tensors with the states that follow from it: continue each one only once.
    Token after token is read by a `Decoder` with the weights as they were at the first of them.
    """

    length: int
    layers: list[Cache]
    decoder: Decoder | None = None

    def emptied(self) -> GPTState:
        """The same memory and decoder, for sequences that begin anew."""
        return self._replace(length=0)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)): [B, T, width].

    Between them attention to the context, where there is one.
    """

    def __init__(
        self,
        width: int,
        *,
        attention: SelfAttention,
        mlp: FeedForward,
        kind: str,
        bias: bool,
        cross: CrossAttention | None = None,
    ) -> None:
        super().__init__()
        self.norm1, self.attention = layers.norm(kind, width, bias=bias), attention
        self.norm2, self.mlp = layers.norm(kind, width, bias=bias), mlp
        self.cross = cross
        if cross is not None:
            self.norm_cross = layers.norm(kind, width, bias=bias)

    def forward(
        self, x: Tensor, cache: Cache | None, start: int, context: Context | None = None
    ) -> Tensor:
        x = x + self.attention(self.norm1(x), cache, start)
        if self.cross is not None and context is not None:
            x = x + self.cross(self.norm_cross(x), context)
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Tokens [B, T], class [B], context or None -> logits [B, T, vocab] of each next token, state.

    Token `vocab` is the learned start token. Radford et al. 2019; tied embeddings (Press and Wolf
    2017), RoPE (Su et al. 2021), SwiGLU (Shazeer 2020), GQA (Ainslie et al. 2023).
    """

    causal = True

    def __init__(
        self,
        vocab: int,
        *,
        max_length: int,
        num_classes: int | None = None,
        context: int | None = None,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        kv_heads: int | None = None,
        norm: str = "rms",
        positions: str = "rope",
        mlp: str = "swiglu",
        dropout: float = 0.0,
        bias: bool = False,
        tied: bool = True,
    ) -> None:
        """`context`: the width of the states that each block attends to, in place of classes."""
        super().__init__()
        at_least_1(width=width, depth=depth)
        only_one(num_classes, context)
        self.vocab, self.max_length, self.dropout = vocab, max_length, dropout
        one_of("net.positions", positions, POSITIONS)
        if width % heads:
            raise ValueError(f"net.heads={heads}: must divide net.width={width}")
        rope = RoPE(width // heads, max_length=max_length) if positions == "rope" else None

        def block() -> Block:
            attention = SelfAttention(
                width,
                heads=heads,
                kv_heads=kv_heads,
                causal=self.causal,
                bias=bias,
                dropout=dropout,
                rope=rope,
            )
            feed_forward = FeedForward(width, kind=mlp, bias=bias, dropout=dropout)
            cross = None
            if context is not None:
                cross = CrossAttention(width, context=context, heads=heads)
            return Block(
                width, attention=attention, mlp=feed_forward, kind=norm, bias=bias, cross=cross
            )

        self.embed = nn.Embedding(vocab + 1, width)
        self.positions = nn.Embedding(max_length, width) if positions == "learned" else None
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, width)
        self.blocks = nn.ModuleList(block() for _ in range(depth))
        self.norm = layers.norm(norm, width, bias=bias)
        self.head = None if tied else nn.Linear(width, vocab, bias=False)
        self.apply(_init)
        for b in self.blocks:  # GPT-2: what the residual stream adds up keeps its variance
            outs = (b.attention.out, b.mlp.down, *([] if b.cross is None else [b.cross.out]))
            for out in outs:
                nn.init.normal_(out.weight, std=0.02 / math.sqrt(2 * depth))

    def init_state(self, batch: int, device: torch.device | str = "cpu") -> GPTState:
        """An empty cache for `batch` sequences of at most max_length tokens."""
        a = self.blocks[0].attention
        size = (batch, a.kv_heads, self.max_length, a.head_dim)
        like = torch.empty(0, device=device, dtype=self.embed.weight.dtype)
        return GPTState(0, [Cache.empty(size, like) for _ in self.blocks])

    def forward(
        self,
        tokens: Tensor,
        cond: Tensor | Context | None = None,
        state: GPTState | None = None,
    ) -> tuple[Tensor, GPTState | None]:
        """With a state the tokens continue it; without, they stand at the beginning."""
        start = 0 if state is None else state.length
        end = start + tokens.shape[1]
        if end > self.max_length:
            raise ValueError(
                f"net.max_length={self.max_length}: asked for position {end}; start again from "
                "the last tokens with an empty state, or train with a larger net.max_length"
            )
        context = cond if isinstance(cond, Context) else None
        if start and tokens.shape[1] == 1 and (decoder := self._decoder(state)) is not None:
            shift = None if self.classes is None else self.classes(cond, len(tokens))
            logits = decoder(tokens[:, 0], state.layers, start, shift=shift, context=context)
            return logits[:, None], GPTState(end, state.layers, decoder)
        x = self.embed(tokens)
        if self.positions is not None:
            x = x + self.positions.weight[start:end]
        if self.classes is not None:
            x = x + self.classes(cond, len(tokens)).unsqueeze(1)
        if self.training:
            x = F.dropout(x, self.dropout)
        for i, block in enumerate(self.blocks):
            x = block(x, None if state is None else state.layers[i], start, context)
        weight = self.embed.weight[: self.vocab] if self.head is None else self.head.weight
        logits = F.linear(self.norm(x), weight)
        return logits, None if state is None else state._replace(length=end)

    def _decoder(self, state: GPTState) -> Decoder | None:
        """For one token at a time, where nothing is learned; None where parts are not its own."""
        device = self.embed.weight.device.type
        if self.training or torch.is_grad_enabled() or torch.is_autocast_enabled(device):
            return None
        if state.decoder is not None:
            return state.decoder
        return Decoder(self) if decodes(self, Block) else None


def _init(module: nn.Module) -> None:
    """GPT-2: weights from N(0, 0.02^2), biases 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
