"""Held-out likelihood in units that compare: nats per example, bits/dim, bits/byte, perplexity.

A bound has "_bound" in its name: the true number of bits is not above it.
A model that gives a density where the data has grey levels is given the data plus uniform noise of
one level's width, which bounds the likelihood of the levels themselves (Theis et al. 2016, eq. 2).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.batch import Batch
from genlab.metrics.report import Data, Examples, Model
from genlab.rng import seed_of

LN2 = math.log(2)


@dataclass
class Totals:
    """Sums over the examples of a split."""

    examples: int = 0
    values: int = 0  # numbers in x, or tokens, that count (mask)
    loss: float = 0.0
    log_prob: float = 0.0  # nats


def split_batches(
    examples: Examples, *, size: int = 250, limit: int | None = None
) -> Iterator[Batch]:
    """A whole split (or its first `limit` examples) in order, in batches of at most `size`."""
    num = len(examples) if limit is None else min(limit, len(examples))
    for part in torch.arange(num).split(size):
        yield examples.batch(part, None)


def held_out(
    model: Model, data: Data, batches: Iterable[Batch] | None = None, *, seed: int = 0
) -> dict[str, float]:
    """The mean loss, and the likelihood where the model has one, of the held-out split.

    `batches` instead of `data.val` measures other data. A noisy bound or loss is drawn from `seed`.
    """
    batches = split_batches(data.val) if batches is None else batches
    discrete = is_discrete(model, data)
    # a density is measured on levels made continuous: then the level's width counts in every value
    width = 2 / (data.levels - 1) if discrete is False and data.levels is not None else None
    totals = sums(model, batches, width=width, seed=seed)
    values = {"loss": totals.loss / totals.examples}
    if model.likelihood != "none":
        exact = model.likelihood == "exact" and width is None
        found = units(totals, data, discrete=bool(discrete) or width is not None)
        values |= {name + ("" if exact else "_bound"): v for name, v in found.items()}
    return values


def is_discrete(model: Model, data: Data) -> bool | None:
    """Is log_prob the probability of the data's own levels or tokens (True), or a density (False)?

    Of tokens it is a probability; a model of float images says it by its attribute `discrete`, and
    one that does not (None) gets no bits per dim: a wrong number is worse.
    """
    return True if data.vocab is not None else getattr(model, "discrete", None)


def sums(
    model: Model, batches: Iterable[Batch], *, width: float | None = None, seed: int = 0
) -> Totals:
    """Add up loss and log-probability over batches; with `width`, of dequantised data."""
    totals = Totals()
    with model.drawing():
        for i, batch in enumerate(batches):
            batch = {k: v.to(model.device) for k, v in batch.items()}
            with seeded(model, seed, i):
                totals.loss += float(model.loss(batch)["loss"].double().sum())
            totals.examples += len(batch["x"])
            if model.likelihood == "none":
                continue
            mask = batch.get("mask")
            values = batch["x"].numel() if mask is None else int(mask.sum())
            with seeded(model, seed, i):
                if width is not None:
                    batch["x"] = batch["x"] + (torch.rand_like(batch["x"]) - 0.5) * width
                log_p = float(model.log_prob(batch).double().sum())
            totals.log_prob += log_p + (values * math.log(width) if width is not None else 0.0)
            totals.values += values
    return totals


@contextlib.contextmanager
def seeded(model: Model, *name: int) -> Iterator[None]:
    """Within: torch's generators are seeded by `name`; restored afterwards."""
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed_of("likelihood", *name))
        yield


def units(totals: Totals, data: Data, *, discrete: bool) -> dict[str, float]:
    """The log-probability in the units of the data's kind."""
    nats = -totals.log_prob
    if data.kind == "text":
        per_token = nats / totals.values
        values = {"nats_per_token": per_token, "perplexity": math.exp(min(per_token, 700.0))}
        values["bits_per_byte"] = per_token / LN2 / data.bytes_per_token("val")
        return values
    values = {"nats_per_example": nats / totals.examples}
    if data.kind == "image" and discrete:
        values["bits_per_dim"] = nats / totals.values / LN2
    return values


def entropy(log_p: Tensor) -> float:
    """The nats per example that a perfect model scores, from the exact law's log_prob [N]."""
    return float(-log_p.double().mean())
