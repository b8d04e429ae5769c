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
    """Words [B, L, width], each joined with those beside it, with all, then by itself.

    x + convolution(x), x + attention(norm(x)), x + feed-forward(norm(x)); a word that does not
    count [B, L] is not heard. The convolution (Gulati et al. 2020, arXiv 2005.08100, have one too)
    says by its taps what stands before a word and what behind: whose colour it is, on which side
    "left of" has it; attention with absolute positions learns that late. It is linear: what is said
    by two words is their sum, also where they were never seen together.
    """

    def __init__(self, width: int, *, heads: int, dropout: float, kernel: int | None) -> None:
        super().__init__()
        self.near = None if kernel is None else nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CrossAttention(width, context=width, heads=heads)
        self.mlp = FeedForward(width, dropout=dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.near is not None:
            there = x * mask[..., None]
            x = x + self.near(there.transpose(1, 2)).transpose(1, 2)
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
        kernel: int | None = None,
    ) -> None:
        """`vocab` counts the padding, number 0; `length` words at most.

        `kernel`: of so many words, an odd number, each block joins neighbours first; None: none.
        """
        super().__init__()
        if kernel is not None and (kernel < 1 or kernel % 2 == 0):
            raise ValueError(f"conditions.encoder.kernel={kernel}: an odd number of words, or null")
        self.vocab, self.length = vocab, length
        self.words = nn.Embedding(vocab, width)  # row 0, the padding's, is the start's
        self.positions = nn.Embedding(1 + length, width)
        self.blocks = nn.ModuleList(
            Block(width, heads=heads, dropout=dropout, kernel=kernel) for _ in range(depth)
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
