"""Does `genlab compare` cry wolf, and how many seeds does a small gain take? On real runs.

    python scripts/bench/compare_power.py [--pool 60] [--seeds 20]

A pool of runs of one recipe that differ in their seed; B is the same recipe, a little better (its
net is wider). False wins: of 200 pairs of groups drawn from the pool, those where after some number
of seeds, from 2 to 10, one group is told to be better. The gain: of orders of the seeds that both
have, how many until it is told, in pairs and as two groups.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from genlab.metrics.paired import compare, unpaired
from genlab.runs.sweeps.cells import read_cells

RECIPE = [
    "data=grid", "model=flow_matching", "net=mlp", "net.depth=2", "data.batch_size=256",
    "budget.examples=60_000", "look_every=60_000", "callbacks.look.num=0", "evaluate=false",
    "logger=none", "trainer.precision=32-true", "trainer.threads=1", "callbacks.checkpoint=null",
]  # fmt: skip


def losses(width: int, seeds: int, folder: Path) -> dict[int, float]:
    """val/loss by seed."""
    subprocess.run(
        [sys.executable, "-m", "genlab.cli", "train", "-m", *RECIPE, f"net.width={width}",
         f"seed=range({seeds})", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
         f"hydra.sweep.dir={folder}"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return {int(c.settings["seed"]): c.figures["val/loss"] for c in read_cells(folder)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pool", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--widths", type=int, nargs=2, default=(64, 72))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        a = losses(asked.widths[0], asked.pool, Path(folder) / "a")
        b = losses(asked.widths[1], asked.seeds, Path(folder) / "b")
    draws, false = random.Random(0), 0
    for _ in range(200):
        drawn = draws.sample(sorted(a.values()), 20)
        groups = dict(enumerate(drawn[:10])), dict(enumerate(drawn[10:]))
        false += any(
            compare(*({k: v for k, v in g.items() if k < n} for g in groups)).tells
            for n in range(2, 11)
        )
    common = sorted(a.keys() & b.keys())
    mean_a, mean_b = (statistics.fmean(x[s] for s in common) for x in (a, b))
    spread = statistics.stdev(a.values())
    between = statistics.stdev(b[s] - a[s] for s in common)
    needed: dict[str, list[int]] = {"in pairs": [], "as groups": []}
    for _ in range(200):
        order = draws.sample(common, len(common))
        for name, found in needed.items():
            n = next((n for n in range(2, len(order) + 1) if _tells(name, a, b, order[:n])), None)
            found.append(n or len(order) + 1)
    print(f"val/loss {mean_a:.4f} and {mean_b:.4f}: a gain of {1 - mean_b / mean_a:.2%}; spread")
    print(f"over seeds {spread / mean_a:.2%}, of differences by seed {between / mean_a:.2%}")
    print(f"false wins of 200 pairs of groups, looked at after each seed: {false / 200:.1%}")
    for name, found in needed.items():
        most = len(common)
        told = sum(n <= most for n in found)
        print(f"seeds until the gain is told {name}: median {statistics.median(found):g}"
              f" (told within {most} in {told} of 200 orders)")  # fmt: skip


def _tells(name: str, a: dict[int, float], b: dict[int, float], seeds: list[int]) -> bool:
    if name == "in pairs":
        return compare({s: a[s] for s in seeds}, {s: b[s] for s in seeds}).tells
    return unpaired([a[s] for s in seeds], [b[s] for s in seeds]).tells


if __name__ == "__main__":
    main()
