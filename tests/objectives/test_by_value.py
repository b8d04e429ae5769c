"""CTGAN's conditional vector: the law of what is drawn, and the cross-entropy by brute force."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from genlab.objectives.by_value import AskedValue

WIDTHS, COUNTS = [1, 3, 2, 2], [[], [5, 1, 14], [], [3, 9]]  # the third block: no category's


def test_the_cross_entropy_is_that_of_the_softmax() -> None:
    torch.manual_seed(0)
    asked = AskedValue(widths=WIDTHS, counts=COUNTS)
    logits = 2 * torch.randn(40, 8)
    blocks = logits.split(WIDTHS, 1)
    x = torch.cat([b if b.shape[1] == 1 else 2 * b.softmax(1) - 1 for b in blocks], 1)
    values = torch.randint(5, (40,))
    for row, value, found in zip(logits, values.tolist(), asked.missed(x, values)):
        block, code = (row[1:4], value) if value < 3 else (row[6:8], value - 3)
        truth = F.cross_entropy(block[None], torch.tensor([code]))
        assert found.item() == pytest.approx(truth.item(), rel=1e-4, abs=1e-5)


def test_its_gradient_is_that_of_the_logits() -> None:
    logits = torch.randn(6, 3, requires_grad=True)
    asked, values = AskedValue(widths=[3], counts=[[1, 1, 1]]), torch.arange(6) % 3
    ours = asked.missed(2 * logits.softmax(1) - 1, values).sum()
    theirs = F.cross_entropy(logits, values, reduction="sum")
    grads = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*grads, rtol=1e-3, atol=1e-5)


def test_a_row_that_has_its_value_misses_nothing() -> None:
    asked = AskedValue(widths=WIDTHS, counts=COUNTS)
    x = -torch.ones(2, 8)
    x[:, 0], x[:, [2, 7]] = 7.0, 1.0
    missed = asked.missed(x, torch.tensor([1, 4]))
    assert missed.tolist() == pytest.approx([0, 0], abs=1e-4)
    assert (asked.missed(x, torch.tensor([0, 3])) > 10).all()
    free = torch.full((1, 8), 40.0)  # a net without a softmax: in proportion, never below 0
    assert asked.missed(free, torch.tensor([2])).item() == pytest.approx(math.log(3), rel=1e-5)


def test_values_are_drawn_in_the_rows_own_shares() -> None:
    asked = AskedValue(widths=WIDTHS, counts=COUNTS)
    u = (torch.arange(100_000) + 0.5) / 100_000
    share = asked.draw(u).bincount(minlength=5) / len(u)
    assert share.tolist() == pytest.approx([5 / 40, 1 / 40, 14 / 40, 3 / 24, 9 / 24], abs=1e-4)


@pytest.mark.parametrize(
    ("widths", "counts"),
    [([1, 2], [[]]), ([1, 2], [[], [1, 2, 3]]), ([1, 2], [[], []]), ([2], [[0, 0]]),
     ([2], [[-1, 4]]), ([], [])],
)  # fmt: skip
def test_counts_of_no_table_are_refused(widths, counts) -> None:
    with pytest.raises(ValueError, match=r"conditions\.counts"):
        AskedValue(widths=widths, counts=counts)
