"""Held-out likelihood in units that compare: nats per example, bits/dim, bits/byte, perplexity.

The data say how nats become their units (`DataModule.units`).

A bound has "_bound" in its name: the true number of bits is not above it.
A model that gives a density where the data has grey levels is given the data plus uniform noise of
one level's width, which bounds the likelihood of the levels themselves (Theis et al. 2016, eq. 2).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from genlab.batch import Batch, each
from genlab.metrics.interval import Interval, Z, mean_interval
from genlab.metrics.report import Data, Examples, Model
from genlab.rng import seed_of


@dataclass
class Totals:
    """Sums over the examples of a split; `data.units` makes units of them."""

    examples: int = 0
    values: int = 0  # numbers in x, or tokens, that count (mask)
    log_prob: float = 0.0  # nats
    drawn: float = 0.0  # the variance of log_prob where it is estimated by draws of the model
    # of each example: (loss [N], log-probability [N], values that count [N])
    each: tuple[list[Tensor], list[Tensor], list[Tensor]] = field(
        default_factory=lambda: ([], [], [])
    )

    def spread(self) -> float:
        """The standard error of log_prob, given how many values count."""
        log_p, values = (torch.cat(parts).double() for parts in self.each[1:])
        residual = log_p - values * (log_p.sum() / values.sum())
        return float(residual.std() * len(residual) ** 0.5)


def split_batches(
    examples: Examples, *, size: int = 250, limit: int | None = None
) -> Iterator[Batch]:
    """A whole split (or its first `limit` examples) in order, in batches of at most `size`."""
    num = len(examples) if limit is None else min(limit, len(examples))
    for part in torch.arange(num).split(size):
        yield examples.batch(part, None)


def held_out(
    model: Model, data: Data, batches: Iterable[Batch] | None = None, *, seed: int = 0
) -> tuple[dict[str, float], dict[str, Interval]]:
    """The mean loss, and the likelihood where the model has one, of the held-out split.

    And the intervals of both. `batches` instead of `data.val` measures other data. A noisy bound or
    loss is drawn from `seed`.
    """
    batches = split_batches(data.val) if batches is None else batches
    discrete = is_discrete(model, data)
    # a density is measured on levels made continuous: then the level's width counts in every value
    width = 2 / (data.levels - 1) if discrete is False and data.levels is not None else None
    totals = sums(model, batches, width=width, seed=seed)
    losses = torch.cat(totals.each[0])
    several = totals.examples > 1
    values = {"loss": float(losses.mean())}
    interval = {"loss": mean_interval(losses)} if several else {}
    if model.likelihood != "none":
        exact = model.likelihood == "exact" and width is None
        bound = "" if exact else "_bound"
        as_units = partial(data.units, discrete=bool(discrete) or width is not None)
        found = as_units(totals)
        values |= {name + bound: v for name, v in found.items()}
        if totals.drawn:  # nats an example, of the model's own draws; the interval is over examples
            values["importance_error"] = totals.drawn**0.5 / totals.examples
        if several:
            half = Z * totals.spread()
            ends = [as_units(replace(totals, log_prob=totals.log_prob + h)) for h in (half, -half)]
            interval |= {name + bound: (ends[0][name], ends[1][name]) for name in found}
    return values, interval


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
    losses, log_probs, counts = totals.each
    with model.drawing():
        for i, batch in enumerate(batches):
            batch = {k: each(lambda rows: rows.to(model.device), v) for k, v in batch.items()}
            with seeded(model, seed, i):
                losses.append(model.loss(batch)["loss"].double().cpu())
            totals.examples += len(batch["x"])
            if model.likelihood == "none":
                continue
            mask = batch.get("mask")
            mask = torch.ones_like(batch["x"], dtype=torch.bool) if mask is None else mask
            values = mask.flatten(1).sum(1).cpu()
            with seeded(model, seed, i):
                if width is not None:
                    batch["x"] = batch["x"] + (torch.rand_like(batch["x"]) - 0.5) * width
                log_p, variance = model.log_prob_drawn(batch)
            log_p = log_p.double().cpu()
            totals.drawn += 0.0 if variance is None else float(variance.double().sum())
            log_probs.append(log_p + (values * math.log(width) if width is not None else 0.0))
            counts.append(values)
            totals.log_prob += float(log_probs[-1].sum())
            totals.values += int(values.sum())
    return totals


@contextlib.contextmanager
def seeded(model: Model, *name: int) -> Iterator[None]:
    """Within: torch's generators are seeded by `name`; restored afterwards."""
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed_of("likelihood", *name))
        yield


def entropy(log_p: Tensor) -> float:
    """The nats per example that a perfect model scores, from the exact law's log_prob [N]."""
    return float(-log_p.double().mean())
