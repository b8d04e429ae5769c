"""The prior: its variance, and truncation's law."""

from __future__ import annotations

import pytest

from genlab.rng import Draws
from genlab.samplers.latent import Prior


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
