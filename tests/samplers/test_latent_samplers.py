"""The prior: its variance, and truncation's law."""

from __future__ import annotations

import pytest
import torch

from genlab.rng import Draws
from genlab.samplers.latent import Prior, between


def test_temperature_scales_the_normal():
    z = Prior(temperature=0.5)(Draws(0, 0, 4), (20_000,))
    assert z.shape == (4, 20_000)
    assert z.std().item() == pytest.approx(0.5, rel=0.02)


def test_truncation_is_the_truncated_normal():
    z = Prior(truncation=1.0)(Draws(0, 0, 4), (20_000,))
    assert z.abs().max() <= 1
    # the variance of N(0, 1) within [-1, 1]: 1 - 2 phi(1) / (2 Phi(1) - 1)
    assert z.var().item() == pytest.approx(0.2911, rel=0.02)
    half = Prior(truncation=1.0, temperature=0.5)(Draws(0, 0, 4), (20_000,))
    assert half.var().item() == pytest.approx(0.2911 / 4, rel=0.02)


def test_errors_name_the_key():
    with pytest.raises(ValueError, match=r"sampler.truncation=0"):
        Prior(truncation=0)
    with pytest.raises(ValueError, match=r"sampler.temperature=-1"):
        Prior(temperature=-1)


@pytest.mark.parametrize("shape", [(64,), (2, 3, 4)])
def test_between_follows_the_great_circle(shape):
    """Ends are kept, steps are of one angle, and the length goes evenly from one to the other."""
    a, b = torch.randn(5, *shape), 2 * torch.randn(5, *shape)
    way = between(a, b, 9)
    assert way.shape == (5, 9, *shape)
    torch.testing.assert_close(way[:, 0], a)
    torch.testing.assert_close(way[:, -1], b, atol=1e-5, rtol=1e-4)
    flat = way.flatten(2)
    lengths = flat.norm(dim=2)
    t = torch.linspace(0, 1, 9)
    torch.testing.assert_close(lengths, lengths[:, :1] * (1 - t) + lengths[:, -1:] * t)
    turns = torch.nn.functional.cosine_similarity(flat[:, 1:], flat[:, :-1], dim=2).acos()
    torch.testing.assert_close(turns, turns[:, :1].expand(-1, 8), atol=1e-3, rtol=1e-3)


def test_between_a_point_and_itself_is_that_point():
    a = torch.randn(3, 8)
    torch.testing.assert_close(between(a, a, 4), a[:, None].expand(-1, 4, -1))
    torch.testing.assert_close(between(a, 3 * a, 3)[:, 1], 2 * a)
    assert between(a, -a, 3).isfinite().all()
