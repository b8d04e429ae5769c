"""The space of a search: what each knob may be, in Hydra's own syntax of sweeps.

    net.width=range(16,97,16)            whole numbers, the end left out, as in Python
    net.width=int(interval(16,96))           any whole number between, both ends among them
    optim.optimizer.lr=interval(1e-4,1e-2)   any number between
    model=vae,gan   model=choice(vae,gan)    one of these

An interval whose ends are positive and 30 times apart is searched on a logarithmic scale;
tag(linear, interval(...)) and tag(log, interval(...)) say it otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from genlab.runs.say.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

APART = 30.0  # ends of an interval that is then searched on a logarithmic scale


class Knob(Protocol):
    """One setting that is searched. Its values are texts, as they stand on a command line."""

    def at(self, share: float) -> str: ...  # the value at a share of the way, [0, 1)
    def share(self, text: str) -> float: ...  # the way back, about
    def value(self, text: str) -> Any: ...  # for the distribution; ValueError: not in the knob
    def text(self, value: Any) -> str: ...  # the way back
    def distribution(self) -> BaseDistribution: ...


@dataclass(frozen=True)
class Interval:
    """A number from low to high, both included; whole: an integer."""

    low: float
    high: float
    log: bool
    whole: bool

    def at(self, share: float) -> str:
        if self.whole:
            low, high = (math.log(e) if self.log else e for e in (self.low - 0.5, self.high + 0.5))
        else:
            low, high = (math.log(e) if self.log else e for e in (self.low, self.high))
        value = low + share * (high - low)
        value = math.exp(value) if self.log else value
        value = min(self.high, max(self.low, value))
        return self.text(value)

    def text(self, value: float) -> str:
        """Whole, or to a hundred thousandth of the interval's width: what one can read."""
        if self.whole:
            return str(round(value))
        size = max(abs(self.low), abs(self.high)) / (self.high - self.low)
        digits = 5 + max(0, math.ceil(math.log10(size)))
        return repr(min(self.high, max(self.low, float(f"{value:.{digits}g}"))))

    def share(self, text: str) -> float:
        low, high, value = (
            math.log(e) if self.log else e for e in (self.low, self.high, self.value(text))
        )
        return (value - low) / (high - low) if high > low else 0.5

    def value(self, text: str) -> float | int:
        value = int(text) if self.whole else float(text)
        if not self.low <= value <= self.high:
            raise ValueError(text)
        return value

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Steps:
    """Numbers at equal steps, as `range` gives them."""

    texts: tuple[str, ...]

    def at(self, share: float) -> str:
        return self.texts[min(int(share * len(self.texts)), len(self.texts) - 1)]

    def share(self, text: str) -> float:
        return (self.texts.index(text) + 0.5) / len(self.texts)

    def value(self, text: str) -> int:
        return self.texts.index(text)

    def text(self, value: int) -> str:
        return self.texts[value]

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import IntDistribution

        return IntDistribution(0, len(self.texts) - 1)


@dataclass(frozen=True)
class Choice(Steps):
    """One of some words, without an order."""

    def value(self, text: str) -> str:
        return self.texts[self.texts.index(text)]

    def text(self, value: str) -> str:
        return value

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.texts)


Space = dict[str, Knob]


def read_space(words: Sequence[str]) -> tuple[list[str], Space]:
    """The words that are the same in all cells, and the knobs, by key as it is typed (`+a.b`)."""
    from genlab.runs.settings.mistakes import read

    fixed, space = [], {}
    for word in words:
        override = read(word)
        if not override.is_sweep_override():
            fixed.append(word)
            continue
        space[override.get_key_element()] = knob(word, override)
    return fixed, space


def knob(word: str, override: Any) -> Knob:
    """What a sweep's word says of its key."""
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep

    sweep = override.value()
    if override.is_interval_sweep():
        assert isinstance(sweep, IntervalSweep)
        return _interval(word, sweep)
    texts = tuple(override.sweep_string_iterator())
    if isinstance(sweep, RangeSweep) and len(texts) > 1 and not sweep.shuffle:
        return Steps(texts)
    return Choice(texts)


def _interval(word: str, sweep: Any) -> Interval:
    low, high, tags = sweep.start, sweep.end, set(sweep.tags)
    if odd := tags - {"log", "linear"}:
        raise UserError(f"{word}: tag {', '.join(sorted(odd))}: allowed are log and linear")
    whole = isinstance(low, int) and isinstance(high, int)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"{word}: the first end must be below the second")
    if "log" in tags and low <= 0:
        raise UserError(f"{word}: on a logarithmic scale both ends are above 0")
    log = "log" in tags or ("linear" not in tags and low > 0 and high / low >= APART)
    return Interval(low if whole else float(low), high if whole else float(high), log, whole)
