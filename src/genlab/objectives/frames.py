"""The likelihood of frames of independent keys: binary cross-entropy, summed over the keys."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


class KeysCrossEntropy:
    """- log p(x_t | x_<t) = - sum_k [x_tk log p_tk + (1 - x_tk) log (1 - p_tk)], in nats a frame.

    The keys of a frame are independent given the frames before: Bai et al. 2018 (arXiv 1803.01271),
    section 5.3, after Boulanger-Lewandowski et al. 2012. p = sigmoid(logits).
    """

    def nats(self, logits: Tensor, x: Tensor) -> Tensor:
        """logits and x in {0, 1} [B, T, K] -> [B, T]."""
        each = F.binary_cross_entropy_with_logits(logits.float(), x.float(), reduction="none")
        return each.sum(-1)
