"""Likelihoods are normalised, draws follow them, and the KL is torch's."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from genlab.objectives import posteriors
from genlab.objectives.priors import StandardNormal
from genlab.objectives.variational import (
    ELBO,
    Bernoulli,
    Coded,
    DiscretisedLogistic,
    Gaussian,
)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("scale", [1e-3, 0.05, 1.0])
@pytest.mark.parametrize("location", [-3.0, -1.0, 0.013, 0.9, 2.0])
def test_discretised_logistic_sums_to_one(levels, scale, location):
    likelihood = DiscretisedLogistic(levels=levels, scale=scale).double()
    x = 2 * torch.arange(levels, dtype=torch.float64)[:, None] / (levels - 1) - 1
    log_prob = likelihood.log_prob(x, torch.full_like(x, location))
    assert torch.isfinite(log_prob).all()
    # the location passes through float32
    assert float(log_prob.exp().sum().detach()) == pytest.approx(1, abs=1e-9)


def test_discretised_logistic_is_the_difference_of_cdfs():
    likelihood = DiscretisedLogistic(levels=5, scale=0.3).double()
    x = torch.tensor([[-0.5, 0.5]], dtype=torch.float64)
    m = torch.tensor([[0.25, -0.5]], dtype=torch.float64)
    cdf = torch.sigmoid((x + 0.25 - m) / 0.3) - torch.sigmoid((x - 0.25 - m) / 0.3)
    torch.testing.assert_close(likelihood.log_prob(x, m), cdf.log().sum(1))


def test_discretised_logistic_stays_finite_far_out_and_has_gradients():
    likelihood = DiscretisedLogistic(levels=256, scale=1e-4)
    m = torch.tensor([[50.0, -50.0, 0.3]], requires_grad=True)
    log_prob = likelihood.log_prob(torch.tensor([[-1.0, 0.5, 1.0]]), m)
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    assert torch.isfinite(m.grad).all()
    assert torch.isfinite(likelihood.log_scale.grad)


@pytest.mark.parametrize("likelihood", [DiscretisedLogistic(levels=4, scale=0.4), Bernoulli()])
def test_draws_have_the_likelihoods_frequencies(likelihood):
    n, levels = 20_000, getattr(likelihood, "levels", 2)
    params = torch.full((n, 1), 0.3)
    u = ((torch.arange(n) + 0.5) / n)[:, None]  # an even grid: frequencies are exact to 1 / n
    x = likelihood.sample(params, u)
    for k in range(levels):
        value = torch.tensor([[2 * k / (levels - 1) - 1]])
        expected = likelihood.log_prob(value, params[:1]).exp().item()
        assert (x - value).abs().lt(1e-6).float().mean().item() == pytest.approx(expected, abs=2e-3)


def test_gaussian_is_torchs():
    likelihood, x, m = Gaussian(sigma=0.3), torch.randn(4, 3, 2), torch.randn(4, 3, 2)
    expected = Normal(m, 0.3).log_prob(x).sum((1, 2))
    torch.testing.assert_close(likelihood.log_prob(x, m), expected)
    u = ((torch.arange(10_000) + 0.5) / 10_000)[:, None]
    draws = likelihood.sample(torch.ones_like(u), u)
    assert draws.mean().item() == pytest.approx(1, abs=1e-3)
    assert draws.std().item() == pytest.approx(0.3, rel=1e-2)


def test_gaussian_learns_the_best_sigma():
    likelihood = Gaussian(sigma=1.0, learn=True)
    x = 0.2 * torch.randn(5000, 1, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.LBFGS(likelihood.parameters(), max_iter=50)

    def closure():
        optimizer.zero_grad()
        loss = -likelihood.log_prob(x, torch.zeros_like(x)).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert likelihood.log_sigma.exp().item() == pytest.approx(x.square().mean().sqrt().item(), 1e-3)


def test_bernoulli_is_torchs():
    x, logits = torch.tensor([[1.0, -1.0, 1.0]]), torch.tensor([[0.3, 2.0, -1.0]])
    expected = torch.distributions.Bernoulli(logits=logits).log_prob((x + 1) / 2).sum(1)
    torch.testing.assert_close(Bernoulli().log_prob(x, logits), expected)
    p = logits.sigmoid()  # of white, which is 1; black is -1
    torch.testing.assert_close(Bernoulli().mean(logits), p - (1 - p))


def coded(x, q, params) -> Coded:
    """A batch whose decoder always says `params`."""
    return Coded(x, q, StandardNormal(), lambda z: params, None)


def test_kl_is_torchs_and_beta_weighs_it():
    mean, logvar = torch.randn(6, 4), torch.randn(6, 4)
    q = posteriors.Normal(mean, logvar)
    expected = kl_divergence(Normal(mean, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(q.kl_to_normal(mean), expected)
    terms = ELBO(Gaussian(), beta=3.0).loss(coded(torch.zeros(6, 2), q, torch.ones(6, 2)))
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + 3 * terms["kl"])
    torch.testing.assert_close(terms["kl"], expected)
    assert terms["loss"].shape == (6,)


def test_beta_rises_over_the_warmup_and_does_so_anew():
    elbo = ELBO(Gaussian(), beta=4.0, warmup=100, cycle=200)
    assert [elbo.beta(n) for n in (0, 50, 100, 199, 200, 250)] == [0, 2, 4, 4, 0, 2]
    assert elbo.beta(None) == 4.0  # where nothing is trained the bound is whole
    assert ELBO(Gaussian(), beta=4.0, warmup=100).beta(250) == 4.0
    with pytest.raises(ValueError, match=r"objective.warmup=10 objective.cycle=5"):
        ELBO(Gaussian(), warmup=10, cycle=5)


def test_errors_name_the_key():
    with pytest.raises(ValueError, match=r"objective.likelihood.levels=None.*elbo_gaussian"):
        DiscretisedLogistic(levels=None)
    with pytest.raises(ValueError, match=r"objective.beta=-1"):
        ELBO(Gaussian(), beta=-1)
    with pytest.raises(ValueError, match=r"objective.likelihood.sigma=0"):
        Gaussian(sigma=0)


@pytest.mark.parametrize("shape", [(5,), (3, 2, 4)])
def test_the_kl_is_summed_over_all_latents(shape):
    """Against torch's closed form, for a flat latent and for a map."""
    g = torch.Generator().manual_seed(0)
    mean, logvar = torch.randn(6, *shape, generator=g), torch.randn(6, *shape, generator=g)
    q = torch.distributions.Normal(mean, (logvar / 2).exp())
    p = torch.distributions.Normal(torch.zeros(shape), torch.ones(shape))
    exact = torch.distributions.kl_divergence(q, p).flatten(1).sum(1)
    mine = posteriors.Normal(mean, logvar)
    torch.testing.assert_close(mine.kl_to_normal(mean), exact)
    # and the two laws of the importance weight, log p(z) - log q(z | x)
    z = q.mean + 0.3
    torch.testing.assert_close(mine.log_prob(z), q.log_prob(z).flatten(1).sum(1))
    torch.testing.assert_close(StandardNormal().log_prob(z, None), p.log_prob(z).flatten(1).sum(1))
