"""What the loop costs: genlab's training step with every default callback and logger on, against
the same step in a bare PyTorch loop (same net, loss, optimiser, batches, precision).

    python scripts/bench/loop_overhead.py [STEPS] [ROUNDS]

Rounds alternate; the table gives medians of the rounds' medians, and of the differences within a
round. "bare + EMA" also keeps the same average of the weights: work that genlab does by default,
and that grows with the weights as the optimiser's does. One thread.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from genlab.runs.settings.compose import plan_of
from genlab.runs.settings.plan import Plan

CASES = {
    "mlp of 77 k": [
        "data=ring",
        "model=diffusion",
        "net=mlp",
        "net.width=64",
        "data.batch_size=64",
    ],
    "mlp of 1.1 M": ["data=ring", "model=diffusion", "net=mlp", "data.batch_size=64"],
    "U-Net of 1.4 M": ["data=digits", "model=diffusion"],
    "VAE of Fashion": ["data=fashion_mnist", "model=vae", "data.batch_size=128"],  # needs its files
}


def plan_for(overrides: list[str], steps: int) -> Plan:
    from genlab.runs.devices.trainer import fast_bf16

    more = ["name=bench", "evaluate=false", "trainer=cpu", "trainer.threads=1"]
    more.append(f"trainer.precision={'bf16-mixed' if fast_bf16('cpu') else '32-true'}")
    settings = plan_of([*overrides, *more])[0].settings
    budget = {**settings["budget"], "examples": steps * settings["data"]["batch_size"]}
    return Plan({**settings, "budget": budget, "look_every": 10**9, "save_every": 10**9})


def bare(plan: Plan, steps: int, *, ema: bool) -> list[float]:
    """Seconds of each step of a loop with nothing but the step."""
    from genlab.runs.devices.trainer import fast_bf16

    # Lightning's import sets it, and each optimiser's step pays for it; a bare loop has none
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    data = plan.build("data")
    data.prepare()
    data.load()
    torch.manual_seed(0)
    model = plan.build("model")
    optimizer = model.optim.build(model)
    average = [p.detach().clone() for p in model.parameters()]
    current = [p.data for p in model.parameters()]
    seconds = []
    for k in range(steps):
        began = time.perf_counter()
        batch = data.train_batch(k)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_bf16("cpu")):
            loss = model.loss(batch)["loss"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if ema:
            torch._foreach_lerp_(average, current, 0.01)
        seconds.append(time.perf_counter() - began)
    return seconds


def ours(plan: Plan, steps: int) -> list[float]:
    """Seconds between the ends of genlab's steps."""
    from pytorch_lightning import Callback

    from genlab.runs import train
    from genlab.runs.say import terminal

    class Watch(Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_train_batch_start(self, *args) -> None:
            self.ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        terminal.quiet()
        data, model, trainer = train.Training(plan, Path(folder)).assemble()
        watch = Watch()
        trainer.callbacks.append(watch)
        trainer.fit(model, datamodule=data)
        for logger in trainer.loggers:
            logger.close()
    return [b - a for a, b in zip(watch.ends, watch.ends[1:])]


def main(steps: int = 200, rounds: int = 9) -> None:
    torch.set_num_threads(1)
    for name, overrides in CASES.items():
        steps_here = steps if "mlp" in name else max(30, steps // 6)
        plan = plan_for(overrides, steps_here)
        found: dict[str, list[float]] = {"bare": [], "bare + EMA": [], "genlab": []}
        for _ in range(rounds):
            skip = steps_here // 5
            found["bare"].append(statistics.median(bare(plan, steps_here, ema=False)[skip:]))
            found["bare + EMA"].append(statistics.median(bare(plan, steps_here, ema=True)[skip:]))
            found["genlab"].append(statistics.median(ours(plan, steps_here)[skip:]))
        medians = {k: statistics.median(v) * 1e3 for k, v in found.items()}
        print(f"{name:15} " + "  ".join(f"{k} {v:.3f} ms" for k, v in medians.items()))
        for other in ("bare", "bare + EMA"):
            pairs = list(zip(found["genlab"], found[other]))
            more = statistics.median(a - b for a, b in pairs) * 1e3
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"{'':15} over {other}: {more:+.3f} ms, x{ratio:.3f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
