"""The density by the ODE against closed forms: a normal law, a mixture in the plane."""

from __future__ import annotations

import math

import pytest
import torch
from gaussian import S, exact_net

from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.objectives.flows import CosineFlow
from genlab.samplers.likelihood import log_density

PATHS = [EDM(), DDPM(), DDPM(schedule="cosine"), Flow(), Flow(shift=3.0), CosineFlow()]
named = pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
X = S * torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TRUTH = torch.distributions.Normal(0.0, S).log_prob(X).sum(1)


@named
def test_a_normal_law_is_measured_to_two_hundredths_of_a_nat(path):
    found, variance = log_density(path, exact_net(path), X)
    assert variance is None
    print(float((found - TRUTH).abs().max()))
    assert float((found - TRUTH).abs().max()) < 0.02


MEANS = torch.tensor([[1.0, 0.3], [-0.6, -0.8]], dtype=torch.float64)


def log_mixture(x: torch.Tensor, alpha: float = 1.0, sigma: float = 0.0) -> torch.Tensor:
    variance = (0.4 * alpha) ** 2 + sigma**2
    each = -((x[:, None] - alpha * MEANS) ** 2).sum(-1) / (2 * variance)
    return each.logsumexp(1) - math.log(2) - math.log(2 * math.pi * variance)


def mixture_net(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A flow's exact velocity, with its gradient."""
    t = float(t[0])
    if t == 0:
        return -x
    alpha, variance = 1 - t, (0.4 * (1 - t)) ** 2 + t**2
    weights = (-((x[:, None] - alpha * MEANS) ** 2).sum(-1) / (2 * variance)).softmax(1)
    D = (weights[..., None] * (MEANS + alpha * 0.16 / variance * (x[:, None] - alpha * MEANS))).sum(
        1
    )
    return (x - D) / t


def points() -> torch.Tensor:
    g = torch.Generator().manual_seed(2)
    noise = torch.randn(60, 2, generator=g, dtype=torch.float64)
    return MEANS[torch.arange(60) % 2] + 0.4 * noise


def test_a_mixture_is_measured_to_two_hundredths_of_a_nat():
    x = points()
    found, _ = log_density(Flow(), mixture_net, x, num_steps=60)
    assert float((found - log_mixture(x)).abs().max()) < 0.02


def test_probes_agree_with_the_exact_divergence_within_their_error():
    x = points().repeat(20, 1)
    exact, _ = log_density(Flow(), mixture_net, x, num_steps=30)
    g = torch.Generator().manual_seed(7)
    found, variance = log_density(
        Flow(), mixture_net, x, num_steps=30, probes=4,
        rand=lambda shape: torch.rand(shape, generator=g, dtype=torch.float64),
    )  # fmt: skip
    error = float(variance.mean().sqrt())
    assert error > 0.01
    assert float((found - exact).std()) == pytest.approx(error, rel=0.15)
    assert abs(float((found - exact).mean())) < 4 * error / math.sqrt(len(x))
    assert log_density(Flow(), mixture_net, x[:3], num_steps=3, probes=1)[1] is None


@pytest.mark.parametrize("wrong", [{"num_steps": 0}, {"probes": 0}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="each at least 1"):
        log_density(Flow(), mixture_net, points(), **wrong)
