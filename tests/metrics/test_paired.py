"""The comparison of two by seeds: valid at any time, sharper in pairs, honest about few seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genlab.metrics.paired import LEVEL, PRIOR, bound, compare, evidence, paired, unpaired


def integrated(x: np.ndarray) -> float:
    """The Bayes factor by numerical integration over effect and scale (right Haar prior 1/s)."""
    n = len(x)
    s = np.exp(np.linspace(-8, 8, 4001))
    d = np.linspace(-60, 60, 6001)
    prior = np.sqrt(PRIOR / (2 * np.pi)) * np.exp(-PRIOR * d**2 / 2)
    squares, total = float((x**2).sum()), float(x.sum())

    def like(scale: np.ndarray, effect: np.ndarray) -> np.ndarray:  # of x / scale - effect
        e = squares / scale**2 - 2 * effect * total / scale + n * effect**2
        return np.exp(-e / 2) / scale**n

    null = np.trapezoid(like(s, np.zeros(1)), np.log(s))
    other = np.trapezoid(
        [np.trapezoid(like(np.full_like(d, v), d) * prior, d) for v in s[::10]], np.log(s[::10])
    )
    return float(other / null)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_the_evidence_is_the_bayes_factor_that_it_is_said_to_be(n: int) -> None:
    x = np.random.default_rng(n).normal(0.8, 1.0, n)
    mine = evidence(float(x.mean()), float(x.std(ddof=1)), n, n - 1)
    assert mine == pytest.approx(integrated(x), rel=0.01)


def test_whoever_looks_after_each_seed_sees_a_false_win_at_most_once_in_twenty() -> None:
    draws = np.random.default_rng(0)
    pairs, false = 2000, 0
    for _ in range(pairs):
        a, b = draws.normal(5, 2, (2, 20))
        seen = range(2, 21)
        false += any(compare(dict(enumerate(a[:n])), dict(enumerate(b[:n]))).tells for n in seen)
    assert false / pairs <= LEVEL


def test_the_interval_holds_the_truth_at_all_times_and_is_the_tests_own() -> None:
    draws, missed = np.random.default_rng(1), 0
    for _ in range(500):
        x = draws.normal(1.5, 1.0, 25)
        missed += any(not (r := paired(list(x[:n]))).interval[0] <= 1.5 <= r.interval[1]
                      for n in range(2, 26))  # fmt: skip
    assert missed / 500 <= LEVEL
    for n in (3, 5, 12):  # shifted so that 0 lies at an end: the evidence is 1 / LEVEL there
        x = draws.normal(0, 1, n)
        low, _ = paired(list(x)).interval
        assert paired(list(x - low)).p == pytest.approx(LEVEL)
        y, z = list(draws.normal(0, 1, n)), list(draws.normal(0, 1, n + 2))
        _, high = unpaired(y, z).interval
        assert unpaired(y, [v - high for v in z]).p == pytest.approx(LEVEL)


def test_pairs_need_fewer_seeds_than_groups() -> None:
    """Seeds that move both alike: a gain of 1 % of the mean, a spread of 3 % over seeds."""
    draws, needed = np.random.default_rng(2), {True: [], False: []}
    for _ in range(40):
        seeds = draws.normal(1.0, 0.03, 400)
        a = seeds + draws.normal(0, 0.003, 400)
        b = seeds * 0.99 + draws.normal(0, 0.003, 400)
        needed_now = {True: 0, False: 0}
        for n in range(2, 400):
            if not needed_now[True] and paired(list(b[:n] - a[:n])).tells:
                needed_now[True] = n
            if not needed_now[False] and unpaired(list(a[:n]), list(b[:n])).tells:
                needed_now[False] = n
        for in_pairs, n in needed_now.items():
            needed[in_pairs].append(n or 400)
    assert np.median(needed[True]) <= 8 < 100 < np.median(needed[False])


def test_what_few_seeds_can_tell() -> None:
    alone = compare({1: 2.0}, {1: 1.0})
    assert alone.p == 1 and alone.interval == (-math.inf, math.inf) and alone.more is None
    two = compare({1: 2.0, 2: 2.1}, {1: 1.0, 2: 1.2})
    assert two.paired and two.num == (2, 2) and not two.tells and two.more
    assert not compare({1: 2.0, 2: 2.1}, {3: 1.0, 4: 1.2}).paired
    same = compare({1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.0})
    assert same.p == 1 and same.difference == 0
    assert bound(2, 1) == math.inf and 10 < bound(3, 2) < 20


def test_how_many_more_seeds_it_foretells() -> None:
    found = paired([1.0, -0.2, 0.9, 0.4])
    assert found.more and not found.tells
    longer = [1.0, -0.2, 0.9, 0.4] * 10  # seeds like these
    n = next(n for n in range(4, 41) if paired(longer[:n]).tells)
    assert abs(4 + found.more - n) <= 4
