"""Recurrent networks over frames: vectors in, a logit for each value of the next vector out.

Read: `_OverFrames.forward`; the three classes differ in the cell alone. Over tokens: rnn.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import at_least_1, recurrent
from genlab.nn.rnn import State


class _OverFrames(nn.Module):
    """Frames [B, T, K] -> logits [B, T, K] of each next frame, and the state.

    cond is None: a piece cannot be asked for. `state` None stands before the first frame.
    """

    cell: ClassVar[type[nn.RNNBase]]

    def __init__(
        self, shape: Sequence[int], *, width: int = 200, depth: int = 1, dropout: float = 0.0
    ) -> None:
        """`shape` [T, K]; `dropout` of each layer's output."""
        super().__init__()
        at_least_1(width=width, depth=depth)
        between = dropout if depth > 1 else 0.0
        self.dropout = dropout
        self.rnn = self.cell(shape[-1], width, num_layers=depth, batch_first=True, dropout=between)
        self.head = nn.Linear(width, shape[-1])

    def forward(
        self, frames: Tensor, cond: None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """The frames continue the state."""
        h, state = recurrent(self.rnn, frames, state)
        return self.head(F.dropout(h, self.dropout, self.training)), state


class FrameRNN(_OverFrames):
    """Tanh units (Elman 1990); see _OverFrames."""

    cell = nn.RNN


class FrameGRU(_OverFrames):
    """Gated recurrent units (Cho et al. 2014); see _OverFrames."""

    cell = nn.GRU


class FrameLSTM(_OverFrames):
    """Long short-term memory (Hochreiter and Schmidhuber 1997); see _OverFrames."""

    cell = nn.LSTM
