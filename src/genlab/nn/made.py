"""MADE: one pass of a masked network gives the law of each token given those before it.

Read: `MADE.masks`, then `forward`. Germain et al. 2015 (arXiv 1502.03509), for tokens in their own
order. Without a hidden layer it is `FVSBN`, the fully visible sigmoid belief network (Neal 1992).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import at_least_1


class MADEState(NamedTuple):
    """What is known of the tokens so far: their number, and the first layer's sum over them."""

    length: int
    total: Tensor  # [B, units of the first layer]


class MaskedLinear(nn.Linear):
    """A linear layer of which some weights are held at 0; torch's own first weights."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        """`mask` [out, in]: True where a weight is learned."""
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def part(self, x: Tensor, inputs: slice = slice(None), units: slice = slice(None)) -> Tensor:
        """The sum over some inputs x [B, in] for some units, without the bias: [B, out]."""
        return F.linear(x, (self.weight * self.mask)[units, inputs])


class MADE(nn.Module):
    """Tokens [B, t] -> logits [B, t, vocab] of each next token, and the state.

    The first token is the start, which says nothing here. A token of v + 1 kinds is v numbers, one
    of which is 1, or none; the logit of kind 0 is 0. So two kinds take one number and one logit.
    """

    def __init__(self, vocab: int, *, length: int, width: int = 500, depth: int = 1) -> None:
        """`length` tokens; `depth` hidden layers of `width` units, ReLU; masks follow the seed."""
        super().__init__()
        at_least_1(width=width)
        if vocab < 2 or length < 2:
            raise ValueError(f"net.vocab={vocab} net.length={length}: each at least 2")
        self.vocab, self.length, self.max_length = vocab, length, length
        self.kinds = vocab - 1
        self.layers = nn.ModuleList(
            MaskedLinear(mask) for mask in self.masks(length, self.kinds, width, depth)
        )

    @staticmethod
    def masks(length: int, kinds: int, width: int, depth: int) -> list[Tensor]:
        """Eq. 12-13: a unit of degree m sees units of degree up to m; a token those below its own.

        Degrees are drawn between the least of the layer before and length - 2 (from 0).
        """
        tokens = torch.arange(length).repeat_interleave(kinds)
        degrees, masks = tokens, []
        for _ in range(depth):
            least = 0 if degrees.is_meta else int(degrees.min())  # of shapes alone nothing is known
            above = torch.randint(least, length - 1, (width,))
            masks.append(above[:, None] >= degrees)
            degrees = above
        return [*masks, tokens[:, None] > degrees]

    def init_state(self, batch: int, device: torch.device | str = "cpu") -> MADEState:
        """The state before the start token."""
        bias = self.layers[0].bias.detach().to(device)
        return MADEState(0, bias.expand(batch, -1))

    def forward(
        self, tokens: Tensor, cond: None = None, state: MADEState | None = None
    ) -> tuple[Tensor, MADEState]:
        """The tokens continue the state; None is the beginning."""
        begin = 0 if state is None else state.length
        end = begin + tokens.shape[1]
        if end > self.length:
            raise ValueError(f"net.length={self.length}: asked for token {end}; it knows no more")
        known = tokens[:, 1:] if begin == 0 else tokens  # the start is no token of x
        first, *others = self.layers
        total = first.bias.expand(len(tokens), -1) if state is None else state.total
        inputs = slice(max(0, begin - 1) * self.kinds, (end - 1) * self.kinds)
        total = total + first.part(self._numbers(known), inputs)
        h = total
        for i, layer in enumerate(others, 1):
            units = self._units(begin, end) if i == len(others) else slice(None)
            h = layer.part(F.relu(h), units=units) + layer.bias[units]
        if not others:
            h = h[:, self._units(begin, end)]
        logits = h.unflatten(1, (-1, self.kinds))
        return F.pad(logits, (1, 0)), MADEState(end, total)

    def _units(self, begin: int, end: int) -> slice:
        return slice(begin * self.kinds, end * self.kinds)

    def _numbers(self, tokens: Tensor) -> Tensor:
        """Tokens [B, t] as numbers [B, t * kinds]."""
        kinds = torch.arange(1, self.vocab, device=tokens.device)
        return (tokens[:, :, None] == kinds).flatten(1).to(self.layers[0].weight.dtype)


class FVSBN(MADE):
    """No hidden layer: a logistic regression of each token on all before it; see MADE."""

    def __init__(self, vocab: int, *, length: int) -> None:
        super().__init__(vocab, length=length, depth=0)
