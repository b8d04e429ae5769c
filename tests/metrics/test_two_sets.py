"""Kernel and Frechet distance in groups: brute force, no bias, intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from genlab.metrics import two_sets
from genlab.metrics.distribution import frechet_distance
from genlab.metrics.two_sets import Side, compare


def normal(n: int, d: int, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn((n, d), generator=g, dtype=torch.float64)


def k(x: Tensor, y: Tensor) -> float:
    return (float(x @ y) / len(x) + 1) ** 3


def plain(a: Tensor, b: Tensor) -> float:
    n, m = len(a), len(b)
    aa = sum(k(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j) / (n * (n - 1))
    bb = sum(k(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j) / (m * (m - 1))
    return aa + bb - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


def test_both_are_brute_force_in_blocks_and_without_a_group(monkeypatch):
    monkeypatch.setattr(two_sets, "BLOCK", 16)
    a, b = normal(30, 7, 1), normal(50, 7, 2) + 0.5
    sides = Side(a, None, 5), Side(b, None, 5)
    found = compare(*sides)
    assert found.metrics["kernel_distance"] == pytest.approx(plain(a, b), rel=1e-10)
    assert found.metrics["frechet_distance"] == pytest.approx(frechet_distance(a, b))
    for name, (low, high) in found.interval.items():
        assert (low + high) / 2 == pytest.approx(found.metrics[name]), name
    left = [(s.x[s.group != 2]) for s in sides]
    mmd = sides[0].within(2) + sides[1].within(2)
    cross = sum(k(x, y) for x in left[0] for y in left[1]) / len(left[0]) / len(left[1])
    assert float(mmd) - 2 * cross == pytest.approx(plain(*left), rel=1e-10)
    mean, cov = sides[0].moments(2)
    torch.testing.assert_close(mean, left[0].mean(0))
    torch.testing.assert_close(cov, left[0].T.cov())


def mixture(n: int, seed: int, labels: Tensor) -> Tensor:
    """Four clusters, as far apart as classes are in features."""
    centres = 3 * normal(4, 6, 99)
    return centres[labels] + normal(n, 6, seed)


def test_nothing_is_biased_whether_classes_are_drawn_or_fixed():
    fixed, found = torch.arange(120) % 4, {"drawn": [], "fixed": []}
    for seed in range(80):
        g = torch.Generator().manual_seed(seed)
        for how in found:
            labels = [
                fixed if how == "fixed" else torch.randint(4, (120,), generator=g) for _ in range(2)
            ]
            sides = [
                Side(mixture(120, 1000 * (i + 1) + seed, y), y if how == "fixed" else None, 20)
                for i, y in enumerate(labels)
            ]
            found[how].append(compare(*sides))
    for how, many in found.items():
        for name in ("kernel_distance", "frechet_infinity"):
            values = np.array([f.metrics[name] for f in many])
            error = values.std() / np.sqrt(len(values))
            assert abs(values.mean()) < 3.5 * error, (how, name, values.mean(), error)
            # and about 95 % of the intervals hold the truth, 0
            inside = [f.interval[name][0] <= 0 <= f.interval[name][1] for f in many]
            assert 0.85 <= np.mean(inside) <= 1, (how, name, np.mean(inside))
            half = np.mean([f.interval[name][1] - f.interval[name][0] for f in many]) / 2
            assert half < 3.5 * values.std(), (how, name)  # wide enough, but not for nothing
        excess = np.mean([f.metrics["frechet_distance"] for f in many])
        assert excess > 0.2  # what frechet_infinity takes away


def test_a_real_difference_lies_in_the_interval():
    truth = 6 * 0.25  # Gaussians of one covariance, half apart on each of 6 axes
    hits = []
    for seed in range(40):
        sides = (
            Side(normal(300, 6, seed), None, 20),
            Side(normal(300, 6, 999 + seed) + 0.5, None, 20),
        )
        low, high = compare(*sides).interval["frechet_infinity"]
        hits.append(low <= truth <= high)
    assert np.mean(hits) > 0.85


def test_a_class_too_rare_to_leave_out_is_no_class_of_its_own():
    labels = torch.tensor([0] * 20 + [1] * 2)
    side = Side(normal(22, 3, 1), labels, 4)
    assert side.labels.unique().tolist() == [0]
    assert Side(normal(23, 3, 1), torch.tensor([0] * 20 + [1] * 3), 4).labels.unique().tolist() == [
        0,
        1,
    ]
