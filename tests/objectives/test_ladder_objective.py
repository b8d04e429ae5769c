"""The KL of normal laws is torch's, weights are densities' ratios, and beta warms up."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from genlab.objectives.ladder import LadderELBO, kl
from genlab.objectives.variational import Gaussian


def law(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(shape), torch.randn(shape)


def torchs(of: tuple[torch.Tensor, torch.Tensor]) -> Normal:
    return Normal(of[0], (of[1] / 2).exp())


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 4, 4)])
def test_kl_is_torchs(shape):
    torch.manual_seed(0)
    q, p = law(*shape), law(*shape)
    expected = kl_divergence(torchs(q), torchs(p)).flatten(1).sum(1)
    torch.testing.assert_close(kl(q, p), expected)
    torch.testing.assert_close(kl(p, p), torch.zeros(5), atol=1e-5, rtol=0)


def test_a_weight_is_the_ratio_of_joint_and_posterior():
    torch.manual_seed(0)
    objective, x, params = LadderELBO(Gaussian(sigma=0.5)), torch.randn(5, 3), torch.randn(5, 3)
    layers = [(torch.randn(5, n), law(5, n), law(5, n)) for n in (2, 4)]
    expected = Normal(params, 0.5).log_prob(x).sum(1)
    for z, prior, posterior in layers:
        expected += (torchs(prior).log_prob(z) - torchs(posterior).log_prob(z)).sum(1)
    torch.testing.assert_close(objective.log_weight(x, params, layers), expected)


def test_each_layers_kl_is_told_and_beta_weighs_their_sum():
    torch.manual_seed(0)
    objective = LadderELBO(Gaussian(sigma=0.5), beta=3.0, warmup=200)
    x, params = torch.randn(5, 3), torch.randn(5, 3)
    layers = [(torch.randn(5, n), law(5, n), law(5, n)) for n in (2, 4)]
    for seen, beta in ((0, 0.0), (50, 0.75), (200, 3.0), (500, 3.0), (None, 3.0)):
        terms = objective.loss(x, params, layers, seen=seen)
        for number, (_, prior, posterior) in enumerate(layers, 1):
            torch.testing.assert_close(terms[f"kl_{number}"], kl(posterior, prior))
        expected = terms["reconstruction"] + beta * (terms["kl_1"] + terms["kl_2"])
        torch.testing.assert_close(terms["loss"], expected)
    bound = -terms["reconstruction"] - terms["kl"]
    torch.testing.assert_close(objective.bound(x, params, layers), bound)


@pytest.mark.parametrize("wrong", [{"beta": -1.0}, {"warmup": -1}])
def test_wrong_numbers_are_named(wrong):
    with pytest.raises(ValueError, match=f"objective.{next(iter(wrong))}=-1"):
        LadderELBO(Gaussian(), **wrong)
