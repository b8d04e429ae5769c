"""What p(x | z) may be for rows of a table: normal numbers and one category a block.

Read: `Mixed` is a likelihood of variational.py's kind; `widths` are the blocks of x, 1 for a number
and from 2 on for a category, whose x is +1 where it holds and -1 elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.objectives.variational import Likelihood


class Mixed(Likelihood):
    """Numbers x ~ N(params, sigma^2), a learned sigma each; categories ~ softmax(params).

    As in a VAE for tables (TVAE, Xu et al. 2019, arXiv 1907.00503, section 4.4): independent given
    z. log_prob is a density in the numbers and a probability in the categories.
    """

    def __init__(self, *, widths: Sequence[int], sigma: float = 0.3) -> None:
        """`sigma` is where every number's deviation starts."""
        super().__init__()
        if not widths or any(w < 1 for w in widths):
            raise ValueError(
                f"objective.likelihood.widths={list(widths)}: needs a table's blocks, each from 1"
                " on: data=adult or data=table"
            )
        if sigma <= 0:
            raise ValueError(f"objective.likelihood.sigma={sigma}: must be above 0")
        numbers, hot, block, at, num = [], [], [], 0, 0
        for width in widths:
            if width == 1:
                numbers.append(at)
            else:
                hot += range(at, at + width)
                block += [num] * width
                num += 1
            at += width
        self.num_blocks = num
        for name, index in (("numbers", numbers), ("hot", hot), ("block", block)):
            self.register_buffer(name, torch.tensor(index, dtype=torch.long), persistent=False)
        self.log_sigma = nn.Parameter(torch.full((len(numbers),), math.log(sigma)))

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """sum log N(x; params, sigma^2) + sum log softmax(params)[category] [B]."""
        params = params.float()
        r = (x - params)[:, self.numbers] * (-self.log_sigma).exp()
        normal = -(r**2) / 2 - self.log_sigma - math.log(2 * math.pi) / 2
        chosen = (x[:, self.hot] > 0).to(params)
        return normal.sum(1) + (chosen * self._log_softmax(params)).sum(1)

    def mean(self, params: Tensor) -> Tensor:
        """E[x | z]: a category's is 2 p - 1."""
        mean = params.float().clone()
        mean[:, self.hot] = 2 * self._log_softmax(params.float()).exp() - 1
        return mean

    def sample(self, params: Tensor, u: Tensor) -> Tensor:
        """Numbers by inverse CDF; categories by the largest of logit + Gumbel noise."""
        u = u.clamp(1e-7, 1 - 1e-7)
        x = params.float().clone()
        x[:, self.numbers] += self.log_sigma.exp() * torch.special.ndtri(u[:, self.numbers])
        noisy = params.float()[:, self.hot] - (-u[:, self.hot].log()).log()
        x[:, self.hot] = torch.where(noisy == self._largest(noisy), 1.0, -1.0)
        return x

    def _largest(self, logits: Tensor) -> Tensor:
        """The largest of each block, at each of its places [B, H]."""
        index = self.block.expand(len(logits), -1)
        empty = logits.new_full((len(logits), self.num_blocks), -torch.inf)
        return empty.scatter_reduce(1, index, logits, "amax").gather(1, index)

    def _log_softmax(self, params: Tensor) -> Tensor:
        """log p of each category, within its block [B, H]."""
        logits = params[:, self.hot]
        logits = logits - self._largest(logits).detach()
        index = self.block.expand(len(logits), -1)
        total = logits.new_zeros((len(logits), self.num_blocks)).scatter_add(1, index, logits.exp())
        return logits - total.log().gather(1, index)
