"""Nearest neighbours against brute force, and copies that must be found out."""

from __future__ import annotations

import torch

from genlab.metrics import memorisation as m


def points(n, seed, d=12):
    return torch.randn((n, d), generator=torch.Generator().manual_seed(seed))


def test_nearest_is_brute_force_in_blocks(monkeypatch):
    monkeypatch.setattr(m, "BLOCK", 7)
    q, p = points(20, 1).view(20, 3, 4), points(50, 2).view(50, 3, 4)
    distance, index = m.nearest(q, p)
    full = (q.flatten(1)[:, None] - p.flatten(1)[None]).double().norm(dim=2)
    assert torch.equal(index, full.argmin(1))
    torch.testing.assert_close(distance, full.min(1).values)


def test_bytes_are_compared_without_wrapping():
    q = torch.tensor([[0, 255]], dtype=torch.uint8)
    p = torch.tensor([[255, 255], [0, 250]], dtype=torch.uint8)
    distance, index = m.nearest(q, p)
    assert (distance.item(), index.item()) == (5.0, 1)


def test_new_data_scores_the_floor_and_copies_do_not():
    train, held = points(2000, 1), points(1000, 2)
    metrics, floor, _, _ = m.memorisation(points(1000, 3), held, train)
    assert abs(metrics["nearest_ratio"] - 1) < 0.05
    assert metrics["near_copies"] < 0.03
    assert floor == {"nearest_ratio": 1.0, "near_copies": 0.01}
    half = torch.cat([train[:500] + 1e-3, points(500, 4)])
    metrics, _, ratio, index = m.memorisation(half, held, train)
    assert 0.5 <= metrics["near_copies"] < 0.53
    assert torch.equal(index[:500], torch.arange(500))
    assert ratio[:500].max() < 0.01
