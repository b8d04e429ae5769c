"""Metrics of points on exact draws, where what they should say is known."""

from __future__ import annotations

import math

import pytest
import torch

from genlab.metrics import toy
from genlab.metrics.interval import share_interval
from genlab.metrics.points import PointsEvaluation, fresh_points, shares
from genlab.metrics.report import Report

from .stand_ins import Ring, RingModel, Stub


def normal(n, seed, d=2):
    g = torch.Generator().manual_seed(seed)
    return torch.randn((n, d), generator=g, dtype=torch.float64)


def test_exact_draws_cover_the_modes_and_98_9_percent_lie_within_3_std():
    ring = Ring()
    x = ring.draw(20_000, torch.Generator().manual_seed(0))
    found = toy.mode_metrics(x, ring.modes, ring.std)
    assert found["modes_covered"] == 8
    assert found["high_quality_share"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert 0 <= found["mode_kl"] < 0.001
    found = toy.mode_metrics(x[:, :1] * 0 + ring.modes[2], ring.modes, ring.std)
    assert found["modes_covered"] == 1
    assert found["mode_kl"] == pytest.approx(math.log(8))
    assert toy.mode_metrics(x + 9, ring.modes, ring.std) == {
        "modes_covered": 0.0,
        "high_quality_share": 0.0,
    }


def test_energy_distance_is_brute_force_and_unbiased():
    a, b = normal(20, 1), normal(30, 2) + 1
    ab = sum(float((x - y).norm()) for x in a for y in b) / 600
    aa = sum(float((x - y).norm()) for x in a for y in a) / (20 * 19)
    bb = sum(float((x - y).norm()) for x in b for y in b) / (30 * 29)
    assert toy.energy_distance(a, b) == pytest.approx(2 * ab - aa - bb)
    assert abs(toy.energy_distance(normal(3000, 3), normal(3000, 4))) < 0.01


@pytest.mark.parametrize("d", [2, 5])
def test_sliced_wasserstein_of_a_shift_is_its_length_over_root_d(d):
    x = normal(3000, 1, d)
    shift = torch.zeros(d, dtype=torch.float64)
    shift[0] = 3.0
    # E over directions of (u.shift)^2 is |shift|^2 / d
    expected = 3 / math.sqrt(d)
    found = toy.sliced_wasserstein(x, x + shift, projections=64 if d == 2 else 2000)
    assert found == pytest.approx(expected, rel=1e-9 if d == 2 else 0.05)
    assert toy.sliced_wasserstein(x, x) == 0
    # a scaled Gaussian: every projection is N(0, 4) against N(0, 1), at distance 1
    assert toy.sliced_wasserstein(2 * normal(5000, 2, d), x) == pytest.approx(1, abs=0.06)


def test_law_metrics():
    found = toy.law_metrics(torch.tensor([-1.0, -3.0, -math.inf, -math.inf]))
    assert found == {"in_support": 0.5, "law_log_prob": -2.0}
    assert toy.law_metrics(torch.tensor([-math.inf])) == {"in_support": 0.0}


def test_a_perfect_model_scores_the_floor():
    ring = Ring()
    report = PointsEvaluation(num_samples=2000, chunk=300)(RingModel(ring), ring, seed=1)
    found, floor = report.metrics, report.floor
    assert found["modes_covered"] == pytest.approx(floor["modes_covered"]) == 8
    # the chi-square law's share, not a draw's
    assert floor["high_quality_share"] == pytest.approx(1 - math.exp(-4.5), abs=1e-9)
    assert "high_quality_share" not in report.floor_interval
    low, high = report.interval["high_quality_share"]
    assert low < floor["high_quality_share"] < high
    assert high - low < 0.012
    assert floor["mode_kl"] == pytest.approx(7 / (2 * 2000 * (1 - math.exp(-4.5))))
    assert floor["energy_distance"] == 0
    low, high = report.interval["energy_distance"]
    assert low < 0 < high
    assert found["kl_to_model"] == pytest.approx(0, abs=1e-9)
    assert found["nats_per_example"] == pytest.approx(floor["nats_per_example"])
    # the law's entropy: modes far apart, so log 8 + log(2 pi e std^2)
    entropy = math.log(8) + math.log(2 * math.pi * math.e * ring.std**2)
    assert found["nats_per_example"] == pytest.approx(entropy, abs=0.05)
    assert found["law_log_prob"] == pytest.approx(-entropy, abs=0.06)
    assert floor["law_log_prob"] == pytest.approx(-entropy, abs=1e-6)
    assert found["sliced_wasserstein"] < 0.1
    assert found["in_support"] == found["finite_share"] == 1
    assert report.pictures["samples"].shape == (2000, 2)
    assert "std" not in report.notes
    # samples do not depend on how many are drawn at once
    again = PointsEvaluation(num_samples=2000, chunk=2000)(RingModel(ring), ring, seed=1)
    assert torch.equal(again.pictures["samples"], report.pictures["samples"])


def test_the_kl_to_the_model_is_what_its_likelihood_lacks():
    class Worse(RingModel):
        def log_prob(self, batch):
            return super().log_prob(batch) - 0.25

    ring = Ring()
    found = PointsEvaluation(num_samples=100)(Worse(ring), ring).metrics
    assert found["kl_to_model"] == pytest.approx(0.25)


def test_the_laws_fresh_points_are_none_that_a_model_has_seen():
    ring = Ring()
    fresh, seen = fresh_points(ring, 200), torch.cat([ring.train_batch(k)["x"] for k in range(50)])
    assert fresh.shape == (200, 2) and not torch.isin(fresh, seen).any()


def test_the_support_has_the_interval_of_its_share():
    report, x = Report(), torch.tensor([[1.0], [-1.0], [2.0], [-2.0], [3.0]])

    class Half:
        def log_prob(self, x):
            return torch.where(x[:, 0] > 0, 0.0, -math.inf)

    shares(report, Half(), x)
    assert report.metrics["in_support"] == 0.6
    assert report.interval["in_support"] == share_interval(3, 5)


def test_missing_modes_show():
    ring = Ring()
    report = PointsEvaluation(num_samples=2000)(RingModel(ring, modes=4), ring)
    assert report.metrics["modes_covered"] == 4
    assert report.metrics["mode_kl"] == pytest.approx(math.log(2), abs=0.02)
    assert report.metrics["sliced_wasserstein"] > 3 * report.floor["sliced_wasserstein"]
    assert report.interval["energy_distance"][0] > 0.01


def test_samples_that_are_not_finite_are_counted_and_left_out():
    class Broken(RingModel):
        def sample(self, num, *args, **kwargs):
            x = super().sample(num, *args, **kwargs)
            x[::2] = math.nan
            return x

    ring = Ring()
    report = PointsEvaluation(num_samples=100)(Broken(ring), ring)
    assert report.metrics["finite_share"] == 0.5
    assert all(math.isfinite(v) for v in report.metrics.values())


def test_a_count_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"metric\.num_samples=1: allowed is 2 or more"):
        PointsEvaluation(num_samples=1)


