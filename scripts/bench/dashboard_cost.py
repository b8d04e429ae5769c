"""What a dashboard costs the training: none, wandb offline, one that is slow, one that hangs, one
that fails, against the same run without any.

    python scripts/bench/dashboard_cost.py [STEPS] [ROUNDS]

Mean time of a step with a row logged every 5 steps, ten times as often as by default; rounds
alternate, and the ratios are medians of the rounds' ratios. One thread.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
from loop_overhead import CASES, ours, settings_for
from pytorch_lightning.loggers import Logger

from genlab.runs.say import dashboard


class Strange(Logger):
    """A logger that does to every call what it is told."""

    def __init__(self, does) -> None:
        super().__init__()
        self.does = does

    @property
    def name(self) -> str:
        return "strange"

    @property
    def version(self) -> str:
        return ""

    def log_metrics(self, metrics, step=None) -> None:
        self.does()

    def log_hyperparams(self, params, *args, **kwargs) -> None:
        self.does()


def fails() -> None:
    raise ConnectionError("refused")


KINDS = {
    "slow (1 s a call)": lambda: time.sleep(1),
    "hangs": lambda: time.sleep(10**6),
    "fails": fails,
}


def main(steps: int = 80, rounds: int = 5) -> None:
    torch.set_num_threads(1)
    every = ["callbacks.ledger.log_every=5"]
    none = settings_for([*CASES["digits unet"], *every, "logger=none"], steps)
    wandb = settings_for([*CASES["digits unet"], *every], steps)
    found: dict[str, list[float]] = {k: [] for k in ("none", "wandb, offline", *KINDS)}
    made, dashboard.CLOSING = dashboard.loggers, 0.5
    for _ in range(rounds):
        found["none"].append(statistics.mean(ours(none, steps)[steps // 4 :]))
        found["wandb, offline"].append(statistics.mean(ours(wandb, steps)[steps // 4 :]))
        for kind, does in KINDS.items():
            dashboard.loggers = lambda *a, k=kind, d=does: [dashboard.Harmless(Strange(d), k)]
            found[kind].append(statistics.mean(ours(none, steps)[steps // 4 :]))
        dashboard.loggers = made
    base = found["none"]
    for kind, seconds in found.items():
        ratios = [a / b for a, b in zip(seconds, base)]
        print(
            f"{kind:20} {statistics.median(seconds) * 1e3:8.2f} ms a step"
            f"   x{statistics.median(ratios):.3f}  ({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
