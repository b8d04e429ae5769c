"""What a sweep of several workers costs beside its cells: wall time over the cells' sum by workers.

    python scripts/bench/sweep_workers.py [--workers 2] [--cells 8]

A cell's seconds go from when it claims its folder to when it is measured, taken while they run side
by side; start-up of the workers, reports and the comparison are in the wall time alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--examples", type=int, default=600_000)
    asked = parser.parse_args()
    seeds = ",".join(map(str, range(asked.cells)))
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        subprocess.run(
            [sys.executable, "-m", "genlab.cli", "train", "-m", "experiment=toy2d_flow_matching",
             f"budget.examples={asked.examples}", "look_every=200_000", "logger=none",
             "trainer.precision=32-true", "metric.num_samples=2000", f"seed={seeds}",
             "hydra/launcher=joblib", f"hydra.launcher.n_jobs={asked.workers}",
             f"hydra.sweep.dir={folder}"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wall = time.time() - began
        took = [
            (p / "evaluation.json").stat().st_mtime - (p / ".writer").stat().st_mtime
            for p in Path(folder).glob("[0-9]*_*")
        ]
    share = sum(took) / asked.workers
    print(
        f"{asked.cells} cells on {asked.workers} workers: {wall:.1f} s; their sum"
        f" {sum(took):.1f} s, over the workers {share:.1f} s: x{wall / share:.2f}"
    )


if __name__ == "__main__":
    main()
