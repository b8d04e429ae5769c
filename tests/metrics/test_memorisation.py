"""Planted copies among new pictures: exact, dimmed, shifted and noisy ones are found."""

from __future__ import annotations

import data_of
import pytest
import torch
from torch import Tensor

from genlab.metrics import memorisation as m
from genlab.rng import generator


def digits() -> tuple[Tensor, Tensor]:
    """(train, held-out) as a viewer sees them, uint8 [N, 1, 8, 8]."""
    data = data_of.digits()
    data.load()
    return tuple((s.images.float() * 255 / 16).round().byte() for s in (data.train, data.val))


def exact(x: Tensor) -> Tensor:
    return x


def dimmed(x: Tensor) -> Tensor:
    return x * 0.8


def paler(x: Tensor) -> Tensor:
    return (x - 128) * 0.7 + 128


def shifted(x: Tensor) -> Tensor:
    """By one pixel; the edge is repeated."""
    return torch.cat([x[:, :, 1:], x[:, :, -1:]], 2)


def noisy(x: Tensor) -> Tensor:
    """A standard deviation of 3 % of the range."""
    return x + 0.03 * 255 * torch.randn(x.shape, generator=generator("noise"))


def all_of_it(x: Tensor) -> Tensor:
    return noisy(dimmed(shifted(x)))


@pytest.fixture(scope="module")
def sets():
    train, held_out = digits()
    new, rest = held_out[::2], held_out[1::2]
    return train, new, rest, m.neighbours(new, train)


@pytest.mark.parametrize("change", [exact, dimmed, paler, shifted, noisy, all_of_it])
def test_five_per_cent_of_planted_copies_are_found(change, sets):
    train, _, rest, reference = sets
    copies = change(train[::160].float()).round().clamp(0, 255).byte()  # 9 of 180: 5 %
    assert len(copies) == 9 and len(rest) == 180
    found = m.memorisation(m.neighbours(torch.cat([copies, rest[9:]]), train), reference)
    low, high = found.interval["near_copies"]
    assert low < 0.05 < high
    assert found.metrics["near_copies"] >= 0.05  # all nine
    assert found.metrics["near_copies"] <= 0.08  # and of the others those that look like it
    clean = m.memorisation(m.neighbours(rest, train), reference)
    assert clean.metrics["near_copies"] <= 0.03


def test_new_pictures_score_the_floor_and_their_nearest_is_at_the_right_place(sets):
    train, new, _, reference = sets
    same = m.memorisation(reference, reference)
    assert same.metrics == pytest.approx(same.floor, abs=1e-6)
    assert same.floor["near_copies"] == pytest.approx(2 / 180)  # the closest 1 %: two of 180
    found = m.neighbours(dimmed(shifted(train[:50].float())).round().byte(), train)
    assert torch.equal(found.index, torch.arange(50))
    assert found.distance.max() < 0.05
    # as the definition says: the least over shifts of sqrt(2 - 2 r)
    mine = new[3, 0, 1:-1, 1:-1].flatten().double()
    windows = [train[:, 0, i : i + 6, j : j + 6] for i in range(3) for j in range(3)]
    r = torch.stack(
        [
            torch.corrcoef(torch.stack([mine, w.flatten().double()]))[0, 1]
            for s in windows
            for w in s
        ]
    ).view(9, -1)
    assert int(r.amax(0).argmax()) == int(reference.index[3])
    assert float((2 - 2 * r.max()).sqrt()) == pytest.approx(float(reference.distance[3]), abs=1e-4)


@pytest.mark.parametrize("shape", [(3, 12, 20), (1, 28, 28), (3, 70, 90), (1, 4, 4), (1, 1, 9)])
def test_any_shape_and_few_training_pictures(shape, monkeypatch):
    monkeypatch.setattr(m, "BLOCK", 7)
    train = torch.randint(0, 256, (20, *shape), generator=generator("train"), dtype=torch.uint8)
    found = m.neighbours(train[[3, 17]], train)
    assert found.index.tolist() == [3, 17]
    assert found.distance.max() < 1e-3
    for few in (1, 2):
        assert torch.isfinite(m.neighbours(train[:5], train[:few]).ratio).all()
    even = torch.full_like(train[:2], 7)
    assert torch.isfinite(m.neighbours(even, train).ratio).all()


def test_the_ratio_is_to_the_mean_of_the_next_ones():
    g = generator("ratio")
    query, *train = (torch.randint(0, 256, (1, 1, 4, 4), generator=g).byte() for _ in range(9))
    found = m.neighbours(query, torch.cat(train))
    r = [torch.corrcoef(torch.cat([query, x]).flatten(1).double())[0, 1] for x in train]
    first, *others = sorted(float((2 - 2 * x).sqrt()) for x in r)
    assert float(found.distance) == pytest.approx(first, abs=1e-4)
    assert float(found.ratio) == pytest.approx(first / (sum(others) / 7), abs=1e-4)


def test_exact_copies_stand_out_even_where_held_out_examples_are_copies_too():
    def of(*ratios: float) -> m.Neighbours:
        values = torch.tensor(ratios)
        return m.Neighbours(distance=values, ratio=values, index=torch.zeros(len(values)))

    found = m.memorisation(of(0, 0.5, 1.0, 0), of(0, 0, 0, 1.0))
    assert found.metrics["near_copies"] == 0.5 and found.floor["near_copies"] == 0.75


def test_nearest_is_brute_force_in_blocks(monkeypatch):
    monkeypatch.setattr(m, "BLOCK", 7)
    q, p = (torch.randn((n, 12), generator=generator("rows", n)) for n in (20, 50))
    distance, index = m.nearest(q, p)
    full = (q[:, None] - p[None]).double().norm(dim=2)
    assert torch.equal(index, full.argmin(1))
    torch.testing.assert_close(distance, full.min(1).values)
