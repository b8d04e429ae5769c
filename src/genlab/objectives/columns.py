"""Rows as columns: where each lies in x, numbers as bins, and laws of one column at a time.

Read: `widths` are the blocks of x, 1 for a number (a normal score) and from 2 on for a category,
whose x is +1 where it holds and -1 elsewhere. `Coding` makes one code of each column; `Components`
is p(x | k) of a mixture, in which columns are independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INSIDE = 1e-6  # a uniform draw stays so far within (0, 1)


class Blocks:
    """Where the columns lie in x [B, W]."""

    def __init__(self, widths: Sequence[int]) -> None:
        if not widths or any(w < 1 for w in widths):
            raise ValueError(
                f"objective.widths={list(widths or [])}: needs a table's blocks, each from 1 on:"
                " data=adult, data=debd or data=table"
            )
        self.widths = list(widths)
        starts = [sum(widths[:i]) for i in range(len(widths))]
        self.spans = [slice(s, s + w) for s, w in zip(starts, widths)]
        self.numbers = [i for i, w in enumerate(widths) if w == 1]
        self.categories = [i for i, w in enumerate(widths) if w > 1]
        self.at = [starts[i] for i in self.numbers]  # of the numbers in x

    def known(self, mask: Tensor) -> Tensor:
        """Which columns a mask [B, W] knows [B, D]."""
        parts = [mask[:, s] for s in self.spans]
        if any((p.any(1) != p.all(1)).any() for p in parts):
            raise ValueError("given.mask: a category is known as a whole or not at all")
        return torch.stack([p.any(1) for p in parts], 1)

    def codes(self, x: Tensor) -> Tensor:
        """The category of each column that is one [B, C] int64."""
        if not self.categories:
            return x.new_zeros((len(x), 0), dtype=torch.long)
        return torch.stack([x[:, self.spans[i]].argmax(1) for i in self.categories], 1)

    def join(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """x [B, W] of its numbers [B, J] and its categories [B, C]."""
        x = numbers.new_full((len(numbers), sum(self.widths)), -1.0)
        x[:, self.at] = numbers
        first = torch.tensor([self.spans[i].start for i in self.categories], device=x.device)
        return x.scatter(1, first.long() + codes, 1.0)


def pick(p: Tensor, u: Tensor) -> Tensor:
    """A draw by inverse CDF: weights p [B, n] (any total), uniforms u [B] -> [B] int64."""
    ends = p.cumsum(1)
    return (ends <= u[:, None] * ends[:, -1:]).sum(1).clamp(max=p.shape[1] - 1)


class Coding:
    """A row as one code a column: a category its own, a number one of `bins` of equal share.

    The shares are those of the normal law, which normal scores follow. Within a bin a number
    follows that law, so that p(x) = p(codes) prod_numbers bins phi(z) is a density, exactly.
    """

    def __init__(self, *, widths: Sequence[int], bins: int | None = None) -> None:
        self.blocks = Blocks(widths)
        if self.blocks.numbers and (bins is None or bins < 2):
            raise ValueError(
                f"objective.bins={bins}: the table has numbers: write how many bins, from 2 on"
            )
        self.bins = bins
        self.sizes = [bins if w == 1 else w for w in widths]

    def read(self, x: Tensor) -> Tensor:
        """x [B, W] -> codes [B, D] int64."""
        codes = torch.empty(len(x), len(self.sizes), dtype=torch.long, device=x.device)
        codes[:, self.blocks.categories] = self.blocks.codes(x)
        if self.blocks.numbers:
            share = torch.special.ndtr(x[:, self.blocks.at].double())
            codes[:, self.blocks.numbers] = (share * self.bins).long().clamp(0, self.bins - 1)
        return codes

    def log_place(self, x: Tensor) -> Tensor:
        """log p(x | codes) [B]: where in their bins the numbers are."""
        z = x[:, self.blocks.at].double()
        log_phi = -(z**2) / 2 - math.log(2 * math.pi) / 2
        return (log_phi + math.log(self.bins or 1)).sum(1)

    def write(self, codes: Tensor, u: Tensor) -> Tensor:
        """codes [B, D] and uniforms [B, D] -> x [B, W], numbers drawn within their bins."""
        at = self.blocks.numbers
        share = (codes[:, at] + u[:, at].double()) / (self.bins or 1)
        z = torch.special.ndtri(share.clamp(INSIDE, 1 - INSIDE)).to(u)
        return self.blocks.join(z, codes[:, self.blocks.categories])


class Components(nn.Module):
    """p(x | k) for k of K: numbers N(mean_k, sigma_k^2), categories softmax(logits_k), all learned.

    Columns are independent given k. log_prob is a density in the numbers and a probability in the
    categories. Sigma is at least `least`: a value that comes again and again is no endless peak.
    """

    def __init__(
        self, *, widths: Sequence[int], num: int, sigma: float = 0.5, least: float = 0.02
    ) -> None:
        """`num` components; `sigma`: where every number's deviation starts."""
        super().__init__()
        if num < 1:
            raise ValueError(f"objective.num={num}: needs at least 1 component")
        if not 0 < least < sigma:
            raise ValueError(
                f"objective.sigma={sigma}: must be above least={least}, and that above 0"
            )
        self.blocks, self.num, self.least = Blocks(widths), num, least
        self.sizes = [widths[i] for i in self.blocks.categories]
        first = [sum(self.sizes[:i]) for i in range(len(self.sizes))]
        self.register_buffer("first", torch.tensor(first, dtype=torch.long), persistent=False)
        numbers = len(self.blocks.numbers)
        self.mean = nn.Parameter(torch.randn(numbers, num))
        self.log_sigma = nn.Parameter(torch.full((numbers, num), math.log(sigma - least)))
        self.logits = nn.Parameter(torch.randn(sum(self.sizes), num) / 2)

    @property
    def discrete(self) -> bool:
        """Whether log_prob is a probability: there are no numbers."""
        return not self.blocks.numbers

    @torch.no_grad()
    def place(self, x: Tensor) -> None:
        """Let component k begin at row k of x [K, W]."""
        self.mean.copy_(x[:, self.blocks.at].T)
        hot = self.first + self.blocks.codes(x)  # [K, C]
        shares = torch.bincount(hot.flatten(), minlength=len(self.logits)) + 1.0
        self.logits.copy_(shares.log()[:, None].expand_as(self.logits))
        self.logits.scatter_add_(0, hot.T, torch.full_like(hot.T, 2, dtype=self.logits.dtype))

    def log_prob(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """log p(x | k) [B, K], of the columns that are known [B, D] (None: all)."""
        with torch.autocast(x.device.type, enabled=False):  # squares cancel: bf16 has no digits
            return self._normal(x.float(), known) + self._categorical(x, known)

    def _normal(self, x: Tensor, known: Tensor | None) -> Tensor:
        """-1/2 sum ((z - m) / s)^2 + log 2 pi s^2, the square multiplied out: three products."""
        z = x[:, self.blocks.at]  # [B, J]
        there = torch.ones_like(z) if known is None else known[:, self.blocks.numbers].to(z)
        sigma = self.log_sigma.exp() + self.least
        w = sigma**-2  # [J, K]
        rest = self.mean**2 * w + 2 * sigma.log() + math.log(2 * math.pi)
        z = z * there
        return -0.5 * (z**2 @ w - 2 * z @ (self.mean * w) + there @ rest)

    def _categorical(self, x: Tensor, known: Tensor | None) -> Tensor:
        if not self.sizes:
            return x.new_zeros(len(x), self.num)
        there = None if known is None else known[:, self.blocks.categories].float()
        hot = self.first + self.blocks.codes(x)
        return F.embedding_bag(hot, self._log_p(), mode="sum", per_sample_weights=there)

    def _log_p(self) -> Tensor:
        """log p of each category, within its block [H, K]."""
        return torch.cat([part.log_softmax(0) for part in self.logits.split(self.sizes)])

    def sample(self, k: Tensor, u: Tensor) -> Tensor:
        """x [B, W] of component k [B], by inverse CDF from uniforms u [B, D]."""
        at = self.blocks.numbers
        z = torch.special.ndtri(u[:, at].clamp(INSIDE, 1 - INSIDE))
        z = self.mean.T[k] + (self.log_sigma.T[k].exp() + self.least) * z
        codes = u.new_zeros((len(u), 0), dtype=torch.long)
        if self.sizes:
            laws = self._log_p().T[k].exp().split(self.sizes, dim=1)
            drawn = [pick(p, u[:, i]) for p, i in zip(laws, self.blocks.categories)]
            codes = torch.stack(drawn, 1)
        return self.blocks.join(z, codes)
