"""Intervals against closed forms, and how often they hold the truth."""

from __future__ import annotations

import math

import pytest
import torch

from genlab.metrics.interval import (
    bootstrap_interval,
    groups_of,
    jackknife,
    jackknife_corrected,
    jackknife_interval,
    mean_interval,
    num_groups,
    share_interval,
)


def test_a_share_is_wilsons_and_never_leaves_zero_to_one():
    assert share_interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert share_interval(0, 100)[0] == 0
    assert share_interval(100, 100)[1] == 1
    assert share_interval(0, 100)[1] == pytest.approx(0.0369935, abs=1e-6)


def test_the_jackknife_of_a_mean_is_the_means_own_interval():
    x = torch.randn(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = jackknife(lambda ids: {"mean": float(x[ids].mean())}, 2000, {"mean": float(x.mean())})
    low, high = found["mean"]
    exact = mean_interval(x)
    assert (high - low) / (exact[1] - exact[0]) == pytest.approx(1, abs=0.35)  # 19 groups' freedom
    assert (low + high) / 2 == pytest.approx(float(x.mean()))


@pytest.mark.parametrize(
    ("without", "half"),
    [([1.0, 3.0], 12.706), ([0.0, 0.0, 3.0], 4.303 * 2), ([0.0, 2.0] * 10, 2.093 * 19**0.5)],
)
def test_the_jackknifes_interval_has_students_factor_for_its_groups(without, half):
    """Error: the deviation of g values times root g - 1; g - 1 degrees of freedom."""
    assert jackknife_interval(7.0, without) == pytest.approx((7 - half, 7 + half))


def test_the_jackknife_takes_away_a_bias_of_one_over_n():
    n = 400
    corrected = jackknife_corrected(3 + 7 / n, [3 + 7 / (0.95 * n)] * 20)
    assert corrected == pytest.approx(3, abs=1e-12)


def test_the_jackknife_of_a_variance():
    hits = 0
    for seed in range(100):
        x = torch.randn(200, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        group = groups_of(200)
        low, high = jackknife_interval(
            float(x.var()), [float(x[group != g].var()) for g in range(20)]
        )
        hits += low < 1 < high
    assert 88 <= hits <= 100


def test_the_bootstrap_of_a_median():
    x = torch.randn(900, generator=torch.Generator().manual_seed(2))
    low, high = bootstrap_interval(torch.median, x)
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(math.pi / 2 / 900), rel=0.3)


def test_groups_are_even_and_have_the_classes_in_proportion():
    labels = torch.tensor([0] * 100 + [1] * 300)
    group = groups_of(400, labels)
    assert group.bincount().tolist() == [20] * 20
    assert group[:100].bincount().tolist() == [5] * 20
    assert (num_groups(7, 100), num_groups(8, 100), num_groups(36, 100), num_groups(500)) == (
        0, 2, 9, 20,
    )  # fmt: skip
    assert jackknife(lambda ids: {"a": 1.0}, 7, {"a": 1.0}) == {}
