"""The components of a mixture against the formula written out; conditional draws by counting."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from genlab.batch import Given
from genlab.models.mixture import Mixture
from genlab.objectives.columns import Components

WIDTHS = [1, 3, 1, 2]


def rows(num: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(num, 2, generator=g)
    a, b = (
        2.0 * torch.nn.functional.one_hot(torch.randint(n, (num,), generator=g), n) - 1
        for n in (3, 2)
    )
    return torch.cat([z[:, :1], a, z[:, 1:], b], 1)


def components(num: int = 5, widths: list[int] = WIDTHS) -> Components:
    torch.manual_seed(0)
    made = Components(widths=widths, num=num)
    with torch.no_grad():
        made.log_sigma.add_(torch.randn_like(made.log_sigma))
    return made


def written_out(c: Components, x: Tensor, known: list[bool]) -> Tensor:
    """log p(x | k) [B, K] in float64, column by column."""
    x = x.double()
    mean, sigma = c.mean.double(), c.log_sigma.double().exp() + c.least
    first, second = c.logits.double()[:3].log_softmax(0), c.logits.double()[3:].log_softmax(0)
    parts = [
        Normal(mean[0], sigma[0]).log_prob(x[:, :1]),
        first[x[:, 1:4].argmax(1)],
        Normal(mean[1], sigma[1]).log_prob(x[:, 4:5]),
        second[x[:, 5:].argmax(1)],
    ]
    there = (p for p, told in zip(parts, known) if told)
    return sum(there, torch.zeros(len(x), c.num, dtype=torch.float64))


@pytest.mark.parametrize("known", [[True] * 4, [True, False, False, True], [False] * 4])
def test_the_products_are_the_formula(known: list[bool]) -> None:
    c, x = components(), rows(20)
    mask = None if all(known) else torch.tensor(known).expand(20, 4)
    with torch.no_grad():
        found = c.log_prob(x, mask)
        torch.testing.assert_close(found.double(), written_out(c, x, known), atol=1e-3, rtol=1e-4)


def test_precision_is_kept_where_the_step_is_in_bfloat16() -> None:
    c, x = components(), rows(20)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(
            c.log_prob(x).double(), written_out(c, x, [True] * 4), atol=1e-3, rtol=1e-4
        )


def categories() -> tuple[Mixture, Tensor]:
    """A mixture over 3 x 2 states, and these."""
    torch.manual_seed(3)
    model = Mixture(objective=Components(widths=[3, 2], num=4), shape=(5,))
    with torch.no_grad():
        model.weights.normal_()
        model.objective.logits.mul_(4)
    codes = torch.tensor([*itertools.product(range(3), range(2))])
    hot = [torch.nn.functional.one_hot(c, n) for c, n in zip(codes.T, (3, 2))]
    return model, 2.0 * torch.cat(hot, 1) - 1


def test_all_states_together_are_certain() -> None:
    model, states = categories()
    assert model.discrete and not components().discrete
    with torch.no_grad():
        assert model.log_prob({"x": states}).exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("known", [None, 0, 1])
def test_draws_follow_the_exact_conditional_law(known: int | None) -> None:
    model, states = categories()
    num, row, given = 8000, states[3], None
    spans = [slice(0, 3), slice(3, 5)]
    with torch.no_grad():
        exact = model.log_prob({"x": states}).exp()
    if known is not None:
        mask = torch.zeros(num, 5, dtype=torch.bool)
        mask[:, spans[known]] = True
        given = Given(x=row.expand(num, 5).clone(), mask=mask)
        exact = torch.where((states[:, spans[known]] == row[spans[known]]).all(1), exact, 0.0)
    drawn = model.sample(num, given=given, seed=2)
    shares = torch.stack([(drawn == s).all(1).float().mean() for s in states])
    assert (shares - exact / exact.sum()).abs().max() < 0.02
    assert shares.sum() == 1


def test_components_begin_at_training_rows() -> None:
    model = Mixture(objective=Components(widths=WIDTHS, num=6), shape=(7,))
    x = rows(8)
    model.calibrate([{"x": x[:4]}, {"x": x[4:]}])
    with torch.no_grad():
        likeliest = model.objective.log_prob(x[:6]).argmax(0)
    torch.testing.assert_close(model.objective.mean.T, x[:6, [0, 4]])
    assert (x[likeliest][:, 1:4].argmax(1) == x[:6, 1:4].argmax(1)).float().mean() > 0.8


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"objective\.num=0: needs at least 1"):
        Components(widths=WIDTHS, num=0)
    with pytest.raises(ValueError, match=r"objective\.sigma=0\.01: must be above"):
        Components(widths=WIDTHS, num=2, sigma=0.01)
