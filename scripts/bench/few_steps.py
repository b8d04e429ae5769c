"""Quality against network evaluations: a teacher of many steps, and models of one step or a few.

    python scripts/bench/few_steps.py [--scale 1.0] [--samples 1000] [--images]
        [--only NAME ...] [NAME=RUN ...]

Trains what is not in $GENLAB_OUTPUTS/few_steps yet (or takes teacher=RUN, mean_flow=RUN, ...), then
measures every model at 1 to 32 network evaluations a sample and prints the table of
docs/diffusion.md. The budgets are multiplied by --scale. Nothing is guided.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from genlab.metrics.image import ImageEvaluation
from genlab.metrics.report import Report
from genlab.runs.folder.load import load_data, load_model
from genlab.samplers.diffusion import Consistency, Euler, Solver
from genlab.samplers.few_steps import Jumps
from genlab.samplers.multistep import DPMpp

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path(os.environ.get("GENLAB_OUTPUTS", ROOT / "outputs")) / "few_steps"
DATA = ["data=digits", "evaluate=false", "look_every=10_000_000", "save_every=10_000_000"]
# name: examples, words of its training
MODELS = {
    "teacher": (85_376, ["model=diffusion"]),
    "consistency": (39_040, ["model=diffusion", "objective=consistency", "sampler=consistency",
                             "objective.halve_every=5_000", "init_from={teacher}"]),
    "mean_flow": (36_608, ["model=flow_matching", "objective=mean_flow", "sampler=mean_flow"]),
    "drifting": (49_152, ["model=flow_matching", "objective=drifting", "sampler=consistency",
                          "conditions=none", "data.batch_size=256"]),
}  # fmt: skip
EVALUATIONS = (1, 2, 4, 8, 16, 32)
FIGURES = ("frechet_distance", "precision", "recall", "near_copies")


def samplers(name: str) -> dict[int, Solver]:
    """By network evaluations a sample; one of the teacher is its D of pure noise."""
    if name == "teacher":
        return {n: Euler(num_steps=1) if n == 1 else DPMpp(num_steps=n) for n in EVALUATIONS}
    if name == "drifting":
        return {1: Consistency()}
    kind, most = (Consistency, 4) if name == "consistency" else (Jumps, 8)
    return {n: kind(num_steps=n) for n in EVALUATIONS if n <= most}


def trained(name: str, given: dict[str, Path], scale: float) -> Path:
    """The run of this name; trained, where there is none."""
    if name in given:
        return given[name]
    run, (examples, words) = PLACE / name, MODELS[name]
    if not (run / "done").is_file():
        words = [word.format(teacher=given.get("teacher", PLACE / "teacher")) for word in words]
        words += [f"budget.examples={round(scale * examples)}", f"hydra.run.dir={run}"]
        subprocess.run([sys.executable, "-m", "genlab.cli", "train", *DATA, *words], check=True)
        (run / "done").touch()
    return run


def row(name: str, num: int, report: Report, seconds: float) -> str:
    """A line of the table."""
    cells = []
    for key in FIGURES:
        value, ends = report.metrics.get(key), report.interval.get(key)
        part = "–" if value is None else f"{value:.3g}"
        between = f" ({ends[0]:.3g} to {ends[1]:.3g})" if ends and key == FIGURES[0] else ""
        cells.append(part + between)
    return f"| {name} | {num} | {' | '.join(cells)} | {1000 * seconds:.1f} |"


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--images", action="store_true", help="a picture of each row's samples")
    parser.add_argument("given", nargs="*", help="NAME=RUN, trained already")
    asked = parser.parse_args(words)
    given = {name: Path(run) for name, _, run in (word.partition("=") for word in asked.given)}
    metric = ImageEvaluation(num_samples=asked.samples)
    data: Any = None
    told = False  # what real data would have
    print("| model | evaluations | Frechet distance | precision | recall | near copies | ms |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in asked.only:
        run = trained(name, given, asked.scale)
        model = load_model(str(run))
        if data is None:
            data = load_data(str(run))
            data.prepare()
            data.hold_out("val")
        for num, sampler in samplers(name).items():
            model.sampler, report = sampler, Report()
            began = time.perf_counter()
            samples = metric.draw(model, data, asked.samples, 0)
            seconds = (time.perf_counter() - began) / asked.samples
            metric.compare(report, model, data, samples)
            if not told:
                told = True
                floor = {key: report.floor.get(key) for key in FIGURES}
                print("| real data | | " + " | ".join(
                    "–" if v is None else f"{v:.3g}" for v in floor.values()) + " | |")  # fmt: skip
            print(row(name, num, report, seconds), flush=True)
            if asked.images:
                PLACE.mkdir(parents=True, exist_ok=True)
                items = data.decode(report.pictures["samples"][:100])
                data.view.save(items, PLACE / f"{name}_{num}", None)


if __name__ == "__main__":
    main(sys.argv[1:])
