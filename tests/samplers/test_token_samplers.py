"""Tokens by inverse CDF: frequencies over an even grid of uniforms are exact to 1 / N."""

from __future__ import annotations

import pytest
import torch

from genlab.samplers.tokens import Greedy, Sample, inverse_cdf

P = torch.tensor([0.05, 0.4, 0.1, 0.25, 0.2])
N = 10_000


def frequencies(sampler, p=P) -> torch.Tensor:
    u = (torch.arange(N) + 0.5) / N
    tokens = sampler(p.log().expand(N, -1), u)
    assert tokens.dtype == torch.long
    return torch.bincount(tokens, minlength=len(p)) / N


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (Sample(), P),
        (Sample(temperature=0.5), P**2 / (P**2).sum()),
        (Sample(top_k=2), torch.tensor([0, 0.4, 0, 0.25, 0]) / 0.65),
        (Sample(top_k=50), P),
        # the mass before 3 is 0.4, before 4 it is 0.65, before 2 it is 0.85
        (Sample(top_p=0.6), torch.tensor([0, 0.4, 0, 0.25, 0]) / 0.65),
        (Sample(top_p=0.7), torch.tensor([0, 0.4, 0, 0.25, 0.2]) / 0.85),
        (Sample(top_p=0.01), torch.tensor([0, 1.0, 0, 0, 0])),
        (Sample(top_p=1.0), P),
        # of the three kept, 0.4 / 0.85 is not yet half of the mass
        (Sample(top_k=3, top_p=0.5), torch.tensor([0, 0.4, 0, 0.25, 0]) / 0.65),
        (Greedy(), torch.tensor([0, 1.0, 0, 0, 0])),
    ],
    ids=str,
)
def test_frequencies(sampler, expected):
    torch.testing.assert_close(frequencies(sampler), expected, atol=2 / N, rtol=0)


def test_a_token_of_probability_zero_is_never_drawn():
    probs = torch.tensor([[0.0, 0.3, 0.0, 0.7, 0.0]])
    for u in (0.0, 0.3 - 1e-8, 0.3, 1 - 2**-24, 1.0):
        assert int(inverse_cdf(probs, torch.tensor([u]))) in (1, 3)


def test_rows_are_independent():
    logits, u = torch.randn(64, 9), torch.rand(64)
    for sampler in (Sample(), Sample(top_k=3), Sample(top_p=0.8), Greedy()):
        whole = sampler(logits, u)
        parts = [sampler(logits[i : i + 7], u[i : i + 7]) for i in range(0, 64, 7)]
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize(
    ("knobs", "key"),
    [
        ({"temperature": 0.0}, "sampler.temperature=0.0.*greedy"),
        ({"top_k": 0}, "sampler.top_k=0"),
        ({"top_p": 1.5}, "sampler.top_p=1.5"),
        ({"top_p": 0.0}, "sampler.top_p=0.0"),
        ({"length": 0}, "sampler.length=0"),
    ],
)
def test_errors_name_the_key(knobs, key):
    with pytest.raises(ValueError, match=key):
        Sample(**knobs)
