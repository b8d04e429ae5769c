"""Units of likelihood, on models whose likelihood is known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from genlab.metrics.likelihood import held_out, split_batches

from .stand_ins import Stub, Table, Uniform


def images(levels=16, n=37):
    x = torch.randint(0, levels, (n, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    x = x.float() * 2 / (levels - 1) - 1
    return SimpleNamespace(kind="image", vocab=None, levels=levels, val=Table(x))


def test_a_uniform_model_needs_log2_levels_bits_per_dim():
    data = images(16)
    found = held_out(Uniform(16), data)
    assert found["bits_per_dim"] == pytest.approx(4)
    assert found["nats_per_example"] == pytest.approx(16 * math.log(16))
    # a density over the levels' whole width says the same, as a bound
    found = held_out(Uniform(16, discrete=False), data)
    assert found["bits_per_dim_bound"] == pytest.approx(4)
    assert "bits_per_dim" not in found
    # a model of floats that does not say which of the two it gives: no bits per dim
    found = held_out(Uniform(16, discrete=None), data)
    assert set(found) == {"loss", "nats_per_example"}


def test_pixels_as_tokens_too():
    tokens = torch.zeros(5, 64, dtype=torch.long)
    data = SimpleNamespace(kind="image", vocab=17, levels=17, val=Table(tokens))
    assert held_out(Uniform(17), data)["bits_per_dim"] == pytest.approx(math.log2(17))


def test_text_in_bits_per_byte_and_perplexity_counts_only_what_the_mask_lets():
    tokens, mask = torch.zeros(3, 10, dtype=torch.long), torch.ones(3, 10, dtype=torch.bool)
    mask[2, 4:] = False
    data = SimpleNamespace(
        kind="text",
        vocab=256,
        levels=None,
        val=Table(tokens, mask=mask),
        bytes_per_token=lambda split: 2.0 if split == "val" else None,
    )
    found = held_out(Uniform(256), data)
    assert found["perplexity"] == pytest.approx(256)
    assert found["bits_per_byte"] == pytest.approx(4)
    assert found["nats_per_token"] == pytest.approx(math.log(256))


def test_a_bound_says_so_and_a_model_without_likelihood_has_its_loss_alone():
    class Bound(Uniform):
        likelihood = "bound"

    assert set(held_out(Bound(16), images())) == {
        "loss",
        "nats_per_example_bound",
        "bits_per_dim_bound",
    }
    assert set(held_out(Stub(), images())) == {"loss"}


def test_the_loss_is_the_mean_over_examples_whatever_the_batches():
    data = images()
    whole = float(data.val.entries["x"].mean())
    for size in (1, 10, 100):
        found = held_out(Stub(), data, split_batches(data.val, size=size))
        assert found["loss"] == pytest.approx(whole, abs=1e-6)
    assert sum(len(b["x"]) for b in split_batches(data.val, size=10, limit=25)) == 25


def test_a_noisy_loss_repeats_and_leaves_the_random_state():
    class Noisy(Stub):
        def loss(self, batch):
            return {"loss": torch.rand(len(batch["x"]))}

    data, before = images(), torch.get_rng_state()
    first = held_out(Noisy(), data, seed=3)
    assert held_out(Noisy(), data, seed=3) == first != held_out(Noisy(), data, seed=4)
    assert torch.equal(before, torch.get_rng_state())
