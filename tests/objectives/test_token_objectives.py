"""Cross-entropy per example, against log-softmax by hand."""

from __future__ import annotations

import pytest
import torch

from genlab.objectives.tokens import CrossEntropy, masked_sum, token_log_probs

LOGITS = torch.randn(3, 4, 5)
X = torch.randint(5, (3, 4))


def by_hand() -> torch.Tensor:
    return LOGITS.log_softmax(-1).gather(-1, X[..., None])[..., 0]


def test_log_probs_and_mean():
    torch.testing.assert_close(token_log_probs(LOGITS, X), by_hand())
    torch.testing.assert_close(CrossEntropy().loss(LOGITS, X), -by_hand().mean(1))


def test_only_what_the_mask_keeps_counts():
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=torch.bool)
    loss = CrossEntropy().loss(LOGITS, X, mask)
    torch.testing.assert_close(loss[0], -by_hand()[0, :2].mean())
    torch.testing.assert_close(loss[1], -by_hand()[1].mean())
    assert loss[2] == 0
    torch.testing.assert_close(masked_sum(by_hand(), mask)[0], by_hand()[0, :2].sum())


def test_label_smoothing_mixes_with_the_uniform_law():
    loss = CrossEntropy(label_smoothing=0.2).loss(LOGITS, X)
    uniform = -LOGITS.log_softmax(-1).mean(-1)
    torch.testing.assert_close(loss, (0.8 * -by_hand() + 0.2 * uniform).mean(1))
    with pytest.raises(ValueError, match=r"objective.label_smoothing=1"):
        CrossEntropy(label_smoothing=1)
