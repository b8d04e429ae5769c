"""Which noise levels a sampler visits: short functions (path, num_steps) -> levels.

Read: each gives float64 levels [num_steps + 1], decreasing, the last 0. A path's `at(u)` is the
level at the share u of its own training time (1 the noisiest), `at_ratio(r)` the level at which
sigma / alpha is r. `sampler.schedule` names one of SCHEDULES, or is a list of ratios sigma / alpha,
the noisiest first, to which 0 is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor

Schedule = str | Sequence[float] | Callable[["Path", int], Tensor]


class Path(Protocol):
    """What a schedule needs to know of an objective."""

    @property
    def num_levels(self) -> int | None: ...
    def times(self, num_steps: int) -> Tensor: ...
    def at(self, share: Tensor) -> Tensor: ...
    def at_ratio(self, ratio: Tensor) -> Tensor: ...
    def alpha_sigma(self, t: float) -> tuple[Any, Any]: ...


def own(path: Path, num_steps: int) -> Tensor:
    """The path's: EDM's eq. 5, even times of a flow, a DDPM's levels nearest to EDM's."""
    return path.times(num_steps)


def karras(path: Path, num_steps: int, *, high: float = 80.0, low: float = 0.002) -> Tensor:
    """Ratios whose 7th roots are even, within the path's own (Karras et al. 2022, eq. 5)."""
    ends = _ratios(path, path.times(max(2, num_steps))[[0, -2]])
    high, low = min(high, ends[0]), max(low, ends[1]) if path.num_levels else low
    ramp = torch.linspace(0, 1, num_steps, dtype=torch.float64)
    ratio = (high ** (1 / 7) + ramp * (low ** (1 / 7) - high ** (1 / 7))) ** 7
    return _to_0(path.at_ratio(ratio))


def linear(path: Path, num_steps: int) -> Tensor:
    """Even in the path's own time, both its ends among them (of a DDPM "linspace")."""
    return _to_0(path.at(torch.linspace(1, 0, num_steps + ends_at_0(path), dtype=torch.float64)))


def cosine(path: Path, num_steps: int) -> Tensor:
    """The path's time falls as (1 + cos(pi i / n)) / 2: small steps at both of its ends."""
    ramp = torch.linspace(0, math.pi, num_steps + ends_at_0(path), dtype=torch.float64)
    return _to_0(path.at((1 + ramp.cos()) / 2))


def trailing(path: Path, num_steps: int) -> Tensor:
    """Of T levels T, T - T/n, ...: the noisiest is among them (Lin et al. 2024, table 2)."""
    num = _levels(path, "trailing")
    index = (torch.arange(num_steps, 0, -1, dtype=torch.float64) * num / num_steps).round() - 1
    return _to_0(path.at(index / (num - 1)))


def leading(path: Path, num_steps: int) -> Tensor:
    """Of T levels 0, T // n, 2 (T // n), ... (Ho 2020, Song 2020): the noisiest is not seen."""
    num = _levels(path, "leading")
    index = torch.arange(num_steps - 1, -1, -1, dtype=torch.float64) * (num // num_steps)
    return _to_0(path.at(index / (num - 1)))


def few(path: Path, num_steps: int, *, high: float = 80.0, low: float = 0.008) -> Tensor:
    """For one step or a few: the path's first level, then ratios even in ln from 80 to 0.008.

    The last is not visited: of two steps the second is at 0.8 (Geng et al. 2024, arXiv 2406.14548,
    table 1: 0.82), of four 8, 0.8 and 0.08.
    """
    first = path.times(num_steps)[:1]
    share = torch.arange(1, num_steps, dtype=torch.float64) / num_steps
    return _to_0(torch.cat([first, path.at_ratio(high * (low / high) ** share).to(first)]))


SCHEDULES: dict[str, Callable[[Path, int], Tensor]] = {
    f.__name__: f for f in (own, karras, linear, cosine, trailing, leading, few)
}


def check(schedule: Schedule) -> int | None:
    """How many steps a list has. ValueError of an unknown name, or of ratios out of order."""
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise ValueError(
                f"sampler.schedule={schedule!r}: allowed are {', '.join(SCHEDULES)}, or a list of"
                " ratios sigma / alpha, as [80,10,1,0.1]"
            )
    elif not callable(schedule):
        ratios = [float(r) for r in schedule]
        falls = all(a > b for a, b in pairwise([*ratios, 0.0]))
        if not ratios or not falls or not all(map(math.isfinite, ratios)):
            raise ValueError(
                f"sampler.schedule={list(schedule)}: ratios sigma / alpha from the noisiest down,"
                " each below the one before and above 0 (0 is added)"
            )
        return len(ratios)
    return None


def levels(schedule: Schedule, path: Path, num_steps: int) -> Tensor:
    """The levels [steps + 1] that a sampler visits; a list has steps of its own number."""
    if isinstance(schedule, str):
        return SCHEDULES[schedule](path, num_steps)
    if callable(schedule):
        return schedule(path, num_steps)
    return _to_0(path.at_ratio(torch.tensor([float(r) for r in schedule], dtype=torch.float64)))


def _to_0(t: Tensor) -> Tensor:
    """0 added where it is not the last already; ValueError where a level comes twice."""
    t = t if t[-1] == 0 else torch.cat([t, t.new_zeros(1)])
    if not (t.diff() < 0).all():
        raise ValueError(
            f"sampler.num_steps={len(t) - 1}: the schedule comes to a level more than once; take"
            " fewer steps, or another sampler.schedule"
        )
    return t


def ends_at_0(path: Path) -> int:
    """1 where the path's time ends at 0 itself, which is then one of the levels."""
    return int(float(path.at(torch.zeros(1, dtype=torch.float64))) == 0)


def _ratios(path: Path, times: Tensor) -> list[float]:
    pairs = (path.alpha_sigma(float(t)) for t in times)
    return [sigma / alpha if alpha > 0 else math.inf for alpha, sigma in pairs]


def _levels(path: Path, name: str) -> int:
    if path.num_levels is None:
        raise ValueError(
            f"sampler.schedule={name}: this objective has no numbered levels; write linear"
        )
    return path.num_levels
