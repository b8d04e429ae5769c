"""Post-hoc EMA against the integral that defines it, and against averages tracked directly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from genlab.callbacks.post_hoc import PostHocEMA, coefficients, gamma_of
from genlab.runs.folder.post_hoc import averaged
from genlab.runs.say.errors import UserError


@pytest.mark.parametrize("sigma_rel", [0.01, 0.05, 0.1, 0.25])
def test_sigma_rel_is_the_deviation_of_the_weighting(sigma_rel):
    """Of the density (gamma + 1) tau^gamma on [0, 1], by summing it up."""
    gamma = gamma_of(sigma_rel)
    tau = (np.arange(400_000) + 0.5) / 400_000
    density = (gamma + 1) * tau**gamma
    mean = (density * tau).mean()
    assert (density * (tau - mean) ** 2).mean() ** 0.5 == pytest.approx(sigma_rel, rel=1e-3)


def trained(folder, lengths, *, steps=3000, every=150, batch=10):
    """Weights that wander, followed by the callback; gives it and every weight on the way."""
    torch.manual_seed(0)
    net = nn.Linear(4, 1, bias=False)
    net.fixed = nn.Parameter(torch.zeros(2), requires_grad=False)
    callback = PostHocEMA(snapshot_every=every * batch, sigma_rel=lengths)
    run = SimpleNamespace(folder=folder)
    trainer = SimpleNamespace(accumulate_grad_batches=1, is_global_zero=True, run=run)
    ways = []
    for i in range(1, steps + 1):
        with torch.no_grad():
            net.weight += 0.05 * torch.randn(1, 4) + torch.tensor([[0.001, 0.0, -0.001, 0.0]])
        ways.append(net.weight.detach().clone().double())
        net.clock = SimpleNamespace(examples=i * batch)
        callback.on_train_batch_end(trainer, net, None, None, i - 1)
    callback.on_train_end(trainer, net)
    return net, callback, torch.cat(ways)


def test_the_average_is_the_integral_with_a_power_of_time(tmp_path):
    _, callback, ways = trained(tmp_path, (0.05, 0.1))
    n = len(ways)
    for sigma_rel in (0.05, 0.1):
        power = gamma_of(sigma_rel) + 1
        edges = (torch.arange(n + 1, dtype=torch.float64) / n) ** power
        expected = (edges.diff()[:, None] * ways).sum(0)  # each weight for its share of the time
        found = callback.averages[f"{sigma_rel:g}"]["weight"][0].double()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_any_length_is_made_afterwards_as_if_it_had_been_tracked(tmp_path):
    wanted = (0.03, 0.075, 0.15, 0.2)
    _, direct, ways = trained(tmp_path / "direct", wanted)
    net, _, _ = trained(tmp_path / "two", (0.05, 0.1))
    (tmp_path / "two" / "config.yaml").touch()
    weights = dict(net.state_dict())
    for sigma_rel in wanted:
        found = averaged(tmp_path / "two", weights, sigma_rel, 30_000)
        assert found.keys() == weights.keys() and found["fixed"] is weights["fixed"]
        true = direct.averages[f"{sigma_rel:g}"]["weight"]
        off = float((found["weight"] - true).norm() / (ways.std(0).norm()))
        assert off < 0.01, (sigma_rel, off)
    early = averaged(tmp_path / "two", weights, 0.1, 15_000)["weight"]  # of a checkpoint half-way
    power = gamma_of(0.1) + 1
    edges = (torch.arange(1501, dtype=torch.float64) / 1500) ** power
    torch.testing.assert_close(
        early[0].double(), (edges.diff()[:, None] * ways[:1500]).sum(0), rtol=1e-3, atol=1e-3
    )


def test_a_snapshots_own_length_is_itself():
    times, gammas = [100.0, 100.0, 200.0, 200.0], [6.94, 16.97, 6.94, 16.97]
    found = coefficients(times, gammas, 200.0, 16.97)
    np.testing.assert_allclose(found, [0, 0, 0, 1], atol=1e-8)


def test_resuming_goes_on_where_the_averages_were(tmp_path):
    _, whole, _ = trained(tmp_path, (0.05, 0.1), steps=20)
    other = PostHocEMA(snapshot_every=1500, sigma_rel=(0.05, 0.1))
    other.load_state_dict(whole.state_dict())
    assert other.seen == 200 and other.averages["0.05"].keys() == {"weight"}


def test_what_cannot_be_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"ema=0\.5: a share of training.*at most 0\.28"):
        gamma_of(0.5)
    with pytest.raises(ValueError, match=r"callbacks\.post_hoc.*sigma_rel=\[0\.1\] two lengths"):
        PostHocEMA(snapshot_every=10, sigma_rel=[0.1])
    trained(tmp_path, (0.05, 0.1), steps=20)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UserError, match="are of another model: weight"):
        averaged(tmp_path, {"weight": torch.zeros(3)}, 0.1, 200)
    with pytest.raises(UserError, match=r"has no snapshots.*callbacks=post_hoc"):
        averaged(tmp_path, {}, 0.1, 5)
    with pytest.raises(UserError, match="a share of training"):
        averaged(tmp_path, {}, 9.0, 200)
