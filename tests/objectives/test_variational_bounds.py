"""Bounds against the exact likelihood of a linear Gaussian model, gradients against their formula.

x = W z + s eps with z ~ N(0, I): log p(x) is known, and so is the posterior.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from genlab.objectives.bounds import IWAE, BetaTC, DoublyReparameterised, FreeBits, averaged
from genlab.objectives.posteriors import Bent, Flowed, Normal, log_normal
from genlab.objectives.priors import FlowPrior, StandardNormal, VampPrior
from genlab.objectives.variational import ELBO, Coded, Gaussian
from genlab.rng import Draws, share_of

SIGMA = 0.5
W = torch.tensor([[1.0, 0.5], [-1.0, 0.5], [0.0, 2.0]])
MARGINAL = MultivariateNormal(torch.zeros(3), W @ W.T + SIGMA**2 * torch.eye(3))
X = torch.tensor([[0.4, -1.0, 2.0]])
PRIOR = StandardNormal()


def decode(z):
    return z @ W.T


def posterior(off: float = 0.0, num: int = 1) -> Normal:
    """The exact one of X, moved and widened by `off`, for `num` examples."""
    precision = torch.eye(2) + W.T @ W / SIGMA**2
    mean = (X @ W / SIGMA**2 @ precision.inverse()).expand(num, -1)
    return Normal(mean + off, -precision.diagonal().log().expand(num, -1) + off)


def loss(bound, q, x, decode=decode):
    return bound.loss(Coded(x, q, PRIOR, decode, None))


# --- importance weights ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [IWAE, DoublyReparameterised])
def test_the_bound_rises_with_its_draws_and_stays_below_the_likelihood(kind) -> None:
    torch.manual_seed(0)
    n, exact = 20_000, MARGINAL.log_prob(X).item()
    found = [
        -loss(kind(Gaussian(sigma=SIGMA), num=k), posterior(0.4, n), X.expand(n, -1))["loss"].mean()
        for k in (1, 5, 50)
    ]
    assert found[0] + 0.05 < found[1] < found[2] < exact + 0.01
    tight = loss(kind(Gaussian(sigma=SIGMA), num=3), posterior(num=4), X.expand(4, -1))
    torch.testing.assert_close(-tight["loss"], MARGINAL.log_prob(X).expand(4), atol=1e-4, rtol=0)


def test_one_draw_is_the_elbo_with_its_kl_drawn() -> None:
    torch.manual_seed(0)
    n = 200_000
    q, x = posterior(0.4, n), X.expand(n, -1)
    one = loss(IWAE(Gaussian(sigma=SIGMA), num=1), q, x)["loss"]
    elbo = loss(ELBO(Gaussian(sigma=SIGMA)), q, x)["loss"]
    assert one.mean().item() == pytest.approx(elbo.mean().item(), abs=0.02)


def gradient(kind, k: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """d loss / d (mean, logvar) of one example, and of W, with n draws of the whole."""
    torch.manual_seed(1)
    start = posterior(0.4)
    mean, logvar = (t.clone().requires_grad_() for t in (start.mean, start.logvar))
    w = W.clone().requires_grad_()
    q = Normal(mean.expand(n, -1), logvar.expand(n, -1))
    terms = loss(kind(Gaussian(sigma=SIGMA), num=k), q, X.expand(n, -1), lambda z: z @ w.T)
    grads = torch.autograd.grad(terms["loss"].mean(), (mean, logvar, w))
    return torch.cat([grads[0], grads[1]], 1), grads[2]


def test_the_doubly_reparameterised_gradient_is_the_same_in_the_mean_and_less_noisy() -> None:
    """Tucker et al. 2019: unbiased for IWAE's gradient; its variance does not grow with K."""
    (plain, plain_w), (doubly, doubly_w) = (
        gradient(kind, 8, 100_000) for kind in (IWAE, DoublyReparameterised)
    )
    torch.testing.assert_close(doubly, plain, atol=0.02, rtol=0.05)
    torch.testing.assert_close(doubly_w, plain_w)  # the decoder's is the same, draw by draw

    def noise(kind):
        draws = []
        for seed in range(60):
            torch.manual_seed(seed)
            start = posterior(0.1)
            mean = start.mean.clone().requires_grad_()
            terms = loss(kind(Gaussian(sigma=SIGMA), num=64), Normal(mean, start.logvar), X)
            draws.append(torch.autograd.grad(terms["loss"].sum(), mean)[0])
        return torch.cat(draws).std(0)

    assert (noise(DoublyReparameterised) < 0.5 * noise(IWAE)).all()


