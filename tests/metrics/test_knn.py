"""The divergence by nearest neighbours against closed forms; sums; the likelihood alone."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genlab.data.sums import Sums
from genlab.metrics.held_out import HeldOut
from genlab.metrics.knn import knn_kl, neighbours, without
from genlab.metrics.report import Report
from genlab.metrics.sums import SumsEvaluation
from genlab.models.conditions import Conditions


def normal(num: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(num, 2, generator=g) * scale + torch.tensor([shift, 0.0])


@pytest.mark.parametrize(("scale", "shift"), [(1.5, 0.5), (1.0, 0.0), (1.2, -0.8)])
def test_between_normal_laws_it_is_the_closed_form(scale: float, shift: float) -> None:
    found = knn_kl(normal(20_000, 0), normal(10_000, 1, scale, shift))
    nats = sum(math.log(scale) + (1 + m * m) / (2 * scale**2) - 0.5 for m in (shift, 0.0))
    assert found == pytest.approx(nats / math.log(2), abs=0.05)


def test_it_is_the_formula_on_a_handful_of_points() -> None:
    real, samples, k = normal(12, 0), normal(9, 1), 2
    total = 0.0
    for i, x in enumerate(real):
        near = sorted((x - y).abs().max().item() for j, y in enumerate(real) if j != i)[k - 1]
        far = sorted((x - y).abs().max().item() for y in samples)[k - 1]
        total += np.log2(far) - np.log2(near)
    expected = 2 * total / 12 + np.log2(9 / 11)
    assert knn_kl(real, samples, k) == pytest.approx(expected, abs=1e-5)


def test_without_a_group_the_distances_are_those_to_the_others() -> None:
    real, samples, k = normal(50, 0), normal(200, 1), 3
    group = np.arange(200) % 10
    distance, number = neighbours(real, samples, 5 * k)
    for g in (0, 7):
        others = samples[torch.from_numpy(group != g)]
        expected = neighbours(real, others, k)[0][:, -1]
        assert without(distance, group[number], g, k) == pytest.approx(expected)


def test_the_same_point_twice_has_no_value() -> None:
    points = normal(20, 0)
    assert math.isnan(knn_kl(torch.cat([points, points]), normal(30, 1), k=1))


def test_right_sums_are_counted_whole_and_by_digit() -> None:
    data = Sums(batch_size=4, seed=0, num_train=100, num_held_out=10)
    data.load()
    x = data.val.batch(torch.arange(10))["x"].clone()
    x[:3, -1] = (x[:3, -1] + 1) % 10  # the last of the sum's digits, the highest place
    report, metric = Report(), SumsEvaluation()
    metric.compare(report, None, data, SimpleNamespace(x=x))
    assert report.metrics["right_sums"] == pytest.approx(0.7)
    assert report.metrics["right_digit_0"] == 1 and report.metrics["right_digit_3"] == 0.7
    low, high = report.interval["right_sums"]
    assert low < 0.7 < high and report.floor["right_sums"] == 1
    assert metric.given(data, 4)["x"].shape == (4, 8)


def test_the_likelihood_alone_draws_nothing() -> None:
    from families import CASES

    build, shape, _ = CASES["vae-points"]
    assert shape == (2,)
    from genlab.data.toy import Ring, Toy2D

    data, model = Toy2D(law=Ring(), batch_size=8, seed=0), build().eval()
    data.load()
    model.sample = None  # a call would fail
    model.conditions = Conditions()
    model.encoder.stack.classes = model.decoder.stack.classes = None
    report = HeldOut(likelihood_examples=64)(model, data)
    assert set(report.metrics) >= {"loss", "nats_per_example_bound"}
    assert not report.pictures
