"""What a sweep says of its knobs: importance, the Pareto front, and means over seeds.

Importance is how much of a figure's variance a random forest no longer foretells, in runs that it
was not fitted to, once one knob's values are shuffled among them. It says what the forest uses in
these runs, and no more: `foretold` is the share that it foretells at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.metrics.seeds import t_interval
from genlab.runs.compare import LOSSES
from genlab.runs.live.index import way_of
from genlab.runs.live.summary import Summary
from genlab.runs.page.sweep import differences
from genlab.runs.say.errors import UserError
from genlab.runs.sweeps.cells import SEED, Cell, seeds_together
from genlab.runs.sweeps.goals import UNLIKE, Goal, front

LEAST = 10  # runs of which importance says anything
SHUFFLES, TREES = 10, 100


def sweep(runs: Sequence[Summary], goal: str, second: str) -> dict[str, Any]:
    """What the page of a sweep shows; `goal` and `second` are figures, "" takes what fits."""
    settings = [run.settings for run in runs]
    knobs, shared = differences([[f"{k}={v}" for k, v in s.items()] for s in settings])
    done = [run for run in runs if run.state == "finished"]
    names = shared_figures(done or runs)
    goal = goal if goal in names else next((n for n in names if way_of(n)), "")
    second = second if second in names and second != goal else ""
    data = {
        "knobs": knobs, "shared": shared, "names": names, "goal": goal, "second": second,
        "refused": refused(goal, knobs), "ways": {n: way_of(n) for n in names},
        "cells": [
            {"key": r.key, "state": r.state, "values": [r.settings.get(k) for k in knobs],
             "goal": value(r, goal), "second": value(r, second)}
            for r in runs
        ],
        "seeds": over_seeds(done, knobs, names), "front": [],
    }  # fmt: skip
    pair = [n for n in (goal, second) if n]
    if len(pair) == 2 and all(way_of(n) for n in pair) and not data["refused"]:
        data["front"] = on_the_front(done, pair)
    return data


def value(run: Summary, name: str) -> float | None:
    """A figure of the evaluation, or the last of the ledger's."""
    found = run.figures.get(name)
    return found[0] if found else run.last.get(name)


def shared_figures(runs: Sequence[Summary]) -> list[str]:
    """The figures that runs have: what one asks for first, then the others."""
    heads = [n for r in runs for n in r.small.get("headlines", ())]
    losses = [n for n in LOSSES if any(value(r, n) is not None for r in runs)]
    others = [n for r in runs for n in (*r.figures, *r.last)]
    return list(dict.fromkeys([*heads, *losses, *others]))[:60]


def refused(goal: str, knobs: Sequence[str]) -> str:
    """Why a figure has no best among these runs; empty where it has."""
    unlike = [k for k in knobs if k.lstrip("+") in UNLIKE]
    if goal in LOSSES and unlike:
        return f"losses of another {unlike[0]} do not compare: choose a figure that does"
    return ""


def on_the_front(runs: Sequence[Summary], names: Sequence[str]) -> list[str]:
    """Keys of the runs that no other one beats in both figures, in order of the first."""
    cells = [
        Cell(Path(f"{i}_"), state="finished", figures=found)
        for i, run in enumerate(runs)
        if (found := {n: v for n in names if (v := value(run, n)) is not None})
    ]
    return [runs[cell.number].key for cell in front(cells, [Goal(n, way_of(n)) for n in names])]


def over_seeds(
    runs: Sequence[Summary], knobs: Sequence[str], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Runs that differ in their seed alone: mean, interval and values of the first figures."""
    rows = []
    for group in seeds_together([run.settings for run in runs]):
        means = {}
        for name in names[:6]:
            values = [v for i in group if (v := value(runs[i], name)) is not None]
            if len(values) > 1:
                mean, ends = t_interval(values, name)
                means[name] = [mean, *(e if math.isfinite(e) else None for e in ends)]
        own = {k: runs[group[0]].settings.get(k) for k in knobs if k != SEED}
        rows.append({"keys": [runs[i].key for i in group], "settings": own, "means": means})
    return rows


def importance(runs: Sequence[Summary], goal: str) -> dict[str, Any]:
    """{"shares": [(knob, share, its spread)], "foretold": R², "num": runs}, or {"why": ...}."""
    knobs, _ = differences([[f"{k}={v}" for k, v in run.settings.items()] for run in runs])
    runs = [run for run in runs if run.state == "finished"]
    if why := refused(goal, knobs):
        return {"why": why}
    known = [(run, v) for run in runs if (v := value(run, goal)) is not None]
    if len(known) < LEAST or not knobs:
        return {"why": f"{len(known)} finished runs with {goal}; it takes {LEAST}"}
    try:
        return _importance([r.settings for r, _ in known], [v for _, v in known], knobs)
    except ImportError as error:
        raise UserError(f"importance needs scikit-learn: {error}") from None


def _importance(
    settings: Sequence[dict[str, str]], values: Sequence[float], knobs: Sequence[str]
) -> dict[str, Any]:
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    x = np.array([coded([s.get(k) for s in settings]) for k in knobs]).T  # [runs, knobs]
    y = np.array(values)
    variance, rng = y.var(), np.random.default_rng(0)
    if variance == 0:
        return {"why": "all runs have the same value"}
    missed, lost = np.zeros(len(y)), np.zeros((SHUFFLES, len(knobs), len(y)))
    for fitted, held in KFold(5, shuffle=True, random_state=0).split(x):
        forest = RandomForestRegressor(TREES, random_state=0, n_jobs=1).fit(x[fitted], y[fitted])
        missed[held] = (forest.predict(x[held]) - y[held]) ** 2
        shuffled = np.tile(x[held], (SHUFFLES, len(knobs), 1, 1))  # [shuffles, knobs, held, knobs]
        for turn in range(SHUFFLES):
            for i in range(len(knobs)):
                shuffled[turn, i, :, i] = rng.permutation(shuffled[turn, i, :, i])
        said = forest.predict(shuffled.reshape(-1, len(knobs))).reshape(shuffled.shape[:3])
        lost[:, :, held] = (said - y[held]) ** 2
    shares = (lost.mean(2) - missed.mean()) / variance  # [shuffles, knobs]
    found = [
        (k, float(shares[:, i].mean()), float(shares[:, i].std())) for i, k in enumerate(knobs)
    ]
    found.sort(key=lambda f: -f[1])
    return {"shares": found, "foretold": float(1 - missed.mean() / variance), "num": len(y)}


def coded(texts: Sequence[str | None]) -> list[float]:
    """A knob's values as numbers: as they are, or by their place among the sorted texts."""
    try:
        return [float(t) for t in texts]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        order = sorted({str(t) for t in texts})
        return [float(order.index(str(t))) for t in texts]
