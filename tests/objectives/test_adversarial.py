"""Adversarial losses against cross-entropy; gradient penalties in closed form."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from genlab.objectives.adversarial import (
    WGANGP,
    Hinge,
    LeastSquares,
    NonSaturating,
    Relativistic,
)

W = torch.tensor([[3.0, -1.0], [2.0, 0.5]])
X, FAKE = torch.randn(5, 2, 2), torch.randn(5, 2, 2)


def linear(x):
    """D(x) = <W, x>: its gradient is W at every x."""
    return (W * x).sum((1, 2))


def test_r1_of_a_linear_discriminator():
    r1 = NonSaturating(r1_gamma=0.3).penalty(linear, X, FAKE)["r1"]
    torch.testing.assert_close(r1, (0.3 / 2 * (W**2).sum()).expand(5))


def test_r1_of_a_quadratic_discriminator_and_its_gradient():
    """D(x) = a |x|^2 / 2 has gradient a x: R1 = gamma/2 a^2 |x|^2, whose slope in a is known."""
    a = torch.tensor(1.7, requires_grad=True)
    r1 = NonSaturating(r1_gamma=2.0).penalty(lambda x: a * (x**2).sum((1, 2)) / 2, X, FAKE)["r1"]
    squares = (X**2).sum((1, 2))
    torch.testing.assert_close(r1, a**2 * squares)
    (gradient,) = torch.autograd.grad(r1.sum(), a)
    torch.testing.assert_close(gradient, 2 * a.detach() * squares.sum())


@pytest.mark.parametrize("game", [NonSaturating, Relativistic, LeastSquares])
def test_r1_and_r2_of_a_quadratic_discriminator(game):
    """D(x) = x^T A x / 2 + b^T x has gradient A x + b, on real x and on fake x."""
    a = torch.randn(4, 4)
    a, b = a + a.T, torch.randn(4)

    def quadratic(x):
        x = x.flatten(1)
        return (x @ a * x).sum(1) / 2 + x @ b

    found = game(r1_gamma=0.3, r2_gamma=0.7).penalty(quadratic, X, FAKE)
    for name, gamma, x in (("r1", 0.3, X), ("r2", 0.7, FAKE)):
        gradient = x.flatten(1) @ a + b
        torch.testing.assert_close(found[name], gamma / 2 * gradient.square().sum(1))
    assert set(game(r2_gamma=1.0).penalty(quadratic, X, FAKE)) == {"r2"}


def test_a_critic_that_mixes_examples_is_penalised_for_all_its_logits():
    """D_i = |x_i|^2 / 2 + mean_j |x_j|^2 / 2: the gradient of their sum at x_i is 2 x_i."""

    def mixing(x):
        own = x.square().sum((1, 2)) / 2
        return own + own.mean()

    r1 = NonSaturating(r1_gamma=2.0).penalty(mixing, X, FAKE)["r1"]
    torch.testing.assert_close(r1, 4 * X.square().sum((1, 2)))


def test_gradient_penalty_of_a_linear_critic():
    penalty = WGANGP(gp_weight=10).penalty(linear, X, FAKE)["gradient_penalty"]
    torch.testing.assert_close(penalty, (10 * (W.norm() - 1) ** 2).expand(5))


def test_gradient_penalty_is_taken_between_real_and_fake():
    """The critic |x|^2 / 2 has gradient x: the norm seen is that of a point on the segment."""
    real, fake = torch.full((500, 1), 3.0), torch.full((500, 1), 5.0)
    values = WGANGP(gp_weight=1).penalty(lambda x: (x**2).sum(1) / 2, real, fake)
    x_hat = values["gradient_penalty"].sqrt() + 1
    assert x_hat.min() >= 3 - 1e-5
    assert x_hat.max() <= 5 + 1e-5
    assert x_hat.std().item() == pytest.approx(2 / 12**0.5, rel=0.1)  # uniform on it


def test_no_penalty_where_its_weight_is_zero():
    assert Relativistic().penalty(linear, X, FAKE) == {}
    assert LeastSquares().penalty(linear, X, FAKE) == {}
    assert NonSaturating().penalty(linear, X, FAKE) == {}
    assert WGANGP(gp_weight=0).penalty(linear, X, FAKE) == {}
    assert Hinge().penalty(linear, X, FAKE) == {}


def unasked():
    raise AssertionError("this loss needs no pass over real examples")


def test_relativistic_is_the_cross_entropy_of_which_of_a_pair_is_real():
    """softmax over the pair's two logits, with the real one (or, for G, the fake one) as label."""
    real, fake, game = torch.randn(7), torch.randn(7), Relativistic()
    pair = torch.stack([real, fake], 1)
    torch.testing.assert_close(
        game.discriminator(real, fake),
        F.cross_entropy(pair, torch.zeros(7).long(), reduction="none"),
    )
    torch.testing.assert_close(
        game.generator(fake, lambda: real),
        F.cross_entropy(pair, torch.ones(7).long(), reduction="none"),
    )


def test_relativistic_heeds_the_difference_alone():
    """R3GAN's point: a discriminator cannot leave all fakes on one side of a fixed boundary."""
    real, fake, game = torch.randn(7), torch.randn(7), Relativistic()
    torch.testing.assert_close(
        game.discriminator(real + 3, fake + 3), game.discriminator(real, fake)
    )
    assert game.generator(fake, lambda: real + 3).min() > game.generator(fake, lambda: real).min()


def test_least_squares():
    """Half squared distances to 1 and 0; the best D(x) is p / (p + q) (Mao et al., eq. 5)."""
    game, p, q = LeastSquares(), 0.3, 0.9
    d = torch.linspace(-1, 2, 3001)
    zero = torch.zeros_like(d)
    as_real = game.discriminator(d, zero) - game.discriminator(zero + 1, zero)
    as_fake = game.discriminator(zero + 1, d)
    assert d[(p * as_real + q * as_fake).argmin()].item() == pytest.approx(p / (p + q), abs=1e-3)
    assert d[game.generator(d, unasked).argmin()].item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(game.generator(torch.tensor([-1.0]), unasked), torch.tensor([2.0]))
    torch.testing.assert_close(
        game.discriminator(torch.tensor([3.0]), torch.tensor([2.0])), torch.tensor([4.0])
    )


def test_nonsaturating_is_binary_cross_entropy():
    real, fake = torch.randn(7), torch.randn(7)
    game, ones = NonSaturating(), torch.ones(7)

    def bce(logit, target):
        return F.binary_cross_entropy_with_logits(logit, target, reduction="none")

    torch.testing.assert_close(game.generator(fake, unasked), bce(fake, ones))
    expected = bce(real, ones) + bce(fake, 0 * ones)
    torch.testing.assert_close(game.discriminator(real, fake), expected)


def test_hinge_and_wasserstein():
    real, fake = torch.tensor([0.5, 2.0]), torch.tensor([-0.5, -3.0])
    torch.testing.assert_close(Hinge().discriminator(real, fake), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(Hinge().generator(fake, unasked), -fake)
    torch.testing.assert_close(WGANGP().discriminator(real, fake), fake - real)
    torch.testing.assert_close(WGANGP().generator(fake, unasked), -fake)


def test_errors_name_the_key():
    with pytest.raises(ValueError, match=r"objective.r1_gamma=-1"):
        NonSaturating(r1_gamma=-1)
    with pytest.raises(ValueError, match=r"objective.r2_gamma=-2"):
        Relativistic(r2_gamma=-2)
    with pytest.raises(ValueError, match=r"objective.critic_steps=0"):
        WGANGP(critic_steps=0)
