"""Is one of two really better? A t-test that stays valid however often one looks and goes on.

A usual t-test promises 5 % false alarms only for a number of seeds that was fixed before. Here the
evidence is an e-value, a Bayes factor of effects ~ N(0, 1/PRIOR) standard deviations against none,
under the right Haar prior of the scale: whatever the scale, and whenever one stops, it reaches 20
by chance at most once in 20 times (Ville's inequality; Gonen et al. 2005 for the formula, Wang and
Ramdas 2025, "Anytime-valid t-tests and confidence sequences", for what it is valid for).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.05
PRIOR = (
    0.1  # precision of the effects expected, in standard deviations: many seeds differ by 1 to 5
)
MOST = 1000  # seeds that are foretold


@dataclass(frozen=True)
class Comparison:
    """B less A. `num`: pairs, or seeds of A and of B; `more`: seeds that would tell, if any would.

    p is valid at any time; the interval is a confidence sequence of the same evidence.
    """

    difference: float
    interval: tuple[float, float]
    p: float
    paired: bool
    num: tuple[int, int]
    more: int | None

    @property
    def tells(self) -> bool:
        return self.p <= LEVEL


def compare(a: Mapping[int, float], b: Mapping[int, float]) -> Comparison:
    """Figures by seed. Seeds that both have are paired, where they are at least two."""
    if len(both := sorted(a.keys() & b.keys())) >= 2:
        return paired([b[s] - a[s] for s in both])
    return unpaired(list(a.values()), list(b.values()))


def paired(differences: Sequence[float]) -> Comparison:
    """Of differences of pairs, at least one."""
    n = len(differences)
    mean = sum(differences) / n
    spread = math.sqrt(sum((x - mean) ** 2 for x in differences) / (n - 1)) if n > 1 else math.inf
    return _compared(mean, spread, lambda k: (n + k, n + k - 1), (n, n), paired=True)


def unpaired(a: Sequence[float], b: Sequence[float]) -> Comparison:
    """Of two groups of independent values, of one spread."""
    n, m = len(a), len(b)
    means = [sum(x) / len(x) for x in (a, b)]
    rest = sum((v - mean) ** 2 for x, mean in zip((a, b), means) for v in x)
    spread = math.sqrt(rest / (n + m - 2)) if n + m > 2 else math.inf

    def size(k: int) -> tuple[float, int]:  # k more seeds of each
        return (n + k) * (m + k) / (n + m + 2 * k), n + m + 2 * k - 2

    return _compared(means[1] - means[0], spread, size, (n, m), paired=False)


def _compared(mean: float, spread: float, size, num: tuple[int, int], *, paired: bool):
    n, freedom = size(0)
    if not freedom or math.isinf(spread):
        return Comparison(mean, (-math.inf, math.inf), 1.0, paired, num, None)
    more = next((k for k in range(MOST) if evidence(mean, spread, *size(k)) >= 1 / LEVEL), None)
    half = bound(*size(0)) * spread / math.sqrt(n)
    p = min(1.0, 1 / evidence(mean, spread, n, freedom))
    return Comparison(mean, (mean - half, mean + half), p, paired, num, more)


def evidence(mean: float, spread: float, n: float, freedom: int) -> float:
    """The e-value of a mean with standard deviation `spread` of n values."""
    if not spread:
        return math.inf if mean else 1.0
    u = n * (mean / spread) ** 2 / freedom
    k = PRIOR / (n + PRIOR)
    log = 0.5 * math.log(k) + (freedom + 1) / 2 * (math.log1p(u) - math.log1p(k * u))
    return math.exp(min(log, 700.0))


def bound(n: float, freedom: int) -> float:
    """|t| at which the evidence is 1 / LEVEL; inf where so few values never reach it."""
    k = PRIOR / (n + PRIOR)
    ratio = (1 / (LEVEL * math.sqrt(k))) ** (2 / (freedom + 1))
    return math.sqrt(freedom * (ratio - 1) / (1 - k * ratio)) if k * ratio < 1 else math.inf
