"""Distances between sets against closed forms, scipy's matrix square root and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genlab.metrics.distribution import (
    class_metrics,
    expected_coverage,
    frechet_distance,
    frechet_from_moments,
    manifolds,
)


def normal(n, d, seed=0, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn((n, d), generator=g, dtype=torch.float64) * scale


def covariance(d, rank, seed):
    a = normal(rank, d, seed)
    return a.T @ a / rank


def test_frechet_between_diagonal_gaussians_is_the_closed_form():
    m1, m2 = normal(1, 20, 1)[0], normal(1, 20, 2)[0]
    s1, s2 = normal(1, 20, 3)[0].abs(), normal(1, 20, 4)[0].abs()
    expected = (m1 - m2).square().sum() + (s1 - s2).square().sum()
    found = frechet_from_moments(m1, s1.square().diag(), m2, s2.square().diag())
    assert found == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize(("rank1", "rank2"), [(80, 90), (10, 90), (90, 10), (10, 12), (39, 60)])
def test_frechet_is_scipys_for_full_and_deficient_ranks(rank1, rank2):
    from scipy.linalg import sqrtm

    d = 40
    c1, c2 = covariance(d, rank1, 5), covariance(d, rank2, 6)
    mean = torch.zeros(d)
    # scipy's own square root of a singular product is inexact: go through the symmetric root of C1
    w, v = np.linalg.eigh(c1.numpy())
    half = v * np.sqrt(w.clip(0)) @ v.T
    root = sqrtm(half @ c2.numpy() @ half).real
    expected = float(c1.trace() + c2.trace() - 2 * np.trace(root))
    assert frechet_from_moments(mean, c1, mean, c2) == pytest.approx(expected, rel=1e-6)
    if min(rank1, rank2) >= d:
        direct = np.trace(sqrtm(c1.numpy() @ c2.numpy()).real)
        expected = float(c1.trace() + c2.trace() - 2 * direct)
        assert frechet_from_moments(mean, c1, mean, c2) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_a_set_with_itself_is_zero_also_when_it_is_small():
    for n in (5, 500):
        assert frechet_distance(normal(n, 64), normal(n, 64)) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(torch.zeros(9, 4), torch.ones(9, 4)) == pytest.approx(4)


def test_frechet_of_samples_nears_that_of_their_laws():
    a, b = normal(40_000, 8, 1), normal(40_000, 8, 2, scale=2.0) + 1
    assert frechet_distance(a, b) == pytest.approx(8 * (1 + 1), rel=0.02)


def shares(real, fake, **k):
    found = manifolds(real, fake, **k)
    return tuple(float(hits.double().mean()) for hits in vars(found).values())


def test_precision_and_recall_on_sets_made_for_them(monkeypatch):
    real = normal(400, 2, 1)
    assert shares(real, real) == (1.0, 1.0, 1.0)
    assert shares(real, real + 100) == (0.0, 0.0, 0.0)
    # on one of two far clusters: precise, but half of the real ones are missed
    two = torch.cat([normal(200, 2, 2), normal(200, 2, 3) + 50])
    precision, recall, coverage = shares(two, normal(400, 2, 4))
    assert precision > 0.9
    assert 0.4 < recall <= 0.5
    assert 0.4 < coverage <= 0.5
    # half of the samples on the cluster, half nowhere
    precision, *_ = shares(normal(400, 2, 5), torch.cat([normal(200, 2, 6), two + 99]))
    assert precision == pytest.approx(1 / 3, abs=0.05)
    before = shares(normal(400, 2, 5), two)
    monkeypatch.setattr("genlab.metrics.distribution.BLOCK", 64)
    assert shares(normal(400, 2, 5), two) == before
    with pytest.raises(ValueError, match=r"metric\.k=3 needs more than 3"):
        manifolds(real[:3], real)


def test_precision_recall_and_coverage_are_those_of_the_definitions():
    real, fake, k = normal(30, 3, 1), normal(20, 3, 2), 3

    def radius(points, k):
        return [sorted(float((p - o).norm()) for o in points)[k] for p in points]

    found = manifolds(real, fake, k=k, k_cover=5)
    inside = [any((f - r).norm() <= d for r, d in zip(real, radius(real, k))) for f in fake]
    assert found.precise.tolist() == inside
    inside = [any((f - r).norm() <= d for f, d in zip(fake, radius(fake, k))) for r in real]
    assert found.recalled.tolist() == inside
    inside = [any((f - r).norm() <= d for f in fake) for r, d in zip(real, radius(real, 5))]
    assert found.covered.tolist() == inside


@pytest.mark.parametrize(("n", "m"), [(40, 40), (30, 60)])
def test_the_coverage_of_the_real_law_is_the_expected_one(n, m):
    found = [
        float(manifolds(normal(n, 3, s), normal(m, 3, 10_000 + s)).covered.double().mean())
        for s in range(150)
    ]
    error = np.std(found) / math.sqrt(150)
    assert abs(np.mean(found) - expected_coverage(n, m)) < 3.5 * error < 0.02


def test_the_expected_coverage_is_of_draws_without_return():
    """All of the k nearest of 1 fake and 2 other real ones are real: 2/3 times 1/2."""
    assert expected_coverage(3, 1) == pytest.approx(1 - 2 / 3 * 1 / 2)
    assert expected_coverage(6, 5, k=2) == pytest.approx(1 - 5 / 10 * 4 / 9)


def test_class_metrics():
    probs = torch.tensor([[0.95, 0.05, 0.0], [0.1, 0.9001, 0.0], [0.4, 0.3, 0.3], [0.97, 0.03, 0]])
    found = class_metrics(probs, torch.tensor([0, 1, 2, 1]))
    assert found == {"confident_share": 0.75, "classes_drawn": 2.0, "class_agreement": 0.5}
    assert "class_agreement" not in class_metrics(probs)