# --- free bits, total correlation -----------------------------------------------------------------


def test_a_value_that_holds_less_than_its_free_nats_has_no_gradient() -> None:
    mean = torch.tensor([[0.1, 3.0], [-0.1, 2.0]], requires_grad=True)  # KL 0.005 and 3.25
    q = Normal(mean, torch.zeros(2, 2))
    bound = FreeBits(Gaussian(sigma=SIGMA), nats=0.5)
    terms = loss(bound, q, torch.zeros(2, 3), lambda z: torch.zeros(2, 3))
    expected = terms["reconstruction"] + 0.5 + (4.5 + 2.0) / 2
    torch.testing.assert_close(terms["loss"], expected)
    (grad,) = torch.autograd.grad(terms["loss"].mean(), mean)
    assert grad[:, 0].abs().max() == 0 and (grad[:, 1] > 0).all()
    torch.testing.assert_close(terms["kl"], (mean**2 / 2).sum(1))  # what it is, not what it costs


def test_the_parts_of_the_kl_add_up_and_the_weight_weighs_the_second() -> None:
    torch.manual_seed(0)
    q = Normal(torch.randn(64, 3), 0.3 * torch.randn(64, 3))
    torch.manual_seed(1)
    z = q.draw()
    whole = q.log_prob(z) - log_normal(z)

    def terms(weight):
        torch.manual_seed(1)
        bound = BetaTC(Gaussian(), tc_weight=weight)
        return loss(bound, q, torch.zeros(64, 3), lambda z: torch.zeros(64, 3))

    one, six = terms(1.0), terms(6.0)
    torch.testing.assert_close(one["loss"], one["reconstruction"] + one["kl"])
    torch.testing.assert_close(six["loss"] - one["loss"], 5 * one["total_correlation"])
    torch.testing.assert_close(one["kl"], whole)


def test_the_total_correlation_is_the_closed_form_of_a_correlated_code() -> None:
    """z = (a, a + e): of normal laws TC = -1/2 log(1 - r^2)."""
    g = torch.Generator().manual_seed(0)
    n, r = 4000, 0.8
    a = torch.randn(n, 1, generator=g)
    b = r * a + math.sqrt(1 - r**2) * torch.randn(n, 1, generator=g)
    spread = 0.3  # of q(z | x): a kernel, wide enough for n points
    q = Normal(torch.cat([a, b], 1), torch.full((n, 2), 2 * math.log(spread)))
    z = q.mean + spread * torch.randn(n, 2, generator=g)
    parts = averaged(q, z)
    tc = float((parts["joint"] - parts["product"]).mean())
    smoothed = r / (1 + spread**2)  # the correlation of z, whose parts have variance 1 + spread^2
    assert tc == pytest.approx(-0.5 * math.log(1 - smoothed**2), abs=0.03)


# --- posteriors and priors ------------------------------------------------------------------------


class Shear(torch.nn.Module):
    """y = (z1, e^s z2 + a z1): its determinant is e^s; the context moves it."""

    def __init__(self, s: float = 0.7, a: float = -1.3) -> None:
        super().__init__()
        self.s = torch.nn.Parameter(torch.tensor(s))
        self.a = a

    def forward(self, z, context=None):
        shift = 0 if context is None else context.mean(1)
        y = torch.stack([z[:, 0], self.s.exp() * z[:, 1] + self.a * z[:, 0] + shift], 1)
        return y, self.s.expand(len(z))

    def inverse(self, y, context=None):
        shift = 0 if context is None else context.mean(1)
        z2 = (y[:, 1] - self.a * y[:, 0] - shift) / self.s.exp()
        return torch.stack([y[:, 0], z2], 1), -self.s.expand(len(y))


