"""The likelihood by the ODE as a metric: a model that knows its law, and levels of pictures."""

from __future__ import annotations

import math
from types import SimpleNamespace

import data_of
import pytest
import torch
from torch import nn

from genlab.data.base import DataModule
from genlab.metrics.density import OdeLikelihood
from genlab.models.diffusion import Diffusion
from genlab.objectives.diffusion import Flow
from genlab.samplers.diffusion import Euler

from .stand_ins import Stub, Table

S = 0.7


class Exact(nn.Module):
    """The velocity of N(0, S^2), on straight lines."""

    def forward(self, x, t, cond):
        t = t.view(-1, *[1] * (x.ndim - 1))
        return (t - (1 - t) * S**2) / ((1 - t) ** 2 * S**2 + t**2) * x


def model(*shape: int) -> Diffusion:
    return Diffusion(Exact(), objective=Flow(), sampler=Euler(), shape=shape)


def test_a_normal_laws_entropy():
    x = S * torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    data = SimpleNamespace(vocab=None, levels=None, val=Table(x))
    data.units = lambda totals, discrete: DataModule.units(data, totals, discrete=discrete)
    truth = -float(torch.distributions.Normal(0.0, S).log_prob(x).sum(1).mean())
    exact = OdeLikelihood(probes=None, likelihood_examples=None)(model(3), data)
    assert exact.metrics["nats_per_example"] == pytest.approx(truth, abs=0.01)
    assert "importance_error" not in exact.metrics
    low, high = exact.interval["nats_per_example"]
    assert low < truth < high
    some = OdeLikelihood(likelihood_examples=100)(model(3), data)
    assert some.metrics["nats_per_example"] == pytest.approx(truth, abs=1)


def test_levels_are_a_bound_in_bits_per_dim():
    """Of 16 levels on (-1, 1), drawn from the normal law: near its entropy by the level's width."""
    x = (S * torch.randn(200, 1, 4, 4, generator=torch.Generator().manual_seed(1))).clamp(-1, 1)
    width = 2 / 15
    x = ((x + 1) / width).round() * width - 1
    data = SimpleNamespace(units=data_of.digits().units, vocab=None, levels=16, val=Table(x))
    found = OdeLikelihood(probes=None)(model(1, 4, 4), data).metrics
    density = -torch.distributions.Normal(0.0, S).log_prob(x).mean() / math.log(2)
    assert found["bits_per_dim_bound"] == pytest.approx(float(density) - math.log2(width), abs=0.02)


def test_what_has_no_ode_is_refused_by_name():
    data = SimpleNamespace(vocab=None, levels=None, val=Table(torch.zeros(3, 2)))
    with pytest.raises(ValueError, match="metric=ode_likelihood: a Stub has no ODE"):
        OdeLikelihood()(Stub(), data)
    with pytest.raises(ValueError, match=r"metric\.num_steps=0"):
        OdeLikelihood(num_steps=0)
