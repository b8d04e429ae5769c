"""What an evaluation is given and what it gives back; choosing real examples.

Every metric is one object with one call, the same for every family of model:
`metric(model, data, num=1000, seed=0) -> Report`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from genlab.batch import Batch, Cond, each
from genlab.rng import generator


@dataclass
class Report:
    """Numbers for the samples, and the same numbers for real data that the model did not make.

    `floor[name]` is what `metrics[name]` would be for a perfect model; names that have no such
    number are absent. `interval[name]` is where the number lies with 95 % confidence, as far as the
    draw of the samples and of the held-out examples goes; `floor_interval[name]` that of a floor
    that is drawn (a floor without one is exact). `remarks[name]` are a few words that belong beside
    the number wherever it is shown ("given class"). `notes` is plain data that qualifies the
    numbers (what was compared, how many, which feature network). `pictures` holds tensors for
    `data.decode`: "samples" [n, *shape], "samples_cond" what each was asked for, "samples_known"
    how each began, and "neighbour_samples" [n, *shape] with "neighbours" [n, *shape], the training
    example nearest to each, the most suspicious pairs first. `classes` are rows of a table, plain
    data each (by_class.py), `noise_levels` the loss at each (noise_levels.py).
    """

    metrics: dict[str, float] = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)
    interval: dict[str, tuple[float, float]] = field(default_factory=dict)
    floor_interval: dict[str, tuple[float, float]] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str | int | float] = field(default_factory=dict)
    pictures: dict[str, Cond] = field(default_factory=dict)
    classes: list[dict[str, Any]] = field(default_factory=list)
    noise_levels: list[dict[str, Any]] = field(default_factory=list)


class Model(Protocol):
    """The part of `GenerativeModel` that an evaluation uses."""

    likelihood: str
    device: torch.device
    conditions: Any  # .some: whether the model can be asked for anything

    def loss(self, batch: Batch) -> dict[str, Tensor]: ...
    def log_prob(self, batch: Batch) -> Tensor: ...
    def log_prob_drawn(self, batch: Batch) -> tuple[Tensor, Tensor | None]: ...
    def sample(
        self, num: int, cond: Tensor | None = None, given=None, *, seed: int = 0, first: int = 0
    ) -> Tensor: ...
    def drawing(self) -> AbstractContextManager: ...


class Examples(Protocol):
    """A split of the data, in memory or on disk."""

    def __len__(self) -> int: ...
    def batch(self, indices: Tensor, generator: torch.Generator | None) -> Batch: ...


class Data(Protocol):
    """The part of `DataModule` that an evaluation uses."""

    kind: str
    shape: tuple[int, ...]
    num_classes: int | None
    vocab: int | None
    levels: int | None
    train: Examples
    val: Examples

    def split(self, name: str) -> Examples: ...
    def splits(self) -> dict[str, Examples]: ...
    def decode(self, x: Tensor) -> list: ...
    def coordinates(self, x: Tensor) -> Tensor: ...
    def fingerprint(self) -> str: ...
    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]: ...


def subset(length: int, num: int) -> Tensor:
    """`num` of the indices 0 .. length-1 in order, always the same; all where num >= length.

    Random, for even steps through a set that cycles through its classes would meet one of them.
    """
    if num >= length:
        return torch.arange(length)
    return torch.randperm(length, generator=generator("subset", length))[:num].sort().values


def gather(examples: Examples, indices: Tensor, *, chunk: int = 2048) -> Batch:
    """These examples as one batch [N, ...]; of its entries, those that every part has."""
    parts = [examples.batch(ids, None) for ids in indices.split(chunk)]
    names = [k for k in parts[0] if all(k in p for p in parts)]
    return {k: each(lambda *rows: torch.cat(rows), *(p[k] for p in parts)) for k in names}


def proportional_labels(labels: Tensor, num: int) -> Tensor:
    """`num` labels in the proportions of `labels` (largest remainder), evenly interleaved [num].

    Any prefix is close to proportional too, so fewer samples do not change what is compared.
    """
    counts = labels.long().bincount().double()
    ideal = counts / counts.sum() * num
    quota = ideal.floor()
    left = num - int(quota.sum())
    quota[(quota - ideal).argsort(stable=True)[:left]] += 1
    places = torch.cat([(torch.arange(int(q)) + 0.5) / q for q in quota if q > 0])
    classes = torch.arange(len(counts)).repeat_interleave(quota.long())
    return classes[places.argsort(stable=True)]


def in_turn(labels: Tensor) -> Tensor:
    """Indices [N] that take the classes in turn: the first of each, then the second of each, ...

    For looking at: in a grid as wide as there are classes every column is one class, in order.
    """
    labels = labels.long()
    by_class, counts = labels.argsort(stable=True), labels.bincount()
    turn = torch.empty_like(labels)  # which one of its class each is, from 0 on
    turn[by_class] = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[by_class]]
    return (turn * len(counts) + labels).argsort(stable=True)


def same_labels(available: Tensor, wanted: Tensor, draws: torch.Generator) -> Tensor:
    """Indices of random examples, in random order, with each label as often as `wanted` has it."""
    chosen = []
    for c, count in enumerate(wanted.long().bincount().tolist()):
        at = (available == c).nonzero()[:, 0]
        chosen.append(at[torch.randperm(len(at), generator=draws)[:count]])
    ids = torch.cat(chosen)
    return ids[torch.randperm(len(ids), generator=draws)]
