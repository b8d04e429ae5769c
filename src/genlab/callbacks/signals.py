"""Signals: SIGTERM, SIGINT and SIGUSR1 save at the end of the batch, then end the run.

The handler only sets a flag, for saving inside a signal handler can hang or tear a file. Lightning
2.6 answers SIGTERM with exit code 0 and saves nothing, so that a scheduler would take the run for
finished.
"""

from __future__ import annotations

import signal
import threading

import torch
from pytorch_lightning import Callback, Trainer

from genlab.callbacks.checkpoint import Checkpoint
from genlab.models.base import GenerativeModel

WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Signals(Callback):
    """Turns a signal into a checkpoint and an exit code of 128 + its number."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[signal.Signals, object] = {}

    def _note(self, number: int, frame: object) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: at once
        self.received = number

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in WATCHED:
            self._before[number] = signal.signal(number, self._note)
        if hasattr(signal, "SIGHUP"):  # a closed terminal does not end a run
            self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        received = self.received
        if trainer.world_size > 1:  # all ranks stop at the same batch
            flag = torch.tensor([received], device=pl_module.device)
            received = int(trainer.strategy.reduce(flag, reduce_op="max"))
        if received:
            for callback in trainer.callbacks:
                if isinstance(callback, Checkpoint):
                    callback.save(trainer, pl_module)
            self.restore()
            raise SystemExit(128 + received)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        self.restore()

    def on_exception(self, trainer: Trainer, pl_module: GenerativeModel, exception) -> None:
        self.restore()

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()
