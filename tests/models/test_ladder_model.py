"""The ladder VAE's bound against the exact likelihood of a linear Gaussian ladder of two layers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from genlab.models.ladder import LadderVAE
from genlab.nn.ladder import ConvBottomUp, ConvTopDown
from genlab.objectives.ladder import LadderELBO
from genlab.objectives.variational import DiscretisedLogistic, Gaussian
from genlab.rng import Draws
from genlab.samplers.latent import Prior, between

# z_1 ~ N(0, I), z_2 ~ N(A z_1, S^2), x ~ N(W z_2 + SHIFT, SIGMA^2); A, S diagonal and the columns
# of W orthogonal, so that both posteriors are diagonal
SIGMA = 0.5
A, S = torch.tensor([0.8, -1.5]), torch.tensor([0.6, 0.9])
W = torch.tensor([[1.0, 0.5], [-1.0, 0.5], [0.0, 2.0]])
SHIFT = torch.tensor([0.3, -0.2, 0.1])
SPREAD = W @ torch.diag(A**2 + S**2) @ W.T + SIGMA**2 * torch.eye(3)
MARGINAL = MultivariateNormal(SHIFT, SPREAD)
X = 1.5 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))


class Up(nn.Module):
    def forward(self, x, cond=None):
        return [x]


class Down(nn.Module):
    """Its posteriors are exact, or off by `off` in mean and log-variance."""

    latent_shapes = ((2,), (2,))

    def __init__(self, off: float) -> None:
        super().__init__()
        self.off = off

    def forward(self, noise, cond=None, told=None):
        law = prior_1 = (torch.zeros_like(noise[0]), torch.zeros_like(noise[0]))
        post_1 = post_2 = None
        if told is not None:
            # x, given z_1: N(W A z_1 + SHIFT, W S^2 W' + SIGMA^2)
            inverse = (W @ torch.diag(S**2) @ W.T + SIGMA**2 * torch.eye(3)).inverse()
            precision = 1 + (torch.diag(A) @ W.T @ inverse @ W @ torch.diag(A)).diagonal()
            mean = (told[0] - SHIFT) @ inverse @ W * A / precision
            law = post_1 = self._off(mean, -precision.log().expand_as(mean))
        z_1 = self._drawn(law, noise[0])
        law = prior_2 = (A * z_1, (2 * S.log()).expand_as(z_1))
        if told is not None:
            precision = 1 / S**2 + (W.T @ W).diagonal() / SIGMA**2
            mean = (A * z_1 / S**2 + (told[0] - SHIFT) @ W / SIGMA**2) / precision
            law = post_2 = self._off(mean, -precision.log().expand_as(mean))
        z_2 = self._drawn(law, noise[1])
        return z_2 @ W.T + SHIFT, [(z_1, prior_1, post_1), (z_2, prior_2, post_2)]

    def _off(self, mean, logvar):
        return mean + self.off, logvar + self.off

    def _drawn(self, law, noise):
        return law[0] + (law[1] / 2).exp() * noise


def ladder(off: float = 0.0, num_importance: int = 1, warmup: int = 0, **knobs) -> LadderVAE:
    return LadderVAE(
        Up(),
        Down(off),
        objective=LadderELBO(Gaussian(sigma=SIGMA), warmup=warmup),
        sampler=Prior(**knobs),
        shape=(3,),
        num_importance=num_importance,
    )


def test_the_bound_is_tight_for_the_exact_posterior():
    """Then every importance weight is p(x): exact for each draw of z, with no variance at all."""
    for k in (2, 5):
        found = ladder(num_importance=k).log_prob({"x": X})
        torch.testing.assert_close(found, MARGINAL.log_prob(X), atol=1e-4, rtol=1e-5)
    many = X[:1].expand(50_000, 3)  # the ELBO with its KLs in closed form: exact in the mean
    assert ladder().log_prob({"x": many}).mean().item() == pytest.approx(
        MARGINAL.log_prob(X[0]).item(), abs=0.02
    )


def test_the_bound_is_below_the_likelihood_and_rises_with_importance_draws():
    exact, x = MARGINAL.log_prob(X[0]).item(), X[:1].expand(20_000, 3)
    torch.manual_seed(0)
    draws = [ladder(0.3, k).log_prob({"x": x}) for k in (1, 2, 8, 64)]
    bounds = [d.mean().item() for d in draws]
    error = (draws[0].std() / len(x) ** 0.5).item()
    assert bounds == sorted(bounds)
    assert bounds[-1] < exact + 0.005
    # at K = 1 the gap is KL(q || posterior), the sum over both layers
    _, layers = Down(0.0)([torch.zeros(1, 2)] * 2, told=[X[:1]])
    logvar = torch.cat([posterior[1] for *_, posterior in layers])
    gap = 0.5 * (0.3**2 / logvar.exp() + math.exp(0.3) - 1 - 0.3).sum().item()
    assert gap > 0.2
    assert exact - bounds[0] == pytest.approx(gap, abs=4 * error)
    assert error < 0.03


def test_what_the_draws_alone_move_the_bound_by_is_told():
    """So many draws of one x spread as the variance says, which is of the mean's logarithm."""
    x = X[:1].expand(4000, 3)
    torch.manual_seed(0)
    found, variance = ladder(0.3, 64).log_prob_drawn({"x": x})
    assert variance.mean().sqrt().item() == pytest.approx(found.std().item(), rel=0.15)
    assert ladder(0.3).log_prob_drawn({"x": x})[1] is None
    exact = ladder(num_importance=8).log_prob_drawn({"x": x})[1]
    assert exact.max() < 1e-8


