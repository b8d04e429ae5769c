"""Recurrent networks over tokens: GRU and LSTM, whose state is all they remember.

Read: `_Recurrent.forward`; the two classes differ in the cell and in what the state is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import ClassEmbedding, at_least_1, recurrent

State = Tensor | tuple[Tensor, Tensor]  # GRU: h; LSTM: (h, c); each [depth, B, width]


class _Recurrent(nn.Module):
    """Tokens [B, T], class [B] or None -> logits [B, T, vocab] of each next token, and the state.

    Token `vocab` is the learned start token. There is no longest length: max_length is None.
    """

    max_length: int | None = None

    def __init__(
        self,
        cell: type[nn.GRU] | type[nn.LSTM],
        vocab: int,
        *,
        num_classes: int | None,
        width: int,
        depth: int,
        dropout: float,
        tied: bool,
    ) -> None:
        super().__init__()
        at_least_1(width=width, depth=depth)
        self.vocab, self.width, self.depth, self.dropout = vocab, width, depth, dropout
        self.embed = nn.Embedding(vocab + 1, width)
        nn.init.normal_(self.embed.weight, std=width**-0.5)  # also the output's scale where tied
        self.classes = None if num_classes is None else ClassEmbedding(num_classes, width)
        between = dropout if depth > 1 else 0.0
        self.rnn = cell(width, width, num_layers=depth, batch_first=True, dropout=between)
        self.head = None if tied else nn.Linear(width, vocab)

    def init_state(self, batch: int, device: torch.device | str = "cpu") -> State:
        """The state before the first token: zeros."""
        return torch.zeros(
            self.depth, batch, self.width, device=device, dtype=self.embed.weight.dtype
        )

    def forward(
        self, tokens: Tensor, cond: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """The tokens continue the state; None is the state before the first token."""
        x = self.embed(tokens)
        if self.classes is not None:
            x = x + self.classes(cond, len(tokens)).unsqueeze(1)
        h, state = recurrent(self.rnn, F.dropout(x, self.dropout, self.training), state)
        h = F.dropout(h, self.dropout, self.training)
        if self.head is None:
            return F.linear(h, self.embed.weight[: self.vocab]), state
        return self.head(h), state


class GRU(_Recurrent):
    """Gated recurrent units (Cho et al. 2014); see _Recurrent."""

    def __init__(
        self,
        vocab: int,
        *,
        num_classes: int | None = None,
        width: int = 256,
        depth: int = 2,
        dropout: float = 0.0,
        tied: bool = True,
    ) -> None:
        super().__init__(
            nn.GRU,
            vocab,
            num_classes=num_classes,
            width=width,
            depth=depth,
            dropout=dropout,
            tied=tied,
        )


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997); see _Recurrent."""

    def __init__(
        self,
        vocab: int,
        *,
        num_classes: int | None = None,
        width: int = 256,
        depth: int = 2,
        dropout: float = 0.0,
        tied: bool = True,
    ) -> None:
        super().__init__(
            nn.LSTM,
            vocab,
            num_classes=num_classes,
            width=width,
            depth=depth,
            dropout=dropout,
            tied=tied,
        )

    def init_state(self, batch: int, device: torch.device | str = "cpu") -> State:
        """The state before the first token: zeros, twice."""
        h = super().init_state(batch, device)
        return h, torch.zeros_like(h)
