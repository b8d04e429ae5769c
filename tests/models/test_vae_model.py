"""The VAE's bound against the exact likelihood of a linear Gaussian model."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from genlab.models.vae import VAE
from genlab.objectives.posteriors import Flowed
from genlab.objectives.priors import VampPrior
from genlab.objectives.variational import ELBO, Bernoulli, Gaussian
from genlab.rng import Draws
from genlab.samplers.latent import Prior

SIGMA = 0.5
# x = W z + b + SIGMA eps; the columns of W are orthogonal, so that the posterior is diagonal
W = torch.tensor([[1.0, 0.5], [-1.0, 0.5], [0.0, 2.0]])
SHIFT = torch.tensor([0.3, -0.2, 0.1])
MARGINAL = MultivariateNormal(SHIFT, W @ W.T + SIGMA**2 * torch.eye(3))


class Encoder(nn.Module):
    """The exact posterior, or one whose mean and variance are `off`."""

    def __init__(self, off: float = 0.0) -> None:
        super().__init__()
        self.off = off

    def forward(self, x, cond=None):
        precision = torch.eye(2) + W.T @ W / SIGMA**2
        mean = (x - SHIFT) @ W / SIGMA**2 @ precision.inverse()
        logvar = -precision.diagonal().log().expand(len(x), -1)
        return mean + self.off, logvar + self.off


class Decoder(nn.Module):
    def forward(self, z, cond=None):
        return z @ W.T + SHIFT


def vae(off: float = 0.0, num_importance: int = 1, **knobs) -> VAE:
    return VAE(
        Encoder(off),
        Decoder(),
        objective=ELBO(Gaussian(sigma=SIGMA)),
        sampler=Prior(**knobs),
        shape=(3,),
        latent_shape=[2],
        num_importance=num_importance,
    )


X = 1.5 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))


def test_the_posterior_is_diagonal():
    assert (W.T @ W)[0, 1] == 0


def test_the_bound_is_tight_for_the_optimal_encoder():
    """Then every importance weight is p(x): exact for each draw of z, with no variance at all."""
    for k in (2, 5):
        found = vae(num_importance=k).log_prob({"x": X})
        torch.testing.assert_close(found, MARGINAL.log_prob(X), atol=1e-4, rtol=1e-5)
    many = X[:1].expand(50_000, 3)  # the ELBO with the KL in closed form: exact in the mean
    assert vae().log_prob({"x": many}).mean().item() == pytest.approx(
        MARGINAL.log_prob(X[0]).item(), abs=0.02
    )


def test_the_bound_is_below_the_likelihood_and_rises_with_importance_draws():
    exact, x = MARGINAL.log_prob(X[0]).item(), X[:1].expand(20_000, 3)
    torch.manual_seed(0)
    draws = [vae(0.4, k).log_prob({"x": x}) for k in (1, 2, 8, 64)]
    bounds = [d.mean().item() for d in draws]
    error = (draws[0].std() / len(x) ** 0.5).item()  # of the mean of so many draws of z
    assert bounds == sorted(bounds)
    assert bounds[-1] < exact + 0.005
    assert bounds[0] < exact - 0.05
    # at K = 1 the gap is KL(q || posterior)
    logvar = Encoder()(X[:1])[1]
    gap = 0.5 * ((0.4**2 / logvar.exp() + math.exp(0.4) - 1 - 0.4).sum()).item()
    assert exact - bounds[0] == pytest.approx(gap, abs=4 * error)
    assert error < 0.03


def test_the_variance_of_the_estimate_is_that_of_estimates_drawn_again():
    model, x = vae(0.4, 200), X[:1].expand(4000, 3)
    torch.manual_seed(0)
    found, variance = model.log_prob_drawn({"x": x})
    assert variance.mean().item() == pytest.approx(found.var().item(), rel=0.15)
    assert vae(0.4).log_prob_drawn({"x": x})[1] is None


def test_the_loss_is_minus_the_bound():
    model, x = vae(0.2), X
    torch.manual_seed(0)
    terms = model.loss({"x": x})
    torch.manual_seed(0)
    torch.testing.assert_close(terms["loss"], -model.log_prob({"x": x}))
    assert set(terms) == {"loss", "reconstruction", "kl"}


def test_draws_have_the_models_law():
    x = vae(noise=True).sample(4000, seed=3)
    torch.testing.assert_close(x.T.cov(), MARGINAL.covariance_matrix, atol=0.35, rtol=0.1)
    torch.testing.assert_close(x.mean(0), SHIFT, atol=0.15, rtol=0)
    means = vae().sample(5, seed=3)
    z = Draws(3, 0, 5).randn((2,))
    torch.testing.assert_close(means, z @ W.T + SHIFT)


def test_encode_and_decode():
    model = vae()
    torch.testing.assert_close(model.encode(X), Encoder()(X)[0])
    torch.testing.assert_close(model.decode(model.encode(X)), Encoder()(X)[0] @ W.T + SHIFT)


def test_what_comes_back_is_the_decoded_code():
    torch.testing.assert_close(vae().reconstruct(X), Encoder()(X)[0] @ W.T + SHIFT)


def test_the_values_of_the_code_have_the_bounds_kl_between_them():
    model = vae(0.2)
    laws = model.code_laws({"x": X})
    torch.testing.assert_close(laws.kl().sum(), model.loss({"x": X})["kl"].mean())
    mean, logvar = Encoder(0.2)(X)
    torch.testing.assert_close(laws.mean, mean)
    torch.testing.assert_close(laws.std, (logvar / 2).exp())
    assert laws.standard and not laws.part


def test_values_of_another_prior_are_measured_by_the_aggregate_posterior():
    model = vae()
    model.prior = VampPrior(shape=(3,), num=4)
    laws = model.code_laws({"x": X})
    assert not laws.standard
    centre, _ = laws.before()
    torch.testing.assert_close(centre, Encoder()(X)[0].mean(0))


class Shift(nn.Module):
    """z -> 2 z + 1."""

    def forward(self, z, context=None):
        return 2 * z + 1, torch.full((len(z),), 2 * math.log(2))


def test_a_bent_posterior_is_encoded_to_where_its_flow_takes_the_mean():
    """Else decode(encode(x)) would be of a code that no x has."""
    model = vae()
    model.posterior = Flowed(Shift())
    torch.testing.assert_close(model.encode(X), 2 * Encoder()(X)[0] + 1)
    assert model.code_laws({"x": X}) is None, "its values have no law of their own"


def test_the_likelihood_trains_with_the_model():
    model = VAE(
        nn.Identity(),
        nn.Identity(),
        objective=ELBO(Gaussian(learn=True)),
        sampler=Prior(),
        shape=(3,),
        latent_shape=[2],
    )
    assert "objective.likelihood.log_sigma" in dict(model.named_parameters())
    assert not list(ELBO(Bernoulli()).parameters())


def test_errors_name_the_key():
    with pytest.raises(ValueError, match=r"model.num_importance=0"):
        vae(num_importance=0)
    with pytest.raises(ValueError, match=r"given: a VAE cannot"):
        vae().sample(1, given={"x": X[:1], "mask": X[:1] > 0})
