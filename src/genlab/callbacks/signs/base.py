"""What signs of failure speak of: what a look shows, what the ledger says so far, a finding.

Read: `Sign`. It measures numbers at a look, which become a row of the ledger, and judges by the
ledger alone: so a resumed run judges as one that never stopped.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from genlab.batch import Batch, Cond
from genlab.models.base import GenerativeModel
from genlab.shown import number

ROWS = 32  # train rows that are remembered
REAL, NUMBERS = 512, 2**24  # held-out examples that are compared with, and numbers in them, at most


@dataclass(frozen=True)
class Finding:
    """A failure that was found."""

    cause: str
    evidence: str  # the numbers that show it
    remedies: tuple[str, ...]  # what to try: each is words of the command line


@dataclass
class Shown:
    """What a look shows: the model with its averaged weights, samples of it, real examples."""

    model: GenerativeModel
    data: Any
    real: Batch  # held-out examples, on the CPU
    samples: Tensor | None = None  # on the CPU; None where none were drawn
    cond: Cond | None = None  # what they were asked for


@dataclass
class Broken:
    """A number that is not finite: in which batch, and what was found so (the loss, a gradient)."""

    trainer: Trainer
    model: GenerativeModel
    what: str
    batch: int
    settings: Mapping[str, Any]


@dataclass
class Past:
    """What the ledger says so far: `rows`, the last train rows, and `looks`, all of them.

    A look has its row's figures, what the signs measured at it, and under "since/loss" and
    "since/error" the mean of the training loss since the look before, and that mean's standard
    error.
    """

    settings: Mapping[str, Any]
    rows: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=ROWS))
    looks: list[dict[str, float]] = field(default_factory=list)
    terms: set[str] = field(default_factory=set)  # what the model records, by name
    over: bool = False  # whether the last of the looks ends the run
    _losses: list[float] = field(default_factory=list)  # of the train rows since the last look

    def add(self, row: Mapping[str, Any]) -> None:
        """One more row of the ledger."""
        kind, values = row.get("kind"), {k: v for k, v in row.items() if number(v) is not None}
        if kind in ("train", "look"):
            sides = (name.partition("/") for name in values)
            self.terms |= {term for side, _, term in sides if side in ("train", "val")}
        if kind == "train":
            self.rows.append(values)
            self._losses += [values["train/loss"]] if "train/loss" in values else []
        elif kind == "look":
            self.looks.append(values | _mean(self._losses))
            self._losses = []
        elif kind == "signs" and self.looks:
            self.looks[-1] |= values

    @property
    def trained(self) -> list[dict[str, float]]:
        """The looks but the baseline, before which nothing was learnt."""
        return [look for look in self.looks if look.get("examples")]

    def lasts(self, bad: Callable[[dict[str, float]], bool]) -> bool:
        """Whether a look is bad and the one before was too, or it is the run's last one."""
        looks = self.trained[-2:]
        return bool(looks) and bad(looks[-1]) and (self.over or (len(looks) == 2 and bad(looks[0])))

    def setting(self, place: str) -> Any:
        return setting(self.settings, place)


def setting(settings: Mapping[str, Any], place: str) -> Any:
    """What stands at a place of the run's settings; None where there is nothing."""
    found: Any = settings
    for part in place.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


class Sign:
    """One failure. `needs`: terms that a model records where it can happen; `never`: where not."""

    needs: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def applies(self, terms: set[str]) -> bool:
        return terms.issuperset(self.needs) and terms.isdisjoint(self.never)

    def measure(self, shown: Shown) -> dict[str, float]:
        """Numbers of a look, by name: they stand as signs/NAME in the ledger."""
        return {}

    def judge(self, past: Past) -> Finding | None:
        """Asked after each train row and after each look, until it has found something."""
        return None

    def broke(self, broken: Broken) -> Finding | None:
        """Asked where a loss or a gradient was not finite, before the run stops or skips it."""
        return None


def held_out(data: Any) -> Batch:
    """Held-out examples at even distances, for signs to compare with."""
    num = min(len(data.val), REAL, max(1, NUMBERS // max(1, math.prod(data.shape or (1,)))))
    return data.val.batch(torch.arange(num) * len(data.val) // num, None)


def labels(cond: Cond | None) -> Tensor | None:
    """Conditions that are classes [N]; None where they are something else."""
    plain = isinstance(cond, Tensor) and cond.dim() == 1 and not cond.is_floating_point()
    return cond.cpu() if plain else None


def _mean(values: list[float]) -> dict[str, float]:
    values = [v for v in values if math.isfinite(v)]
    if not values:
        return {}
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1)
    return {"since/loss": mean, "since/error": math.sqrt(variance / len(values))}
