"""Chow-Liu trees: the law over columns that is best among all trees, in closed form from counts.

Read: `ChowLiu.counts` of a batch add up; `ChowLiu.fit` makes a `Tree` of them, which has log_prob
and draws. Chow & Liu 1968 (IEEE Trans. Inf. Theory 14, 462): a tree's likelihood is highest where
the mutual information of the columns at its edges, summed, is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.objectives.columns import Coding, pick


@dataclass
class Tree:
    """p(x) = prod_i p(x_i | x_parent(i)): codes [B, D], probabilities in float64 on the CPU."""

    order: list[int]  # columns, each after its parent
    parent: list[int]  # of each column; -1: none
    tables: list[Tensor]  # of each column p(x_i) [n], or p(x_i | parent) [m, n]

    def log_prob(self, codes: Tensor) -> Tensor:
        """log p [B]."""
        total = torch.zeros(len(codes), dtype=torch.float64)
        for i, (parent, p) in enumerate(zip(self.parent, self.tables)):
            at = (codes[:, i],) if parent < 0 else (codes[:, parent], codes[:, i])
            total += p[at].log()
        return total

    def sample(self, u: Tensor, codes: Tensor, known: Tensor) -> Tensor:
        """Draws [B, D] from uniforms u [B, D], given the codes that are known [B, D]: exactly.

        Messages go up the tree, p(what is known below | x_i); the draws go down.
        """
        weight = [F.one_hot(codes[:, i], p.shape[-1]).double() for i, p in enumerate(self.tables)]
        weight = [torch.where(known[:, i : i + 1], w, 1.0) for i, w in enumerate(weight)]
        for i in reversed(self.order):
            if (parent := self.parent[i]) >= 0:
                message = weight[i] @ self.tables[i].T
                weight[parent] *= message / message.amax(1, keepdim=True)
        drawn = codes.clone()
        for i in self.order:
            p, parent = self.tables[i], self.parent[i]
            drawn[:, i] = pick((p if parent < 0 else p[drawn[:, parent]]) * weight[i], u[:, i])
        return drawn


class ChowLiu:
    """The tree of a table's columns; without `edges` the columns are independent.

    `alpha` is added to each count of two codes (Laplace), and so alpha times the other column's
    size to a count of one: p(a, b) = (c_ab + alpha) / (N + alpha n_i n_j). The mutual information
    that chooses the edges is of these laws too.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        bins: int | None = None,
        alpha: float = 1.0,
        edges: bool = True,
    ) -> None:
        """`bins` of equal share for each number, if the table has any."""
        if alpha <= 0:
            raise ValueError(f"objective.alpha={alpha}: must be above 0: no code is impossible")
        self.coding = Coding(widths=widths, bins=bins)
        self.alpha, self.edges, self.sizes = alpha, edges, self.coding.sizes
        ends = [*accumulate(self.sizes)]
        self.total = ends[-1]
        self.spans = [slice(e - n, e) for e, n in zip(ends, self.sizes)]  # of each column's codes

    @property
    def shape(self) -> list[int]:
        """Of the counts: of two codes [H, H], or where there are no edges of one [H]."""
        return [self.total] * (2 if self.edges else 1)

    def counts(self, x: Tensor) -> Tensor:
        """How often each code, and each two of a row, are in x [B, W]: int64, of `shape`."""
        at = self.coding.read(x) + torch.tensor([s.start for s in self.spans], device=x.device)
        if not self.edges:
            return torch.bincount(at.flatten(), minlength=self.total)
        hot = torch.zeros(len(x), self.total, dtype=torch.float64, device=x.device)
        hot.scatter_(1, at, 1.0)
        return (hot.T @ hot).long()

    def fit(self, counts: Tensor) -> Tree:
        """The tree of the rows that were counted; of none, all codes are equally likely."""
        counts = counts.cpu().double()
        num, spans, alpha = len(self.sizes), self.spans, self.alpha
        ones = counts.diagonal() if self.edges else counts
        if not self.edges or num == 1:
            tables = [ones[s] + alpha for s in spans]
            return Tree([*range(num)], [-1] * num, [t / t.sum() for t in tables])
        order, parent = spanning_tree(self.information(counts))
        tables = [counts[spans[max(p, 0)], s] + alpha for p, s in zip(parent, spans)]
        tables = [t / t.sum(1, keepdim=True) for t in tables]
        root = counts[spans[order[0]], spans[order[1]]].sum(1) + alpha * self.sizes[order[1]]
        tables[order[0]] = root / root.sum()
        return Tree(order, parent, tables)

    def information(self, counts: Tensor) -> Tensor:
        """The mutual information of each two columns, in nats [D, D]."""
        sizes = torch.tensor(self.sizes)
        column = torch.arange(len(sizes)).repeat_interleave(sizes)  # of each code
        each = sizes[column].double()
        num = counts.diagonal()[self.spans[0]].sum()
        p = (counts + self.alpha) / (num + self.alpha * each[:, None] * each)
        to = F.one_hot(column, len(sizes)).double()  # [H, D]
        one = (p @ to)[:, column]  # p(a) as the pair's law has it [H, H]
        return to.T @ (p * (p.log() - one.log() - one.T.log())) @ to


def spanning_tree(weight: Tensor) -> tuple[list[int], list[int]]:
    """(order, parent) of the spanning tree of largest weight [D, D], from column 0: Prim 1957."""
    parent = torch.full((len(weight),), -1)
    best, order = torch.full((len(weight),), -torch.inf, dtype=weight.dtype), [0]
    outside = torch.ones(len(weight), dtype=torch.bool)
    outside[0] = False
    while outside.any():
        last = order[-1]
        nearer = outside & (weight[last] > best)
        best, parent = torch.where(nearer, weight[last], best), parent.masked_fill(nearer, last)
        order.append(int(best.masked_fill(~outside, -torch.inf).argmax()))
        outside[order[-1]] = False
    return order, parent.tolist()
