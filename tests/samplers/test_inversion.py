"""Inversion against ridge regression; restarts; independence of the examples of a batch."""

from __future__ import annotations

import pytest
import torch

from genlab.rng import Draws
from genlab.samplers.inversion import Inversion

A = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_of_a_linear_decoder_it_is_ridge_regression(weight):
    x = torch.randn(5, 7)
    search = Inversion(steps=400, lr=0.2, weight=weight, starts=1)
    z = search(lambda z: z @ A.T, x, Draws(0, 0, 5), (4,))
    expected = torch.linalg.solve(A.T @ A + weight * torch.eye(4), A.T @ x.T).T
    torch.testing.assert_close(z, expected, atol=2e-3, rtol=2e-3)


def test_several_starts_find_the_lower_of_two_valleys():
    """G(z) = (z^2 - 1, 0.3 (z - 1)): z = 1 is exact, a start below 0 stays near -1."""

    def decode(z):
        return torch.cat([z**2 - 1, 0.3 * (z - 1)], 1)

    x, wrong = torch.zeros(64, 2), {}
    for starts in (1, 8):
        found = Inversion(weight=0.0, starts=starts)(decode, x, Draws(1, 0, 64), (1,))
        wrong[starts] = (found < 0).float().mean().item()
        assert ((found - 1).abs() < 1e-2).logical_or(found < 0).all()
    assert wrong[1] > 0.25 and wrong[8] < 0.05


def test_an_examples_z_depends_on_no_other():
    x, search = torch.randn(6, 7), Inversion(steps=30, starts=2)
    whole = search(lambda z: (z @ A.T).tanh(), x, Draws(2, 0, 6), (4,))
    part = search(lambda z: (z @ A.T).tanh(), x[3:], Draws(2, 3, 3), (4,))
    torch.testing.assert_close(part, whole[3:], atol=1e-5, rtol=1e-4)


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match=r"inversion: steps=0"):
        Inversion(steps=0)
