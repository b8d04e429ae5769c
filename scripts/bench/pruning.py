"""What pruning saves: the same points of a search, whole and pruned, on toy2d and Shakespeare.

    python scripts/bench/pruning.py [--only toy2d] [--trials 16]

Sixteen Sobol points of learning rate and width, once as they are and once for each rule of pruning,
in this process's cores one after the other. Printed: examples trained on in all, over those without
pruning; the best held-out loss; and its place among the losses without pruning (1: the same best).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from genlab.runs.sweeps.cells import Cell, read_cells

RECIPES = {
    "toy2d": [
        "experiment=toy2d_flow_matching", "budget.examples=180_000", "look_every=20_000",
        "save_every=1_000_000", "optim.optimizer.lr=interval(1e-5,3e-2)",
        "net.width=range(32,257,32)",
    ],
    "shakespeare": [
        "experiment=shakespeare_gpt", "net.depth=2", "net.heads=4", "data.batch_size=16",
        "data.shape=[64]", "budget.examples=9_000", "look_every=1_000", "save_every=1_000_000",
        "optim.optimizer.lr=interval(1e-5,3e-2)", "net.width=range(32,129,32)",
    ],
}  # fmt: skip
RULES = ("default", "halving", "hyperband", "median")


def swept(words: list[str], rule: str, trials: int, sweep: Path) -> list[Cell]:
    subprocess.run(
        [sys.executable, "-m", "genlab.cli", "train", "-m", "hydra/sweeper=sobol",
         f"hydra.sweeper.trials={trials}", f"callbacks={rule}", "callbacks.look.num=0",
         "logger=none", "evaluate=false", "trainer.precision=32-true", "trainer.threads=1", *words,
         f"hydra.sweep.dir={sweep}"],
        check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return read_cells(sweep)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=RECIPES)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--rules", nargs="+", default=RULES, choices=RULES)
    asked = parser.parse_args()
    print("| recipe | rule | examples | over whole | pruned | best val/loss | its place |")
    print("|---|---|---|---|---|---|---|")
    for name, words in RECIPES.items():
        if asked.only not in (None, name):
            continue
        whole: list[Cell] = []
        for rule in dict.fromkeys((RULES[0], *asked.rules)):
            with tempfile.TemporaryDirectory() as folder:
                cells = swept(words, rule, asked.trials, Path(folder))
            done = [c for c in cells if c.state == "finished"]
            whole = whole or cells
            spent, all_of = (sum(c.figures["examples"] for c in x) for x in (cells, whole))
            best = min(done, key=lambda c: c.figures["val/loss"])
            order = sorted(whole, key=lambda c: c.figures.get("val/loss", 1e9))
            place = 1 + [c.number for c in order].index(best.number)
            print(
                f"| {name} | {rule} | {spent:,.0f} | {spent / all_of:.2f} |"
                f" {sum(c.state == 'pruned' for c in cells)} of {len(cells)} |"
                f" {best.figures['val/loss']:.4g} | {place} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
