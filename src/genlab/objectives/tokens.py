"""The likelihood of discrete sequences: cross-entropy per example."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def token_log_probs(logits: Tensor, x: Tensor) -> Tensor:
    """log p of each token in nats: logits [B, T, V], x [B, T] -> [B, T]."""
    nll = F.cross_entropy(logits.flatten(0, 1).float(), x.flatten(), reduction="none")
    return -nll.view(x.shape)


def masked_sum(values: Tensor, mask: Tensor | None) -> Tensor:
    """The sum over the positions that count: [B, T] -> [B]."""
    return (values if mask is None else values * mask).sum(1)


class CrossEntropy:
    """- log p(x_t | x_<t), the mean over an example's positions that count, in nats per token."""

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        """`label_smoothing` mixes the target with the uniform law (Szegedy 2016, section 7)."""
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"objective.label_smoothing={label_smoothing}: must be at least 0 and below 1"
            )
        self.label_smoothing = label_smoothing

    def loss(self, logits: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """logits [B, T, V], x [B, T], mask [B, T] -> [B]; an empty mask has loss 0."""
        nll = F.cross_entropy(
            logits.flatten(0, 1).float(),
            x.flatten(),
            reduction="none",
            label_smoothing=self.label_smoothing,
        ).view(x.shape)
        if mask is None:
            return nll.mean(1)
        return masked_sum(nll, mask) / mask.sum(1).clamp(min=1)