@pytest.mark.parametrize("law", ["Ring", "Moons", "Checkerboard"])
def test_the_packages_own_points_score_their_floor(law):
    from genlab.data import toy as data_toy

    data = data_toy.Toy2D(law=getattr(data_toy, law)(), batch_size=64, seed=0)
    data.load()

    class Exact(Stub):
        likelihood = "exact"

        def log_prob(self, batch):
            return data.log_prob(batch["x"])

        def sample(self, num, cond=None, given=None, *, seed=0, first=0):
            return data.train.x[first : first + num]

    report = PointsEvaluation(num_samples=3000)(Exact(), data)
    found, floor = report.metrics, report.floor
    assert set(floor) == set(found) - {"loss", "finite_share"}
    assert found["kl_to_model"] == pytest.approx(0, abs=1e-6)
    assert found["sliced_wasserstein"] < 3 * floor["sliced_wasserstein"]
    assert found["law_log_prob"] == pytest.approx(floor["law_log_prob"], abs=0.1)
    assert ("modes_covered" in found) == (law == "Ring")
    exact = {"energy_distance", "in_support", "kl_to_model", "nats_per_example"}
    exact |= {"modes_covered", "high_quality_share", "mode_kl"} & set(floor)
    exact |= {"law_log_prob"} if law == "Ring" else set()
    assert set(report.floor_interval) == set(floor) - exact
    for name, value in floor.items():
        if name in report.interval and name in exact and name != "nats_per_example":
            low, high = report.interval[name]
            slack = (high - low) / 2  # 95 % holds for one in twenty not
            assert low - slack <= value <= high + slack, name


def test_modes_that_meet_have_a_drawn_floor_with_its_error():
    ring = Ring()
    ring.std = ring.mode_std = 0.15  # neighbours are 0.765 apart: 5 std
    assert toy.separate_modes(ring.modes, ring.std) == (None, None)
    report = PointsEvaluation(num_samples=500)(RingModel(ring), ring)
    low, high = report.floor_interval["high_quality_share"]
    assert low < report.floor["high_quality_share"] < high
    assert high - low < 0.002
    assert report.floor["high_quality_share"] > 1 - math.exp(-4.5)  # of another mode too


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_share_within_three_std_is_the_chi_square_laws(dims):
    share, entropy = (
        toy.separate_modes(torch.eye(3, dims) * 100, 1.0)
        if dims > 2
        else (toy.separate_modes(torch.zeros(1, dims), 1.0))
    )
    x = normal(200_000, 7, dims)
    assert share == pytest.approx(float((x.norm(dim=1) < 3).double().mean()), abs=0.001)
    modes = 3 if dims > 2 else 1
    assert entropy == pytest.approx(math.log(modes) + dims * 1.4189385, abs=1e-6)


def test_expected_modes_and_their_unevenness():
    g, kl, covered = torch.Generator().manual_seed(0), [], []
    for _ in range(400):
        mode = torch.randint(8, (200,), generator=g)
        found = toy.mode_metrics(torch.eye(8)[mode], torch.eye(8), 0.1)
        kl.append(found["mode_kl"])
        covered.append(
            toy.mode_metrics(torch.eye(8)[mode[:10]], torch.eye(8), 0.1)["modes_covered"]
        )
    assert sum(kl) / 400 == pytest.approx(toy.expected_mode_kl(8, 200), rel=0.08)
    assert sum(covered) / 400 == pytest.approx(toy.expected_modes(8, 10), rel=0.02)


def test_the_energy_distance_without_a_group_is_that_of_the_others():
    a, b = normal(40, 1), normal(30, 2)
    ga, gb = torch.arange(40) % 5, torch.arange(30) % 5
    whole, without = toy.energy_distances(a, b, ga, gb)
    assert whole == pytest.approx(toy.energy_distance(a, b))
    for g in range(5):
        assert without[g] == pytest.approx(toy.energy_distance(a[ga != g], b[gb != g]))
