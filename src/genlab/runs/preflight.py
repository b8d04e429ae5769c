"""`genlab check measure=true`: minutes, memory, disk and energy of a run, from a few of its steps.

    Preflight(plan, began).measure() -> Forecast
    fitted(plan, forecast, minutes) -> words that make it fit

A run of this plan is begun in a temporary folder: the look before any training, steps for some
seconds, a look, a checkpoint; then its metric on two small numbers of samples. What a look costs is
counted for each look, a step for each step; measuring costs a + b * samples.
"""

from __future__ import annotations

import math
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer

from genlab.clock import steps
from genlab.joules import Joules
from genlab.metrics.base import FEW
from genlab.runs.say.errors import UserError
from genlab.runs.settings.plan import Plan, at

LEAST_STEPS, SECONDS = 12, 8.0  # that are measured: so many, and so long
WHOLE = 15.0  # seconds of measuring that are tried whole
WARMING = 3  # steps that are not counted: the first ones wait for memory and kernels
LENGTHS = ("budget.examples", "look_every", "save_every", "optim.warmup")


@dataclass(frozen=True)
class Forecast:
    """Seconds, bytes and joules; `parts` says of what the seconds are."""

    parts: dict[str, float]
    memory: float
    disk: float
    energy: float | None
    examples_per_second: float

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())


class Stop(Callback):
    """Ends training after a few steps, and notes when each ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.ends = [time.perf_counter()]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if pl_module.device.type == "cuda":
            import torch

            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        enough = len(self.ends) > LEAST_STEPS and self.ends[-1] - self.ends[0] > SECONDS
        if enough or len(self.ends) > 2000:
            trainer.should_stop = True

    @property
    def step(self) -> float:
        """Seconds of a step: the mean of the middle half, for some wait for others."""
        took = [b - a for a, b in zip(self.ends, self.ends[1:])]
        took = sorted(took[WARMING:] or took)
        middle = took[len(took) // 4 : max(len(took) // 4 + 1, -(-3 * len(took) // 4))]
        return statistics.fmean(middle)


@dataclass
class Preflight:
    """The measuring of a plan: `began` is when its process did, by time.time()."""

    plan: Plan
    began: float

    def measure(self) -> Forecast:
        from genlab.runs.say.terminal import quiet
        from genlab.runs.train import Training

        quiet()
        self.plan = Plan({**self.plan.settings, "logger": {}}, self.plan.trust, secrets=True)
        batch, examples = self.plan["data"]["batch_size"], self.plan["budget"]["examples"]
        total = steps(examples, batch)
        looks = self.plan["look_every"]
        num_looks = math.ceil(total / steps(looks, batch)) if looks else 0
        energy = Joules()
        with tempfile.TemporaryDirectory(prefix="genlab_preflight_") as place:
            run = Path(place) / "run"
            run.mkdir()
            training, stop = Training(self.plan, run), Stop()
            data, model, trainer = training.assemble()
            trainer.callbacks.insert(0, stop)
            ready = time.time()
            if trainer.val_check_interval:
                trainer.validate(model, datamodule=data, verbose=False)
            first_look = time.time() - ready
            fitting = time.time()
            trainer.fit(model, datamodule=data)
            rest = time.time() - fitting - (stop.ends[-1] - stop.ends[0])
            look = trainer.run.look_seconds if looks else 0.0
            for logger in trainer.loggers:
                logger.close()
            parts = {
                "start": ready - self.began + max(0.0, rest - look),
                "steps": total * stop.step,
                "looks": first_look + num_looks * look,
                **self.measuring(run, model, data),
            }
            spent = time.time() - self.began
            disk = self.disk(run, num_looks)
        seconds = sum(parts.values())
        used = energy.spent()
        joules = None if used is None else used / spent * seconds
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return Forecast(parts, memory, disk, joules, batch / stop.step)

    def measuring(self, run: Path, model: Any, data: Any) -> dict[str, float]:
        """Seconds of the evaluation at the end: what it costs at all, and for each sample."""
        if not (self.plan["evaluate"] and self.plan.get("metric")):
            return {}
        from genlab.metrics.several import measure

        model = model.eval()
        most = max(_count(m, model, data) for m in self.plan.metrics().values())
        few = [min(64, most), min(192, most)]

        def timed(num: int) -> float:
            metrics = {k: _of(m, num) for k, m in self.plan.metrics().items()}
            start = time.time()
            measure(metrics, model, data, seed=0)
            return time.time() - start

        timed(few[0])  # finds what is cached from then on
        took = [timed(num) for num in few]
        each = max(0.0, took[1] - took[0]) / max(1, few[1] - few[0])
        seconds = max(0.0, took[0] - few[0] * each) + each * most
        # its memory too is that of all samples: where that is quick, they are measured in earnest
        return {"measuring": timed(most) if seconds < WHOLE and most > few[1] else seconds}

    def disk(self, run: Path, num_looks: int) -> float:
        """Bytes that the run's folder will have: checkpoints, and what looks draw."""
        saved = sum(f.stat().st_size for f in (run / "checkpoints").glob("*.ckpt"))
        drawn = sum(f.stat().st_size for f in (run / "samples").glob("0*"))
        kept = (at(self.plan.settings, "callbacks.checkpoint") or {}).get("keep", 2)
        return saved * (kept + 1) + drawn * (num_looks + 1)


