"""Means over seeds: an interval by Student's t, of a share within [0, 1]."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import ROOT

from genlab.metrics import music, rolls
from genlab.metrics.figures import SHARES, limits, measured
from genlab.metrics.seeds import t_interval


@pytest.mark.parametrize(
    ("name", "values", "ends"),
    [
        ("precision", [0.9, 1.0], (0.95 - 12.706 * 0.05, 1.0)),
        ("near_copies", [0.0, 0.1], (0.0, 0.05 + 12.706 * 0.05)),
        ("right_two_seen", [0.0, 1.0], (0.0, 1.0)),
        ("frechet_distance", [0.0, 0.1], (0.05 - 12.706 * 0.05, 0.05 + 12.706 * 0.05)),
        ("", [0.9, 1.0], (0.95 - 12.706 * 0.05, 0.95 + 12.706 * 0.05)),
    ],
)
def test_the_interval_of_a_share_does_not_leave_it(name, values, ends) -> None:
    assert t_interval(values, name)[1] == pytest.approx(ends)


def test_of_one_run_it_is_all_that_may_be() -> None:
    assert t_interval([0.5], "recall") == (0.5, (0.0, 1.0))
    assert t_interval([0.5], "loss") == (0.5, (-math.inf, math.inf))


def test_cut_it_holds_the_mean_as_often_as_before() -> None:
    draws = np.random.default_rng(0).beta(9, 1, (2000, 3))
    plain, cut = ([t_interval(list(row), name)[1] for row in draws] for name in ("", "recall"))
    hold = [[low <= 0.9 <= high for low, high in ends] for ends in (plain, cut)]
    assert hold[0] == hold[1] and max(high for _, high in plain) > 1.5
    assert all(0 <= low <= high <= 1 for low, high in cut)


def test_an_evaluations_own_interval_is_cut_too() -> None:
    found = {"copied_share": [-0.02, 0.1], "energy_distance": [-0.02, 0.1]}
    read = measured({"metrics": dict.fromkeys(found, 0.04), "interval": found})
    assert [m.interval for m in read] == [(0.0, 0.1), (-0.02, 0.1)]


def test_what_is_called_a_share_is_a_figure_that_is_measured() -> None:
    files = (ROOT / "src/genlab/metrics").glob("*.py")
    text = "".join(p.read_text() for p in files if p.name != "figures.py")
    # rolls.py and music.py write distances by their part
    parts = {*music.WIDTHS, *rolls.NAMES}
    told = {f"{part}_distance" for part in parts}
    unknown = [n for n in SHARES if f'"{n}"' not in text and n not in told]
    assert unknown == []
    assert all(limits(n) == (-math.inf, math.inf) for n in ("modes_covered", "classes_drawn"))
