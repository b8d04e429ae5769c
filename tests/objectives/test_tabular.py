"""The mixed likelihood against torch.distributions; its draws against its probabilities."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical, Normal

from genlab.objectives import posteriors
from genlab.objectives.priors import StandardNormal
from genlab.objectives.tabular import Mixed
from genlab.objectives.variational import ELBO, Coded

WIDTHS = [1, 3, 2, 1, 1, 4]
BLOCKS = [slice(1, 4), slice(4, 6), slice(8, 12)]
NUMBERS = [0, 6, 7]


def likelihood() -> Mixed:
    found = Mixed(widths=WIDTHS, sigma=0.5)
    with torch.no_grad():
        found.log_sigma.copy_(torch.tensor([0.5, 1.0, 3.0]).log())
    return found


def rows(num: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """x of rows and params [num, 12]."""
    g = torch.Generator().manual_seed(seed)
    x, params = torch.randn(num, 12, generator=g), 2 * torch.randn(num, 12, generator=g)
    for block in BLOCKS:
        width = block.stop - block.start
        chosen = torch.randint(width, (num,), generator=g)
        x[:, block] = 2 * torch.nn.functional.one_hot(chosen, width).float() - 1
    return x, params


def test_log_prob_is_that_of_normals_and_categoricals() -> None:
    x, params = rows(50)
    expected = Normal(params[:, NUMBERS], torch.tensor([0.5, 1.0, 3.0])).log_prob(
        x[:, NUMBERS]
    ).sum(1)  # fmt: skip
    for block in BLOCKS:
        expected = expected + Categorical(logits=params[:, block]).log_prob(x[:, block].argmax(1))
    torch.testing.assert_close(likelihood().log_prob(x, params), expected)


def test_large_logits_stay_finite_and_have_gradients() -> None:
    x, params = rows(8)
    params = (300 * params).requires_grad_()
    found = likelihood().log_prob(x, params)
    found.sum().backward()
    assert torch.isfinite(found).all() and torch.isfinite(params.grad).all()
    for block in BLOCKS:
        expected = torch.nn.functional.one_hot(
            x[:, block].argmax(1), block.stop - block.start
        ) - params[:, block].softmax(1)  # fmt: skip
        torch.testing.assert_close(params.grad[:, block], expected, atol=1e-5, rtol=1e-4)


def test_mean_is_the_expectation() -> None:
    _, params = rows(5)
    mean = likelihood().mean(params)
    assert torch.equal(mean[:, NUMBERS], params[:, NUMBERS])
    for block in BLOCKS:
        torch.testing.assert_close(mean[:, block], 2 * params[:, block].softmax(1) - 1)


def test_draws_follow_the_probabilities() -> None:
    num = 40_000
    params = rows(1)[1].expand(num, -1)
    x = likelihood().sample(params, torch.rand(num, 12, generator=torch.Generator().manual_seed(1)))
    for block in BLOCKS:
        assert set(x[:, block].unique().tolist()) == {-1.0, 1.0}
        assert (x[:, block] > 0).sum(1).eq(1).all()
        share = (x[:, block] > 0).double().mean(0)
        p = params[0, block].softmax(0).double()
        assert ((share - p).abs() < 5 * (p * (1 - p) / num).sqrt() + 1e-9).all()
    numbers = x[:, NUMBERS]
    error = torch.tensor([0.5, 1.0, 3.0]) / math.sqrt(num)
    assert ((numbers.mean(0) - params[0, NUMBERS]).abs() < 5 * error).all()
    torch.testing.assert_close(numbers.std(0), torch.tensor([0.5, 1.0, 3.0]), rtol=0.02, atol=0)


def test_tables_of_numbers_or_categories_alone() -> None:
    for widths in ([1, 1], [3]):
        found = Mixed(widths=widths)
        params = torch.zeros(4, sum(widths))
        x = found.sample(params, torch.rand(4, sum(widths)))
        assert torch.isfinite(found.log_prob(x, params)).all()
    assert found.log_prob(x[:1], params[:1]).item() == pytest.approx(-math.log(3))


def test_the_bound_is_below_the_likelihood_where_it_is_known() -> None:
    """A decoder that ignores z: p(x) = p(x | z), and the bound is it at q = p(z)."""
    x, params = rows(6)
    elbo, mean = ELBO(likelihood()), torch.zeros(6, 2)

    def loss(mean, logvar):
        q = posteriors.Normal(mean, logvar)
        return elbo.loss(Coded(x, q, StandardNormal(), lambda z: params, None))["loss"]

    found = loss(mean, mean)
    torch.testing.assert_close(found, -likelihood().log_prob(x, params))
    assert (loss(mean + 1, mean) > found).all()


@pytest.mark.parametrize("widths", [[], [1, 0]])
def test_widths_that_are_none(widths) -> None:
    with pytest.raises(ValueError, match=r"objective.likelihood.widths=.*data=adult or data=table"):
        Mixed(widths=widths)
    with pytest.raises(ValueError, match=r"objective.likelihood.sigma=0"):
        Mixed(widths=[1], sigma=0)
