"""Run every experiment at full length and print the table of docs/experiments.md.

    python scripts/bench/experiments.py [NAME ...]      or `make experiments`

Each runs as a user would run it; time is the whole command's, and the figures are those of its own
evaluation.json. A run that is there already (outputs/NAME/...) is not run again: delete it for
that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHOWN = [
    "frechet_distance",
    "confident_share",
    "class_agreement",
    "classes_drawn",
    "modes_covered",
    "high_quality_share",
    "bits_per_dim",
    "bits_per_dim_bound",
    "bits_per_byte",
    "perplexity",
    "loss",
]


def finished(name: str) -> Path | None:
    base = Path(os.environ.get("GENLAB_OUTPUTS", "outputs")) / name
    runs = sorted(p.parent for p in base.glob("*/evaluation.json"))
    return runs[-1] if runs else None


def main(names: list[str]) -> None:
    names = names or sorted(p.stem for p in (ROOT / "conf" / "experiment").glob("*.yaml"))
    program = Path(sys.executable).with_name("genlab")
    print("| experiment | time | result (the same for real held-out data) |\n|---|---|---|")
    for name in names:
        run, note = finished(name), ""
        if run is None:
            began = time.perf_counter()
            done = subprocess.run([program, "train", f"experiment={name}"], check=False)
            if done.returncode:
                print(f"| {name} | failed with code {done.returncode} | |", flush=True)
                continue
            run = finished(name)
            assert run is not None
            (run / "wall_seconds").write_text(f"{time.perf_counter() - began:.0f}")
        seconds = (run / "wall_seconds").read_text() if (run / "wall_seconds").exists() else "?"
        found = json.loads((run / "evaluation.json").read_text())
        for key in SHOWN:
            if key in found["metrics"]:
                floor = found["floor"].get(key)
                real = f" ({floor:.3g})" if floor is not None else ""
                note += f"{key} {found['metrics'][key]:.4g}{real}; "
        print(f"| {name} | {seconds} s | {note.rstrip('; ')} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
