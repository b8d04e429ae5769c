"""A value that a row was asked to have: its law, and how far a drawn row is from having it.

Read: `AskedValue`. Xu et al. 2019 (CTGAN, arXiv 1907.00503), section 4.3: the conditional vector.
A value is a number: those of all categorical columns one after another, as `counts` has them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.objectives.columns import pick

LEAST = 1e-7  # of a probability whose logarithm is taken


class AskedValue(nn.Module):
    """Values 0 .. K-1 of the categorical columns of x [B, W]."""

    def __init__(self, *, widths: Sequence[int], counts: Sequence[Sequence[int]]) -> None:
        """`widths` are x's blocks; `counts`: how many rows have each value of a block, [] where it
        is no category's."""
        super().__init__()
        if len(widths) != len(counts) or any(c and len(c) != w for w, c in zip(widths, counts)):
            raise ValueError(
                "conditions.counts: needs as many counts as conditions.widths says, or none of a"
                " block: they are data.counts and data.widths of data=table_by_value"
            )
        if not any(counts) or any(c and (min(c) < 0 or sum(c) == 0) for c in counts):
            raise ValueError(
                "conditions.counts: needs a column of categories, and counts from 0 on of which one"
                " is more: they are data.counts of data=table_by_value"
            )
        starts = [sum(widths[:i]) for i in range(len(widths))]
        asked = [i for i, c in enumerate(counts) if c]
        at = [starts[i] + j for i in asked for j in range(widths[i])]
        column = [n for n, i in enumerate(asked) for _ in range(widths[i])]
        self.shares = [n / sum(counts[i]) / len(asked) for i in asked for n in counts[i]]
        self.num = len(at)
        for name, values in (("at", at), ("column", column)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.long), persistent=False)

    def draw(self, u: Tensor) -> Tensor:
        """Values by inverse CDF from uniforms u [B] -> [B] int64: a column drawn evenly, a value
        in the shares that the rows have it."""
        shares = torch.tensor(self.shares, device=u.device)  # where u is, wherever the model is
        return pick(shares.expand(len(u), -1), u)

    def missed(self, x: Tensor, values: Tensor) -> Tensor:
        """The cross-entropy of the asked value under the drawn row, in nats [B].

        x's block is 2 p - 1, as a softmax p of a net for tables gives it; of other x, what lies
        above -1 is taken for p, in proportion.
        """
        p = ((1 + x[:, self.at].float()) / 2).clamp(min=LEAST)  # [B, K]
        mine = self.column == self.column[values][:, None]
        asked = p.gather(1, values[:, None]).squeeze(1)
        return (p * mine).sum(1).log() - asked.log()
