"""Run every experiment at full length and print the table of docs/experiments.md.

    python scripts/bench/experiments.py [NAME ...]      or `make experiments`

Each runs as a user would run it; one on latents trains its codec first, which the header of its
file names. The figures are those of its own evaluation.json, with their 95 % intervals and what
real held-out data scores. A run that is there already ($GENLAB_OUTPUTS/NAME) is not run again:
delete it for that.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from genlab.metrics.figures import Metric, measured
from genlab.rows import read_rows
from genlab.shown import duration, figure

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf" / "experiment"
# a checkpoint's figures that the table leaves out: they stand in its report
LEFT_OUT = {
    "finite_share", "frechet_infinity", "nearest_ratio", "coverage_worst_class", "classes_drawn",
    "nats_per_token", "nats_per_example_bound", "nats_per_example", "copied_share", "longest_copy",
    "shared_with_train", "distinct_2", "two_sample_linear",
}  # fmt: skip


def folder(name: str) -> Path:
    return Path(os.environ.get("GENLAB_OUTPUTS", "outputs")) / name


def codec_of(name: str) -> str | None:
    """The experiment that trains the codec of this one: "# RUN of NAME" in its header."""
    found = re.search(r"codec=RUN\s+# RUN of (\w+)", (CONF / f"{name}.yaml").read_text())
    return found[1] if found else None


def finished(name: str) -> Path | None:
    """The newest run of an experiment whose ledger has come to its end."""
    runs = [
        p.parent
        for p in (*folder(name).glob("metrics.jsonl"), *folder(name).glob("*/metrics.jsonl"))
    ]
    ended = [r for r in runs if any(row["kind"] == "end" for row in read_rows(r / "metrics.jsonl"))]
    return max(ended, key=lambda run: run.name, default=None)


def trained(name: str) -> Path | None:
    """A finished run of the experiment, run now where there is none; None if it failed."""
    if (run := finished(name)) is not None:
        return run
    words = [f"experiment={name}"]
    if codec := codec_of(name):
        if (there := trained(codec)) is None:
            return None
        words.append(f"codec={there}")
    subprocess.run([Path(sys.executable).with_name("genlab"), "train", *words], check=False)
    return finished(name)


def told(metric: Metric) -> str:
    """kernel distance 0.007 (-0.003 to 0.018; real 0)"""
    more = [metric.between] if metric.interval else []
    more += [f"real {figure(metric.floor)}"] if metric.floor is not None else []
    return f"{metric.title} {figure(metric.value)}" + (f" ({'; '.join(more)})" if more else "")


def main(names: list[str]) -> None:
    print("| experiment | examples | training | result (95 % interval; real held-out data) |")
    print("|---|---|---|---|")
    for name in names or sorted(p.stem for p in CONF.glob("*.yaml")):
        if (run := trained(name)) is None:
            print(f"| `{name}` | failed | | |", flush=True)
            continue
        rows = read_rows(run / "metrics.jsonl")
        last = next(r for r in reversed(rows) if r["kind"] == "end")
        file = run / "evaluation.json"
        found = measured(json.loads(file.read_text())) if file.is_file() else []
        shown = "; ".join(told(m) for m in found if m.name not in LEFT_OUT)
        if not shown:  # a codec
            looks = [r["val/loss"] for r in rows if r["kind"] == "look"]
            shown = f"held-out loss {figure(looks[-1])}"
        time = duration(last["seconds"])
        print(f"| `{name}` | {last['examples']:,} | {time} | {shown} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
