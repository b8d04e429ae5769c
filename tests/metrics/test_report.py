"""Which real examples are chosen, and in which order."""

from __future__ import annotations

import torch

from genlab.metrics.report import in_turn, proportional_labels, same_labels, subset


def test_labels_in_proportion_and_interleaved():
    labels = torch.tensor([0] * 50 + [1] * 30 + [3] * 20)
    found = proportional_labels(labels, 1000)
    assert found.bincount().tolist() == [500, 300, 0, 200]
    assert found[:100].bincount().tolist() == [50, 30, 0, 20]
    assert len(proportional_labels(labels, 7)) == 7
    draws = torch.Generator().manual_seed(0)
    ids = same_labels(labels, torch.tensor([0, 3, 3]), draws)
    assert sorted(labels[ids].tolist()) == [0, 3, 3]
    assert len(same_labels(labels, torch.tensor([3] * 99), draws)) == 20


def test_a_grid_has_a_column_per_class() -> None:
    labels = proportional_labels(torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 2]), 40)
    order = in_turn(labels)
    assert sorted(order.tolist()) == list(range(40))
    assert labels[order][:24].tolist() == [0, 1, 2] * 8  # there are eight of the rarest
    twos = order[labels[order] == 2]
    assert twos.tolist() == sorted(twos.tolist())
    assert in_turn(torch.tensor([3, 3, 1])).tolist() == [2, 0, 1]


def test_a_subset_is_fixed_and_has_no_rhythm():
    ids = subset(10_000, 1000)
    assert torch.equal(ids, subset(10_000, 1000))
    assert len(ids.unique()) == 1000
    assert len((ids % 10).unique()) == 10
    assert torch.equal(subset(5, 9), torch.arange(5))


def test_a_floor_that_is_nought_but_for_rounding_has_no_ratio() -> None:
    from genlab.metrics.figures import Metric

    assert Metric("mass_change", 0.047, 5e-17).ratio is None
    assert Metric("loss", 0.5, 0.25).ratio == 2.0
