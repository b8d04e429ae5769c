"""Change of variables against exact laws: densities, and bounds of probabilities by cells."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal

from genlab.objectives.change_of_variables import (
    ChangeOfVariables,
    Dequantised,
    DequantisedRows,
)

SHIFT, LOG_SCALE = 0.1, -0.7
LAW = Normal(SHIFT, math.exp(LOG_SCALE))  # x = shift + scale z


def undone(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """z and log |det dz/dx| of the affine law in every value."""
    z = (x - SHIFT) * math.exp(-LOG_SCALE)
    return z, torch.full((len(x),), -LOG_SCALE * x[0].numel())


def test_it_is_the_density_of_an_affine_law() -> None:
    x, objective = torch.randn(6, 3), ChangeOfVariables()
    assert torch.equal(objective.spread(x), x) and torch.equal(objective.settle(x), x)
    found = objective.log_prob(*undone(x), x)
    torch.testing.assert_close(found, LAW.log_prob(x).sum(1))
    terms = objective.loss(*undone(x), x)
    torch.testing.assert_close(terms["loss"], -found)
    torch.testing.assert_close(terms["loss"], terms["noise"] - terms["log_det"])
    assert not objective.bound and not objective.discrete


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
def test_of_levels_it_bounds_the_probability_of_each_cell(levels: int) -> None:
    """E_u log p(x + u) + log V against log of the law's integral over the cell."""
    objective, step = Dequantised(levels=levels), 2 / (levels - 1)
    x = (2 * torch.arange(levels) / (levels - 1) - 1)[:, None]
    ends = (LAW.cdf(x.double() + side * step / 2).squeeze(1) for side in (1, -1))
    exact = (next(ends) - next(ends)).log()
    many = x.repeat(20_000, 1)
    spread = objective.spread(many)
    inside = (spread - many).abs()
    assert inside.max() <= step / 2 + 1e-6 and inside.max() > 0.499 * step
    same = (objective.settle(spread) - many).abs() < 1e-6
    assert same.double().mean() > 0.999  # float32 rounds some to the border
    found = objective.log_prob(*undone(spread), many).view(20_000, levels)
    near = 4 * found.std(0) / 20_000**0.5 + 1e-3
    assert (found.mean(0) < exact + near).all()
    # a second moment: E (x + u - m)^2 = (x - m)^2 + step^2 / 12
    law = LAW.log_prob(x).squeeze(1) - (step / math.exp(LOG_SCALE)) ** 2 / 24 + math.log(step)
    assert ((found.mean(0) - law).abs() < near).all()
    assert objective.bound and objective.discrete


def test_what_is_drawn_beyond_the_levels_is_the_outer_one() -> None:
    x = torch.tensor([[-3.0, -1.1, -0.4, 0.6, 5.0]])
    assert Dequantised(levels=3).settle(x).tolist() == [[-1, -1, 0, 1, 1]]


WIDTHS = [1, 3, 1, 2]


def test_a_category_is_spread_over_the_cell_that_it_alone_has() -> None:
    objective = DequantisedRows(widths=WIDTHS)
    x = torch.tensor([[0.3, -1, 1, -1, -0.2, 1, -1]]).repeat(4000, 1)
    spread = objective.spread(x)
    assert torch.equal(spread[:, [0, 4]], x[:, [0, 4]])  # numbers are as they were
    hot = spread[:, [1, 2, 3, 5, 6]]
    assert torch.equal(hot > 0, x[:, [1, 2, 3, 5, 6]] > 0)
    assert hot.abs().max() < 2 and hot.abs().max() > 1.99 and hot.abs().min() < 0.01
    assert hot[:, 1].mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(objective.settle(spread), x)
    assert objective.log_volume(x) == pytest.approx(5 * math.log(2))


def test_of_rows_it_bounds_the_probability_of_the_category_that_is_drawn() -> None:
    """Two of two: P(the largest is first) against the bound by the first's cell."""
    objective = DequantisedRows(widths=[2])
    drawn = objective.settle(LAW.sample((40_000, 2)))
    assert (drawn.abs() == 1).all() and (drawn.sum(1) == 0).all()
    share = (drawn[:, 0] == 1).float().mean().item()
    x = torch.tensor([[1.0, -1.0]]).repeat(40_000, 1)
    found = objective.log_prob(*undone(objective.spread(x)), x).mean().item()
    cell = (1 - LAW.cdf(torch.tensor(0.0))) * LAW.cdf(torch.tensor(0.0))
    assert share == pytest.approx(0.5, abs=0.02)
    assert found < cell.log().item() < math.log(share)


@pytest.mark.parametrize(
    ("widths", "bound", "discrete"),
    [([1, 1], False, False), ([1, 2], True, False), ([3, 2], True, True)],
)
def test_only_categories_make_a_bound_and_only_numbers_a_density(widths, bound, discrete) -> None:
    objective = DequantisedRows(widths=widths)
    assert (objective.bound, objective.discrete) == (bound, discrete)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Dequantised(levels=None), "objective.levels=None: .*objective=change_of_variable"),
        (lambda: Dequantised(levels=1), "objective.levels=1"),
        (lambda: DequantisedRows(widths=[]), r"objective.widths=\[\]: needs a table's blocks"),
    ],
)
def test_what_is_no_level_or_row_is_refused(make, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
