"""Units of likelihood, on models whose likelihood is known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import data_of
import pytest
import torch

from genlab.metrics import likelihood
from genlab.metrics.likelihood import split_batches

from .stand_ins import Stub, Table, Uniform


def held_out(model, data, *args, **kwargs):
    return likelihood.held_out(model, data, *args, **kwargs)[0]


def images(levels=16, n=37):
    x = torch.randint(0, levels, (n, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    x = x.float() * 2 / (levels - 1) - 1
    return of_images(vocab=None, levels=levels, val=Table(x))


def of_images(**entries):
    """Data with the units of images."""
    return SimpleNamespace(units=data_of.digits().units, **entries)


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
    data = of_images(vocab=17, levels=17, val=Table(tokens))
    assert held_out(Uniform(17), data)["bits_per_dim"] == pytest.approx(math.log2(17))


def test_text_in_bits_per_byte_and_perplexity_counts_only_what_the_mask_lets():
    tokens, mask = torch.zeros(3, 10, dtype=torch.long), torch.ones(3, 10, dtype=torch.bool)
    mask[2, 4:] = False
    from genlab.data.text import Text

    data = SimpleNamespace(
        vocab=256,
        levels=None,
        val=Table(tokens, mask=mask),
        bytes_per_token=lambda split: 2.0 if split == "val" else None,
    )
    data.units = lambda totals, discrete: Text.units(data, totals, discrete=discrete)
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


def test_the_interval_holds_the_truth_as_often_as_it_says_also_with_windows_of_many_lengths():
    class Tokens(Stub):
        likelihood = "exact"

        def log_prob(self, batch):
            return -(batch["x"] * batch["mask"]).sum(1).double()

    from genlab.data.text import Text

    inside = 0
    for seed in range(100):
        g = torch.Generator().manual_seed(seed)
        x = torch.empty(200, 12).exponential_(generator=g)  # 1 nat a token
        mask = torch.arange(12) < torch.randint(1, 13, (200, 1), generator=g)
        data = SimpleNamespace(vocab=9, levels=None, val=Table(x, mask=mask))
        data.bytes_per_token = lambda split: 1.0
        data.units = lambda totals, discrete, data=data: Text.units(data, totals, discrete=discrete)
        values, interval = likelihood.held_out(Tokens(), data)
        low, high = interval["nats_per_token"]
        assert low < values["nats_per_token"] < high
        inside += low < 1 < high
        low, high = interval["perplexity"]
        assert low < values["perplexity"] < high
    assert 88 <= inside <= 99


def test_one_example_has_no_interval():
    assert likelihood.held_out(Uniform(16), images(n=1))[1] == {}


def test_the_error_of_a_models_own_draws_is_told_beside_the_interval():
    class Drawn(Uniform):
        def log_prob_drawn(self, batch):
            return self.log_prob(batch), torch.full((len(batch["x"]),), 0.25)

    data = images(16, n=100)
    found = held_out(Drawn(16), data)
    assert found["importance_error"] == pytest.approx(0.5 / 10)  # sqrt(100 * 0.25) / 100
    assert "importance_error" not in held_out(Uniform(16), data)
