"""The values of a code one by one, against closed forms and against draws."""

from __future__ import annotations

import pytest
import torch

from genlab.objectives.code_laws import CodeLaws
from genlab.objectives.posteriors import Normal


def laws(standard: bool = True, num: int = 400) -> CodeLaws:
    """Of four values: two of use, one that says little, one that says nothing."""
    draws = torch.Generator().manual_seed(0)
    mean = torch.randn(num, 4, generator=draws) * torch.tensor([0.9, 2.0, 0.02, 0.0])
    std = torch.tensor([0.5, 0.1, 0.99, 1.0]).expand(num, 4)
    return CodeLaws(mean, std, standard)


def test_against_a_standard_normal_the_kl_is_each_values_part_of_the_bounds() -> None:
    found = laws()
    q = Normal(found.mean, 2 * found.std.log())
    torch.testing.assert_close(found.kl(), q.kl_each().mean(0))
    torch.testing.assert_close(found.kl().sum(), q.kl_to_normal(q.mean).mean())
    assert found.kl()[3] == 0


def test_a_value_in_use_is_above_a_hundredth_of_a_nat_and_the_first_tells_most() -> None:
    assert laws().in_use() == [1, 0]
    mean = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    for nats, used in ((0.0099, 0), (0.0101, 1)):  # KL(N(m, 1) || N(0, 1)) = m^2 / 2
        moved = mean + torch.tensor([(2 * nats) ** 0.5, 0.0])
        assert len(CodeLaws(moved, torch.ones_like(mean), True).in_use()) == used


def test_active_units_are_those_whose_posterior_mean_varies() -> None:
    """Burda et al.: the variance over examples is above 0.01, whatever the spread of q."""
    assert laws().active() == 2
    for far, active in ((0.0099, 0), (0.0101, 1)):
        mean = torch.tensor([[1.0], [-1.0]]) * (far / 2) ** 0.5  # an unbiased variance of `far`
        assert CodeLaws(mean + 3, torch.full_like(mean, 0.1), True).active() == active


def test_against_the_aggregate_posterior_it_is_no_less_than_what_a_value_tells() -> None:
    """Where the aggregate posterior is normal it is I(x; z_j) = log(s / sigma), else above."""
    found = laws(standard=False, num=200_000)
    centre, spread = found.before()
    variance = torch.tensor([0.9, 2.0, 0.02, 0.0]) ** 2 + torch.tensor([0.5, 0.1, 0.99, 1.0]) ** 2
    torch.testing.assert_close(centre, torch.zeros(4), atol=0.02, rtol=0)
    torch.testing.assert_close(spread, variance.sqrt(), atol=0.01, rtol=0.01)
    exact = (variance.sqrt() / torch.tensor([0.5, 0.1, 0.99, 1.0])).log()
    torch.testing.assert_close(found.kl(), exact, atol=0.01, rtol=0.01)
    two = CodeLaws(torch.tensor([[5.0], [-5.0]]), torch.full((2, 1), 0.1), False)
    assert two.kl().item() > torch.tensor(2.0).log().item(), "two examples, told apart: log 2"


def test_laws_of_parts_are_those_of_the_whole() -> None:
    whole = laws(standard=False)
    parts = [CodeLaws(whole.mean[i::3], whole.std[i::3], False, "the top layer") for i in range(3)]
    joined = parts[0].joined(parts[1:])
    assert len(joined.mean) == 400 and joined.part == "the top layer"
    torch.testing.assert_close(joined.kl(), whole.kl().double(), atol=1e-5, rtol=1e-5)
    assert joined.kl().sum().item() == pytest.approx(whole.kl().sum().item(), rel=1e-4)