def test_a_bent_law_has_the_density_of_its_draws() -> None:
    mean, logvar = torch.tensor([[0.5, -0.2]]), torch.tensor([[0.1, -0.4]])
    q = Flowed(Shear())(mean, logvar)
    torch.manual_seed(0)
    z = q.draw(50_000)
    a, std = -1.3, (logvar[0] / 2).exp()
    jacobian = torch.tensor([[1.0, 0.0], [a, math.exp(0.7)]])
    centre = jacobian @ mean[0] + torch.tensor([0.0, float(mean.mean())])
    exact = MultivariateNormal(centre, jacobian @ torch.diag(std**2) @ jacobian.T)
    torch.testing.assert_close(q.log_prob(z), exact.log_prob(z), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(z.mean(0), centre, atol=0.05, rtol=0)
    torch.testing.assert_close(z.T.cov(), exact.covariance_matrix, atol=0.1, rtol=0.03)
    other = z + 0.1  # which it has not drawn, and inverts
    torch.testing.assert_close(q.log_prob(other), exact.log_prob(other), atol=1e-4, rtol=1e-4)
    kl = float(q.kl_to_normal(z).mean())
    normal = MultivariateNormal(torch.zeros(2), torch.eye(2))
    assert kl == pytest.approx(float(torch.distributions.kl_divergence(exact, normal)), abs=0.03)


def test_a_learned_flow_is_a_prior_that_can_be_drawn_from() -> None:
    prior, draws = FlowPrior(Shear()), Draws(0, 0, 3000)
    z = prior.draw(draws.randn((2,)), draws, None)
    jacobian = torch.tensor([[1.0, 0.0], [-1.3, math.exp(0.7)]])
    exact = MultivariateNormal(torch.zeros(2), jacobian @ jacobian.T)
    torch.testing.assert_close(prior.log_prob(z, None), exact.log_prob(z), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(z.T.cov(), exact.covariance_matrix, atol=0.25, rtol=0.1)


def test_the_vamp_prior_is_the_mixture_of_its_inputs_posteriors() -> None:
    prior = VampPrior(shape=[3], num=3)
    batches = [{"x": torch.tensor([[-0.9, 0.0, 0.5], [0.9, 0.2, 0.1]])}] * 2
    prior.begin(batches)
    torch.testing.assert_close(prior.inputs[2], batches[0]["x"][0])  # the first, and then again

    def infer(x):
        return 2 * x[:, :2], x[:, 1:] - 1

    parts = [torch.distributions.Normal(m, (v / 2).exp()) for m, v in zip(*infer(prior.inputs))]
    draws = Draws(1, 0, 4000)
    z = prior.draw(draws.randn((2,)), draws, infer)
    exact = torch.stack([p.log_prob(z).sum(1) for p in parts]).logsumexp(0) - math.log(3)
    torch.testing.assert_close(prior.log_prob(z, infer), exact)
    torch.testing.assert_close(z.mean(0), infer(prior.inputs)[0].mean(0), atol=0.06, rtol=0)
    assert float((z[:, 0] < 0).float().mean()) == pytest.approx(2 / 3, abs=0.03)


def test_draws_of_one_example_do_not_depend_on_how_the_batch_is_cut() -> None:
    """As one process, and as two that take a half each: draw j of example i is the same."""
    mean, logvar = torch.randn(4, 2), torch.zeros(4, 2)
    noise = torch.Generator().manual_seed(3)
    with share_of(0, 1, noise):
        whole = Normal(mean, logvar).draw(3).view(3, 4, 2)
    for half in (0, 1):
        noise.manual_seed(3)
        with share_of(half, 2, noise):
            part = Normal(mean[2 * half :][:2], logvar[:2]).draw(3).view(3, 2, 2)
        assert torch.equal(part, whole[:, 2 * half :][:, :2])


@pytest.mark.parametrize("kind", [DoublyReparameterised, FreeBits, BetaTC])
def test_what_takes_a_normal_posterior_apart_refuses_another(kind) -> None:
    q = Bent(posterior(), Shear(), torch.zeros(1, 1))
    with pytest.raises(ValueError, match=r"posterior=diagonal"):
        loss(kind(Gaussian()), q, X)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: IWAE(Gaussian(), num=0), r"objective\.num=0"),
        (lambda: FreeBits(Gaussian(), nats=-1), r"objective\.nats=-1"),
        (lambda: BetaTC(Gaussian(), tc_weight=-1), r"objective\.tc_weight=-1"),
        (lambda: VampPrior(shape=[2], num=0), r"model\.prior\.num=0"),
    ],
)
def test_numbers_that_are_none_are_named(make, says) -> None:
    with pytest.raises(ValueError, match=says):
        make()
