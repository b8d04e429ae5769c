"""A transformer that reads a whole sequence, gaps in it, and says what stands in each place."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from genlab.batch import Context
from genlab.nn.transformer import GPT


class Bidirectional(GPT):
    """Tokens [B, T], class [B], context or None -> logits [B, T, vocab] of the token at each place.

    Token `vocab` is a gap. A GPT without the causal mask (Devlin et al. 2018, with its present
    blocks); there is nothing to remember between calls. Its positions are learned ones: of a
    sequence of gaps alone, distances tell no place from another.
    """

    causal = False

    def __init__(self, vocab: int, *, positions: str = "learned", **settings: Any) -> None:
        if positions == "rope":
            raise ValueError(
                "net.positions=rope: where all tokens are gaps, it tells no place from another;"
                " write net.positions=learned"
            )
        super().__init__(vocab, positions=positions, **settings)

    def forward(self, tokens: Tensor, cond: Tensor | Context | None = None) -> Tensor:
        return super().forward(tokens, cond, None)[0]
