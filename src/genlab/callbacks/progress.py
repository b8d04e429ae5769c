"""The progress line: loss, examples per second, time left.

On a terminal a bar that is redrawn twice a second; elsewhere (a file, a scheduler's log) a line at
most every `seconds_between_lines`. It reads what the ledger has read, and never the device.
"""

from __future__ import annotations

import sys
import time

from pytorch_lightning import Callback, Trainer

from genlab.callbacks.meter import clock_time
from genlab.models.base import GenerativeModel


class Progress(Callback):
    """Tells how far the run is, how fast, and when it will be done."""

    def __init__(self, *, seconds_between_lines: float = 10.0) -> None:
        self.seconds_between_lines = seconds_between_lines
        self._bar = None

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        self._began = self._shown = time.perf_counter()
        self._first = pl_module.clock.examples
        budget = trainer.run.settings["budget"]
        self.total, self.minutes = budget["examples"], budget.get("minutes")
        if not trainer.is_global_zero:
            return
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
                console=Console(stderr=True),
                auto_refresh=False,
            )
            self._task = self._bar.add_task("training", total=self.total, text="")
            self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        wait = 0.5 if self._bar is not None else self.seconds_between_lines
        if now - self._shown < wait or not trainer.is_global_zero:
            return
        self._shown = now
        self._show(trainer, pl_module, now)

    def _show(self, trainer: Trainer, model: GenerativeModel, now: float) -> None:
        done = model.clock.examples
        speed = (done - self._first) / max(now - self._began, 1e-9)
        loss = trainer.run.ledger.latest.get("train/loss")
        seconds = (self.total - done) / max(speed, 1e-9)
        if self.minutes is not None:
            spent = trainer.run.ledger.seconds_before + now - self._began  # before a resume, too
            seconds = min(seconds, max(0.0, 60 * self.minutes - spent))
        left = clock_time(seconds) if speed else "?"
        parts = [f"{done:,} of {self.total:,} examples"]
        if loss is not None:
            parts.append(f"loss {loss:.4g}")
        parts += [f"{speed:,.0f} examples/s", f"{left} left"]
        if self._bar is not None:
            self._bar.update(self._task, completed=done, text=" · ".join(parts), refresh=True)
        else:
            print("  " + " · ".join(parts), file=sys.stderr, flush=True)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if trainer.is_global_zero:
            self._show(trainer, pl_module, time.perf_counter())
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: GenerativeModel, exception) -> None:
        self._stop()