def _of(metric: Any, num: int) -> Any:
    """The metric, for fewer samples."""
    metric.num_samples = max(num, getattr(metric, "least", 1))
    return metric


def _count(metric: Any, model: Any, data: Any) -> int:
    """How many samples a metric draws."""
    own = getattr(metric, "num_samples", None)
    return own or (metric.count(model, data) if hasattr(metric, "count") else FEW)


def process_began() -> float:
    """When this process was started, by time.time()."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.time() - time.process_time()


# --- fitting a recipe to a budget -------------------------------------------------------------


def fitted(plan: Plan, found: Forecast, minutes: float) -> list[str]:
    """The words that make a plan fit the minutes: its nets narrower and its budget shorter.

    Weights and examples shrink by one factor q, as compute-optimal training has it (Hoffmann et al.
    2022): widths by sqrt(q), for a step costs as their square. Looks, saves and warm-up keep their
    share of the run. No words where it fits as it is.
    """
    allowed, fixed = 60 * minutes, found.parts["start"]
    if found.seconds <= allowed:
        return []
    if fixed >= 0.8 * allowed:
        raise UserError(
            f"fit_to: starting alone takes {fixed:.0f} s of {allowed:.0f}: give it more"
        )
    a, b = found.parts["steps"], found.seconds - fixed - found.parts["steps"]
    q = (-b + math.sqrt(b * b + 4 * a * (allowed - fixed))) / (2 * a)
    words = []
    for key, width in _widths(plan.settings["net"], "net"):
        step = 2 * math.lcm(4, *_heads(plan.settings["net"]))
        words.append(f"{key}={max(step, round(width * math.sqrt(q) / step) * step)}")
    return words + _scaled(plan.settings, q)


def shortened(plan: Plan, found: Forecast, minutes: float) -> list[str]:
    """The words that make a plan fit by a shorter budget; looks and saves keep their share."""
    other = found.seconds - found.parts["steps"]
    if other >= 0.9 * 60 * minutes:
        raise UserError(
            f"fit_to: all but its steps takes {other:.0f} s of {60 * minutes:.0f}: give it more"
        )
    return _scaled(plan.settings, (60 * minutes - other) / found.parts["steps"])


def _scaled(settings: Any, q: float) -> list[str]:
    found = ((k, at(settings, k)) for k in LENGTHS)
    return [f"{k}={max(1, round(v * q, -len(str(int(v * q))) + 2)):.0f}" for k, v in found if v]


def _widths(node: Any, place: str) -> Iterator[tuple[str, int]]:
    for key, value in node.items() if isinstance(node, dict) else ():
        if key == "width" and isinstance(value, int):
            yield f"{place}.{key}", value
        else:
            yield from _widths(value, f"{place}.{key}")


def _heads(node: Any) -> Iterator[int]:
    for key, value in node.items() if isinstance(node, dict) else ():
        if key in ("heads", "kv_heads") and isinstance(value, int):
            yield value
        else:
            yield from _heads(value)
