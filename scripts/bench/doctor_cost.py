"""What the doctor costs: the processor's time in its hooks, beside that of the whole training.

    python scripts/bench/doctor_cost.py [BATCHES]

Time of this thread alone is counted, so other work on the machine moves the shares little. A train
row is written every 50 batches, a look follows every BATCHES / 3.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch

from genlab.runs.settings.compose import plan_of
from genlab.runs.settings.plan import Plan

CASES = {
    "GAN of the ring": ["data=ring", "model=gan", "net.generator.width=64"],
    "GAN of digits": ["model=gan", "net.generator.width=16", "net.discriminator.width=16"],
    "VAE of digits": ["model=vae", "net.encoder.width=16", "net.decoder.width=16"],
    "diffusion, mlp of 77 k": ["data=ring", "net=mlp", "net.width=64"],
}


def spent(overrides: list[str], batches: int) -> tuple[float, dict[str, list[float]]]:
    """Seconds of the processor in all of training, and in each call of the doctor's hooks."""
    from genlab.callbacks.doctor import Doctor
    from genlab.runs import train
    from genlab.runs.say import terminal

    words = [*overrides, "name=bench", "evaluate=false", "trainer=cpu", "trainer.threads=1"]
    words += ["trainer.precision=32-true", "logger=none", "data.batch_size=64"]
    settings = plan_of([*words, f"budget.examples={64 * batches}"])[0].settings
    plan = Plan({**settings, "look_every": 64 * (batches // 3), "save_every": 10**9})
    calls: dict[str, list[float]] = {"read": [], "on_validation_epoch_end": []}

    def timed(name: str):
        original = getattr(Doctor, name)

        def hook(self, *arguments) -> None:
            began = time.thread_time()
            original(self, *arguments)
            calls[name].append(time.thread_time() - began)

        return original, hook

    originals = {}
    for name in calls:
        originals[name], hook = timed(name)
        setattr(Doctor, name, hook)
    try:
        with tempfile.TemporaryDirectory() as folder:
            terminal.quiet()
            data, model, trainer = train.Training(plan, Path(folder)).assemble()
            began = time.thread_time()
            trainer.fit(model, datamodule=data)
            return time.thread_time() - began, calls
    finally:
        for name, original in originals.items():
            setattr(Doctor, name, original)


def main(batches: int = 600) -> None:
    torch.set_num_threads(1)
    for name, overrides in CASES.items():
        whole, calls = spent(overrides, batches)
        rows, looks = calls["read"], calls["on_validation_epoch_end"]
        share = (sum(rows) + sum(looks)) / whole
        row, look = 1e6 * sum(rows) / len(rows), 1e3 * sum(looks) / max(1, len(looks))
        print(
            f"{name:24} {whole:6.1f} s  {share:6.2%}  a row {row:.0f} us: {sum(rows) / whole:.3%};"
            f"  a look {look:.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
