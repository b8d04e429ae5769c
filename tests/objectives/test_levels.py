"""Laws of grey levels: they sum to 1, a mixture is the mixture of its parts, draws follow them."""

from __future__ import annotations

import math

import pytest
import torch

from genlab.objectives.levels import Categorical, LogisticMixture, inverse
from genlab.objectives.variational import DiscretisedLogistic

LEVELS = 9
X = (2 * torch.arange(LEVELS).float() / (LEVELS - 1) - 1)[:, None]  # one value, each level
LAWS = [LogisticMixture(levels=LEVELS, num=2, outputs=6), Categorical(levels=LEVELS, outputs=9)]
laws = pytest.mark.parametrize("law", LAWS, ids=["mixture", "categorical"])


def params(law, rows: int = 1) -> torch.Tensor:
    return torch.randn(1, law.outputs, generator=torch.Generator().manual_seed(0)).expand(rows, -1)


@laws
def test_all_levels_have_probability_one_together(law) -> None:
    assert float(law.log_prob(X, params(law, LEVELS)).exp().sum()) == pytest.approx(1, abs=1e-5)


@laws
def test_draws_have_the_frequencies_and_the_mean_is_theirs(law) -> None:
    n = 20_000
    u = ((torch.arange(n) + 0.5) / n)[:, None]  # an even grid: frequencies are exact to 1 / n
    x = law.sample(params(law, n), u)
    p = law.log_prob(X, params(law, LEVELS)).exp()
    found = torch.tensor([((x - v).abs() < 1e-4).float().mean() for v in X[:, 0]])
    torch.testing.assert_close(found, p, atol=2e-3, rtol=0)
    if isinstance(law, Categorical):  # a mixture's mean leaves out the levels' tails
        assert law.mean(params(law)).item() == pytest.approx(float((p * X[:, 0]).sum()), abs=1e-5)


def test_a_mixture_of_one_is_the_discretised_logistic() -> None:
    mixture = LogisticMixture(levels=256, num=1, outputs=3, scale=0.2)
    single = DiscretisedLogistic(levels=256, scale=0.2)
    x = 2 * torch.randint(256, (4, 3, 5, 5)).float() / 255 - 1
    location = torch.randn(4, 3, 5, 5)
    zero = torch.zeros_like(location)
    got = mixture.log_prob(x, torch.cat([zero, location, zero], 1))
    torch.testing.assert_close(got, single.log_prob(x, location), atol=1e-2, rtol=1e-4)


def test_a_mixture_weighs_its_laws() -> None:
    law = LogisticMixture(levels=LEVELS, num=2, outputs=6, scale=0.05)
    weights = torch.tensor([0.25, 0.75])
    # places start at -1/2 and 1/2
    said = torch.cat([weights.log(), torch.zeros(2), torch.zeros(2)])[None]
    p = law.log_prob(X, said.expand(LEVELS, -1)).exp()
    assert float(p[X[:, 0] < 0].sum()) == pytest.approx(0.25, abs=1e-3)
    assert law.mean(said).item() == pytest.approx(0.25, abs=1e-6)


def test_scales_do_not_vanish_however_sure_the_decoder_is() -> None:
    law = LogisticMixture(levels=256, num=1, outputs=3)
    said = torch.tensor([[0.0, 3.0, -200.0]], requires_grad=True)
    log_prob = law.log_prob(torch.tensor([[-1.0]]), said)
    log_prob.backward()
    assert log_prob.isfinite() and said.grad.isfinite().all()


def test_the_inverse_of_a_law_says_where_in_its_part_a_uniform_fell() -> None:
    p = torch.tensor([[0.2, 0.5, 0.3]]).expand(4, -1)
    k, rest = inverse(p, torch.tensor([0.1, 0.2, 0.45, 0.999999]))
    assert k.tolist() == [0, 1, 1, 2]
    torch.testing.assert_close(rest, torch.tensor([0.5, 0.0, 0.5, 1.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LogisticMixture(levels=256, num=5, outputs=10), r"outputs=10: .* write 15"),
        (lambda: LogisticMixture(levels=None), r"levels=None: needs images"),
        (lambda: LogisticMixture(levels=256, num=0), r"num=0"),
        (lambda: Categorical(levels=256, outputs=1), r"outputs=1: .* write 256"),
    ],
)
def test_what_does_not_fit_is_named(make, says) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_softmax_gives_any_law() -> None:
    p = torch.tensor([0.5, 0.0, 0.0, 0.25, 0.25])
    law = Categorical(levels=5, outputs=5)
    x = torch.linspace(-1, 1, 5)[:, None]
    said = p.clamp(min=1e-9).log().expand(5, -1)
    torch.testing.assert_close(law.log_prob(x, said).exp(), p, atol=1e-6, rtol=0)
    assert math.isclose(float(law.mean(said[:1])), -0.5 + 0.125 + 0.25, abs_tol=1e-6)
