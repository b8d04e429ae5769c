"""precision=auto: which of float32 and bfloat16 trains this model quicker here, by trying both.

Read: `settled` is what a run calls, `compared` the measuring. What a processor's flags promise
says little about a model: some layers have a slow bfloat16 kernel, and small ones pay for casts.
"""

from __future__ import annotations

import copy
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from genlab.batch import Batch, each
from genlab.models.base import GenerativeModel
from genlab.models.loop import learns
from genlab.rng import share_of
from genlab.runs.devices import ranks
from genlab.runs.devices.trainer import fast_bf16
from genlab.runs.folder.layout import read_json, write_json
from genlab.runs.say.errors import UserError

CHOICES = ("32-true", "bf16-mixed")
PAIRS = 3  # rounds of one step of each, after one that warms up; fewer where they are long
LONGEST = 1.0  # seconds after which no round begins
HOPELESS = 4.0  # bfloat16 without arithmetic for it: seen in the round that warms up
GAIN = 0.95  # bfloat16 loses digits: it is taken where it saves a twentieth of the time or more


def settled(
    run: Path, trainer: dict[str, Any], model: GenerativeModel, data: Any, *, trained: bool
) -> str:
    """What trainer.precision=auto is in this run: chosen once, by its first process, and kept.

    The choice stands in the run's precision.json; the other processes wait for it. A run that has
    `trained` without one is older, and continues as such runs began.
    """
    path = run / "precision.json"
    until = time.monotonic() + ranks.PATIENCE
    while (held := held_in(path)) is None:
        if trained:
            return "bf16-mixed" if fast_bf16(trainer["accelerator"]) else "32-true"
        if ranks.rank_here() == 0:
            ratio = compared(model, share_of_batch(data, trainer), device_of(trainer))
            row = {"precision": chosen(ratio), "bf16_over_float32": ratio}
            write_json(path, row)
            return row["precision"]
        if time.monotonic() > until:
            raise UserError(f"{path}: the first process has not chosen a precision")
        time.sleep(0.1)
    return held


def held_in(path: Path) -> str | None:
    """The choice that stands in the file; None where there is no file."""
    if not path.exists():
        return None
    if (held := read_json(path).get("precision")) not in CHOICES:
        raise UserError(
            f'{path} is damaged: write {{"precision": "32-true"}} or "bf16-mixed" in it, as this'
            " run began"
        )
    return held


def share_of_batch(data: Any, trainer: dict[str, Any]) -> Batch:
    """As much of a batch as one process takes at once."""
    world = int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", 1)))
    batch = data.train_batch(0)
    num = max(1, len(batch["x"]) // (world * trainer["accumulate"]))
    return {k: each(lambda t: t[:num], v) for k, v in batch.items()}


def device_of(trainer: dict[str, Any]) -> torch.device:
    """The first device that the trainer will take."""
    accelerator, devices = trainer["accelerator"], trainer["devices"]
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", int(devices[0]) if isinstance(devices, list) else 0)
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def chosen(ratio: float | None) -> str:
    return "bf16-mixed" if ratio is not None and ratio <= GAIN else "32-true"


def compared(
    model: GenerativeModel,
    batch: Batch,
    device: torch.device | str,
    *,
    pairs: int = PAIRS,
    clock: Callable[[], float] = time.perf_counter,
) -> float | None:
    """The time of a step in bfloat16 over that in float32; None where bfloat16 does not run.

    Rounds of one step of each are compared, so that what else the machine does meets both. A copy
    of the model takes them, and the random generators are put back.
    """
    device = torch.device(device)
    if not learns(model) or not bf16_runs(device):  # one that counts takes no gradient
        return None
    model = copy.deepcopy(model).to(device).train()
    batch = {k: each(lambda t: t.to(device), v) for k, v in batch.items()}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        began = clock()
        wide, narrow = (step(model, batch, bf16=b, clock=clock) for b in (False, True))
        if narrow > HOPELESS * wide:
            return narrow / wide
        ratios = []
        while len(ratios) < pairs and (not ratios or clock() - began < LONGEST):
            narrow = step(model, batch, bf16=True, clock=clock)
            ratios.append(narrow / max(step(model, batch, bf16=False, clock=clock), 1e-12))
    return statistics.median(ratios)


def bf16_runs(device: torch.device) -> bool:
    """Whether bfloat16 is worth a try: nowhere on Apple's GPUs, nor where CUDA would emulate it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu"


def step(model: GenerativeModel, batch: Batch, *, bf16: bool, clock: Callable[[], float]) -> float:
    """Seconds of one forward and backward pass."""
    device = batch["x"].device
    with share_of(0, 1, torch.Generator(device).manual_seed(0)):
        began = clock()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = model.loss(batch)["loss"].mean()
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - began
