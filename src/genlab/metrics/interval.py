"""How far a number would move with another draw: 95 % intervals.

A share has Wilson's interval, a mean that of the normal law, a median the bootstrap's. A statistic
of two whole sets (a distance) has the delete-a-group jackknife's: both sets are dealt into groups,
and the statistic is computed anew without each group. What is measured are the samples and the
held-out examples as draws; another training run is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.metrics.seeds import STUDENT
from genlab.rng import generator

GROUPS = 20
Z = 1.959964  # 97.5 % of the normal law
Interval = tuple[float, float]


def share_interval(hits: int, num: int) -> Interval:
    """Of a share of hits among num independent cases (Wilson 1927)."""
    p, z2 = hits / num, Z**2
    centre = (p + z2 / (2 * num)) / (1 + z2 / num)
    half = Z / (1 + z2 / num) * (p * (1 - p) / num + z2 / (4 * num**2)) ** 0.5
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def mean_interval(values: Tensor) -> Interval:
    """Of the mean of independent values [N], N > 1."""
    mean, error = values.double().mean(), values.double().std() / len(values) ** 0.5
    return float(mean - Z * error), float(mean + Z * error)


def bootstrap_interval(
    statistic: Callable[[Tensor], Tensor], values: Tensor, *, repeats: int = 400
) -> Interval:
    """Of a statistic of independent values [N, ...]: percentiles over resamples (Efron 1979)."""
    draws, n = generator("bootstrap", len(values)), len(values)
    found = torch.stack(
        [statistic(values[torch.randint(n, (n,), generator=draws)]) for _ in range(repeats)]
    ).double()
    low, high = found.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def groups_of(num: int, labels: Tensor | None = None, *, most: int = GROUPS) -> Tensor:
    """A group for each of num examples [num], at random and of one size.

    With labels each group has the classes in proportion: where the classes of a set are fixed and
    not drawn, leaving out a group must not change their shares.
    """
    shuffled = torch.randperm(num, generator=generator("groups", num))
    if labels is not None:
        shuffled = shuffled[labels[shuffled].argsort(stable=True)]
    group = torch.empty(num, dtype=torch.long)
    group[shuffled] = torch.arange(num) % most
    return group


def num_groups(*sizes: int) -> int:
    """How many groups sets of these sizes are dealt into; 0: too few examples for an interval."""
    most = min(GROUPS, min(sizes) // 4)
    return most if most >= 2 else 0


def jackknife_interval(value: float, without: list[float]) -> Interval:
    """Of a statistic, from its values without each of the groups (Shao & Tu 1995, section 2.3)."""
    left = torch.tensor(without, dtype=torch.float64)
    error = float(left.std(correction=0) * (len(left) - 1) ** 0.5)
    half = STUDENT[len(left) - 2] * error
    return value - half, value + half


def jackknife_corrected(value: float, without: list[float]) -> float:
    """The statistic for endless sets, where its bias falls as 1 / N (Quenouille 1956)."""
    g = len(without)
    return g * value - (g - 1) * sum(without) / g


def jackknife(
    measure: Callable[[Tensor], dict[str, float]], num: int, value: dict[str, float]
) -> dict[str, Interval]:
    """Intervals of the numbers that `measure(indices)` gives of a part of num examples."""
    most = num_groups(num)
    if not most:
        return {}
    group = groups_of(num, most=most)
    parts = [measure((group != g).nonzero()[:, 0]) for g in range(most)]
    return {
        name: jackknife_interval(v, [p[name] for p in parts])
        for name, v in value.items()
        if all(name in p for p in parts)
    }
