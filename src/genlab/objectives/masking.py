"""Masked (absorbing) diffusion of tokens: a bound of log p(x) from sequences with gaps.

Read: `Masking.gaps`, then `Masking.loss`. Where each token is hidden with probability t, the bound
is E_t 1/t sum over gaps of -log p(x_i | what is left) (Sahoo et al. 2024, MDLM, arXiv 2406.07524,
eq. 10-11, with SUBS: what is not hidden is kept, and no law is on the gap itself). For t uniform
the number of gaps is uniform too, so that the same bound is the mean over the gaps, times the
length, of a uniform number of them (Ou et al. 2024, arXiv 2406.03736, eq. 12; Hoogeboom et al.
2022, arXiv 2110.02037, eq. 5: any order): no 1/t, and less noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.objectives.tokens import masked_sum, token_log_probs
from genlab.rng import rand


class Masking:
    """- log p(token | the sequence with gaps), the mean over a uniform number of gaps."""

    def gaps(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Which tokens of x [B, T] are hidden [B, T]: of those that count from 1 to all, evenly."""
        counted = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        number = (rand(len(x), x.device) * counted.sum(1)).floor() + 1
        order = rand(tuple(x.shape), x.device).masked_fill(~counted, 2.0).argsort(1).argsort(1)
        return order < number[:, None]  # what does not count comes last

    def loss(self, logits: Tensor, x: Tensor, gaps: Tensor) -> Tensor:
        """logits [B, T, V], x [B, T] -> nats per token [B], a bound with gaps drawn as above."""
        nll = -token_log_probs(logits, x)
        return masked_sum(nll, gaps) / gaps.sum(1).clamp(min=1)
