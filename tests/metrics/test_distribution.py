"""Distances between sets against closed forms, scipy's matrix square root and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genlab.metrics.distribution import (
    class_metrics,
    frechet_distance,
    frechet_from_moments,
    kernel_distance,
    precision_recall,
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


def test_kernel_distance_is_brute_force_in_blocks(monkeypatch):
    a, b = normal(30, 7, 1), normal(50, 7, 2) + 0.5
    k = lambda x, y: (float(x @ y) / 7 + 1) ** 3  # noqa: E731
    aa = sum(k(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j) / (30 * 29)
    bb = sum(k(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j) / (50 * 49)
    ab = sum(k(x, y) for x in a for y in b) / (30 * 50)
    monkeypatch.setattr("genlab.metrics.distribution.BLOCK", 16)
    assert kernel_distance(a, b) == pytest.approx(aa + bb - 2 * ab, rel=1e-10)


def test_kernel_distance_is_unbiased():
    same = [kernel_distance(normal(40, 4, s), normal(40, 4, 1000 + s)) for s in range(200)]
    mean, error = np.mean(same), np.std(same) / math.sqrt(200)
    assert abs(mean) < 3 * error
    assert min(same) < 0


def test_precision_and_recall_on_sets_made_for_them(monkeypatch):
    real = normal(400, 2, 1)
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real, real + 100) == (0.0, 0.0)
    # on one of two far clusters: precise, but half of the real ones are missed
    two = torch.cat([normal(200, 2, 2), normal(200, 2, 3) + 50])
    precision, recall = precision_recall(two, normal(400, 2, 4))
    assert precision > 0.9
    assert 0.4 < recall <= 0.5
    # half of the samples on the cluster, half nowhere
    precision, recall = precision_recall(
        normal(400, 2, 5), torch.cat([normal(200, 2, 6), two + 99])
    )
    assert precision == pytest.approx(1 / 3, abs=0.05)
    monkeypatch.setattr("genlab.metrics.distribution.BLOCK", 64)
    assert precision_recall(normal(400, 2, 5), two) == pytest.approx(
        precision_recall(normal(400, 2, 5), two)
    )
    with pytest.raises(ValueError, match=r"metric\.k=3 needs more than 3"):
        precision_recall(real[:3], real)


def test_precision_is_that_of_the_definition():
    real, fake, k = normal(30, 3, 1), normal(20, 3, 2), 3
    radius = [sorted(float((r - o).norm()) for o in real)[k] for r in real]
    inside = [any((f - r).norm() <= d for r, d in zip(real, radius)) for f in fake]
    assert precision_recall(real, fake, k=k)[0] == pytest.approx(np.mean(inside))


def test_class_metrics():
    probs = torch.tensor([[0.95, 0.05, 0.0], [0.1, 0.9001, 0.0], [0.4, 0.3, 0.3], [0.97, 0.03, 0]])
    found = class_metrics(probs, torch.tensor([0, 1, 2, 1]))
    assert found == {"confident_share": 0.75, "classes_drawn": 2.0, "class_agreement": 0.5}
    assert "class_agreement" not in class_metrics(probs)
