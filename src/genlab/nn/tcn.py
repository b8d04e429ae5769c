"""The temporal convolutional network: causal convolutions, each level twice as far apart.

Bai, Kolter & Koltun 2018 (arXiv 1803.01271), section 3. Read: `CausalConv.forward`: a convolution
whose state is the last inputs that it will read again, silence (zeros) before the beginning. A
sequence in pieces, each with the state of the one before, is therefore what it is at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import at_least_1

State = list[Tensor]  # of each convolution, its last (kernel - 1) * dilation inputs


class CausalConv(nn.Module):
    """A convolution over what came before: [B, C, T] -> [B, C', T]; output t reads inputs <= t.

    Its weight is gain * direction / |direction|, the norm over each output channel (Salimans &
    Kingma 2016, arXiv 1602.07868, eq. 2).
    """

    def __init__(self, inputs: int, outputs: int, *, kernel: int, dilation: int) -> None:
        super().__init__()
        conv = nn.Conv1d(inputs, outputs, kernel)  # torch's own beginning
        self.direction, self.bias = conv.weight, conv.bias
        self.gain = nn.Parameter(conv.weight.detach().norm(dim=(1, 2), keepdim=True))
        self.dilation, self.reach = dilation, (kernel - 1) * dilation

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        past = x.new_zeros(*x.shape[:2], self.reach) if past is None else past
        x = torch.cat([past, x], dim=2)
        norm = self.direction.norm(dim=(1, 2), keepdim=True)
        weight = self.gain * self.direction / norm
        out = F.conv1d(x, weight, self.bias, dilation=self.dilation)
        return out, x[:, :, x.shape[2] - self.reach :]


class Block(nn.Module):
    """Two causal convolutions, each with a ReLU and dropout, beside the input: figure 1b."""

    def __init__(
        self, inputs: int, width: int, *, kernel: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self.first = CausalConv(inputs, width, kernel=kernel, dilation=dilation)
        self.second = CausalConv(width, width, kernel=kernel, dilation=dilation)
        self.beside = nn.Conv1d(inputs, width, 1) if inputs != width else nn.Identity()
        if inputs != width:
            nn.init.normal_(self.beside.weight, std=0.01)  # as released
        self.dropout = dropout

    def forward(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        h, kept = x, []
        for conv, past in zip((self.first, self.second), state or (None, None)):
            h, last = conv(h, past)
            h = F.dropout(h.relu(), self.dropout, self.training)
            kept.append(last)
        return (h + self.beside(x)).relu(), kept


class TCN(nn.Module):
    """Frames [B, T, K] -> logits [B, T, K] of each next frame, and the state.

    A logit reads `receptive_field` frames. cond is None: a piece cannot be asked for.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int = 150,
        levels: int = 2,
        kernel: int = 3,
        dropout: float = 0.25,
    ) -> None:
        """`shape` [T, K]; level i has dilation 2^i; `dropout` after each convolution."""
        super().__init__()
        at_least_1(width=width, levels=levels, kernel=kernel)
        self.blocks = nn.ModuleList(
            Block(width if i else shape[-1], width, kernel=kernel, dilation=2**i, dropout=dropout)
            for i in range(levels)
        )
        self.head = nn.Linear(width, shape[-1])
        self.receptive_field = 1 + 2 * (kernel - 1) * (2**levels - 1)

    def forward(
        self, frames: Tensor, cond: None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """The frames continue the state; None stands before the first."""
        h, kept = frames.transpose(1, 2), []
        for i, block in enumerate(self.blocks):
            h, last = block(h, None if state is None else state[2 * i : 2 * i + 2])
            kept += last
        return self.head(h.transpose(1, 2)), kept
