"""How many trials a search takes to a planted optimum: a known response of three knobs, with noise.

    python scripts/bench/search.py [--repeats 20]

The response is 1 at the best point and grows as a bowl in lr (logarithmic), width and dropout; what
a search is told of a trial has normal noise of 0.01. Counted are the trials until the point that
looks best so far is truly within 5 % of the optimum; medians over repeats with other seeds, and the
ratio to random search with its 95 % interval (bootstrap over repeats).
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path

import numpy as np

from genlab.runs.sweeps.blind import Random, Sobol
from genlab.runs.sweeps.cells import Cell
from genlab.runs.sweeps.cma import CMA
from genlab.runs.sweeps.goals import read_goals
from genlab.runs.sweeps.search import Search
from genlab.runs.sweeps.space import read_space
from genlab.runs.sweeps.tpe import TPE

KNOBS = ["lr=interval(1e-5,1e-1)", "width=range(16,257,8)", "dropout=interval(0.0,0.8)"]
MOST, NOISE, WITHIN = 300, 0.01, 1.05


def response(point: dict[str, str]) -> float:
    lr, width, dropout = float(point["lr"]), int(point["width"]), float(point["dropout"])
    return 1 + 0.3 * (
        (math.log10(lr) + 2.7) ** 2 + ((width - 176) / 60) ** 2 + ((dropout - 0.15) / 0.2) ** 2
    )


def trials(search: Search, noise: np.random.Generator) -> int:
    """Trials until the best one seen is truly within 5 % of the optimum; MOST where none is."""
    _, space = read_space(KNOBS)
    goals, cells = read_goals("val/loss", ()), []
    for number in range(MOST):
        point = search.ask(space, goals, cells, number)
        seen = response(point) + NOISE * float(noise.normal())
        words = [f"{k}={v}" for k, v in point.items()]
        cells.append(Cell(Path(str(number)), words, "finished", figures={"val/loss": seen}))
        best = min(cells, key=lambda cell: cell.figures["val/loss"])
        if response(best.asked) <= WITHIN:
            return number + 1
    return MOST


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    found = {
        name: [trials(make(s), np.random.default_rng(1000 + s)) for s in range(repeats)]
        for name, make in {
            "random": lambda s: Random(seed=s),
            "sobol": lambda s: Sobol(seed=s),
            "tpe": lambda s: TPE(seed=s),
            "cma": lambda s: CMA(seed=s),
        }.items()
    }
    draws = np.random.default_rng(0)
    print("| search | trials, median | lowest and highest | over random, medians (95 %) |")
    print("|---|---|---|---|")
    for name, counts in found.items():
        ratios = []
        for _ in range(2000):
            mine, theirs = (draws.choice(c, repeats) for c in (counts, found["random"]))
            ratios.append(float(np.median(mine) / np.median(theirs)))
        low, high = np.quantile(ratios, [0.025, 0.975])
        ratio = statistics.median(counts) / statistics.median(found["random"])
        ends = f"{min(counts)} to {max(counts)}"
        between = f"{ratio:.2f} ({low:.2f} to {high:.2f})" if name != "random" else "1"
        print(f"| {name} | {statistics.median(counts):g} | {ends} | {between} |")


if __name__ == "__main__":
    main()
