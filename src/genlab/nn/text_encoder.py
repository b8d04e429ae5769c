"""A small transformer over a caption's words: what a net attends to.

Read: `TextEncoder.forward`. A learned start stands before the words and is never masked, so that
an empty caption is a sequence too: "no caption", which guidance and drop_cond ask for.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from genlab.batch import Context
from genlab.nn.attention import CrossAttention
from genlab.nn.layers import FeedForward


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)), over the words that count."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CrossAttention(width, context=width, heads=heads)
        self.mlp = FeedForward(width, dropout=dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.norm1(x)
        x = x + self.attention(h, Context(h, mask))
        return x + self.mlp(self.norm2(x))


class TextEncoder(nn.Module):
    """Word numbers [B, L], 0 after the end -> states [B, 1 + L, width] and mask [B, 1 + L]."""

    def __init__(
        self,
        vocab: int,
        *,
        length: int,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        """`vocab` counts the padding, number 0; `length` words at most."""
        super().__init__()
        self.vocab, self.length = vocab, length
        self.words = nn.Embedding(vocab, width)  # row 0, the padding's, is the start's
        self.positions = nn.Embedding(1 + length, width)
        self.blocks = nn.ModuleList(
            Block(width, heads=heads, dropout=dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        for table in (self.words, self.positions):
            nn.init.normal_(table.weight, std=0.5)

    def forward(self, ids: Tensor) -> Context:
        if ids.shape[1] > self.length:
            raise ValueError(
                f"conditions.encoder.length={self.length}: a caption has {ids.shape[1]} words"
            )
        ids = F.pad(ids, (1, 0))
        mask = ids > 0
        mask[:, 0] = True
        x = self.words(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, mask)
        return Context(self.norm(x), mask)