def test_the_loss_is_minus_the_bound_once_beta_is_warm():
    model = ladder(0.2, warmup=100)
    model.clock.tick(25)
    torch.manual_seed(0)
    exact = -model.log_prob({"x": X})
    for training, beta in ((True, 0.25), (False, 1.0)):
        torch.manual_seed(0)
        terms = model.train(training).loss({"x": X})
        expected = terms["reconstruction"] + beta * terms["kl"]
        torch.testing.assert_close(terms["loss"], expected)
    torch.testing.assert_close(terms["loss"], exact)
    assert set(terms) == {"loss", "reconstruction", "kl", "kl_1", "kl_2"}
    torch.testing.assert_close(terms["kl"], terms["kl_1"] + terms["kl_2"])
    model.clock.tick(75)
    torch.manual_seed(0)
    torch.testing.assert_close(model.train().loss({"x": X})["loss"], exact)


def test_draws_have_the_models_law():
    x, means = (ladder(noise=n).sample(4000, seed=3) for n in (True, False))  # of the same z
    torch.testing.assert_close(x.T.cov(), SPREAD, atol=0.1, rtol=0.06)
    torch.testing.assert_close(x.mean(0), SHIFT, atol=0.15, rtol=0)
    expected = SIGMA**2 * torch.eye(3)
    torch.testing.assert_close((x - means).T.cov(), expected, atol=0.03, rtol=0)


def test_the_samplers_knobs_are_of_every_layers_noise():
    noise = Draws(3, 0, 5).randn((4,))

    def expected(noise):
        z_2 = A * noise[:, :2] + S * noise[:, 2:]
        return z_2 @ W.T + SHIFT

    torch.testing.assert_close(ladder().sample(5, seed=3), expected(noise))
    torch.testing.assert_close(ladder(temperature=0.5).sample(5, seed=3), expected(noise / 2))
    near = ladder(truncation=0.01).sample(5, seed=3)
    assert 0 < (near - SHIFT).abs().max() < 0.1


def test_a_code_is_noise_by_which_the_prior_draws_the_posteriors_means():
    model = ladder()
    code = model.encode(X)
    assert code.shape == (50, *model.latent_shape) == (50, 4)
    params, layers = Down(0.0)([torch.zeros(50, 2)] * 2, told=[X])
    z_1, z_2 = (z for z, *_ in layers)
    torch.testing.assert_close(code, torch.cat([z_1, (z_2 - A * z_1) / S], 1))
    torch.testing.assert_close(model.decode(code), params)


def test_a_way_goes_over_the_codes_of_two_samples():
    model = ladder(temperature=0.7)
    found = model.between(4, 3, seed=2)
    ends = model.sample(8, seed=2)
    torch.testing.assert_close(found[:, 0], ends[:4])
    torch.testing.assert_close(found[:, 2], ends[4:])
    codes = [0.7 * Draws(2, first, 4).randn((4,)) for first in (0, 4)]
    torch.testing.assert_close(found[:, 1], model.decode(between(*codes, 3)[:, 1]))


def test_a_net_that_gives_too_little_is_refused():
    model = ladder()
    forward = model.top_down.forward
    model.top_down.forward = lambda *given: (forward(*given)[0][:, :1], forward(*given)[1])
    with pytest.raises(ValueError, match=r"top_down: for x .*: they must be alike"):
        model.loss({"x": X})


def test_a_net_tells_of_x_by_z_alone():
    """decode(encode(x)) is the way down with x told: else draws would lack what training had."""
    torch.manual_seed(0)
    sizes = {"widths": (16, 16, 8)}
    model = LadderVAE(
        ConvBottomUp((1, 8, 8), **sizes),
        ConvTopDown((1, 8, 8), **sizes, latent_dims=(4, 2, 1), rungs=(2, 1, 2)),
        objective=LadderELBO(DiscretisedLogistic(levels=17)),
        sampler=Prior(),
        shape=(1, 8, 8),
    )
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    x = torch.rand(3, 1, 8, 8)
    zeros = [torch.zeros(3, *s) for s in model.latent_shapes]
    with torch.no_grad():
        params, layers = model.top_down(zeros, None, model.bottom_up(x))
    assert all((z == posterior[0]).all() for z, _, posterior in layers)
    found = model.decode(model.encode(x))
    torch.testing.assert_close(found, params.clamp(-1, 1), atol=1e-4, rtol=1e-4)
    assert (found - model.decode(torch.zeros(3, *model.latent_shape))).abs().max() > 0.01


def test_the_top_layers_values_have_its_kl_between_them():
    """Seen from a prior of mean 1 and variance exp(0.5), whose noise the code is."""
    model = ladder(0.3)
    forward = model.top_down.forward

    def moved(noise, cond=None, told=None):
        params, ((z, (mean, logvar), posterior), *rest) = forward(noise, cond, told)
        return params, [(z, (mean + 1, logvar + 0.5), posterior), *rest]

    model.top_down.forward = moved
    laws = model.code_laws({"x": X})
    assert laws.mean.shape == (50, 2) and laws.standard and laws.part == "the top layer"
    torch.testing.assert_close(laws.kl().sum(), model.loss({"x": X})["kl_1"].mean())
    torch.testing.assert_close(laws.mean, model.encode(X)[:, :2])


def test_what_comes_back_is_the_decoded_code():
    model = ladder()
    torch.testing.assert_close(model.reconstruct(X), model.decode(model.encode(X)))


def test_errors_name_the_key():
    with pytest.raises(ValueError, match=r"model.num_importance=0"):
        ladder(num_importance=0)
    with pytest.raises(ValueError, match=r"given: a ladder VAE cannot"):
        ladder().sample(1, given={"x": X[:1], "mask": X[:1] > 0})
