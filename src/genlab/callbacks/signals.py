"""Signals: SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 save at the end of the batch, then end the run.

The handler only sets a flag, for saving inside a signal handler can hang or tear a file. Lightning
2.6 answers SIGTERM with exit code 0 and saves nothing, so that a scheduler would take the run for
finished. Ctrl-C in a look cuts its drawing short: weights and losses go on bit for bit, that look's
samples, and what the doctor measures of them, are of fewer.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

import torch
import torch.distributed as dist
from pytorch_lightning import Callback, Trainer

from genlab.callbacks.checkpoint import look_follows
from genlab.callbacks.run import Run
from genlab.models.base import GenerativeModel

HEARD = b"\ngenlab: stopping: saves after this batch, or look; Ctrl-C again ends at once, unsaved\n"


class Signals(Callback):
    """Turns a signal into a checkpoint and an exit code of 128 + its number."""

    def __init__(self) -> None:
        self.received = 0
        self._wanted = 0  # what this batch's end is to leave with
        self._asked: tuple[torch.Tensor, dist.Work] | None = None
        self._before: dict[signal.Signals, object] = {}
        self._run: Run | None = None  # of the process that speaks

    def _note(self, number: int, frame: object) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: at once
        self.received = number
        if self._run is not None and number == signal.SIGINT:
            self._run.stopping = True  # somebody waits; a scheduler's look is drawn whole
            os.write(2, HEARD)

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._run = trainer.run if trainer.is_global_zero else None
        for number in trainer.run.watched:
            self._before[number] = signal.signal(number, self._note)
        if hasattr(signal, "SIGHUP"):  # a closed terminal does not end a run
            self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self._wanted = self._agreed(trainer, pl_module)
        if self._wanted and not look_follows(trainer, batch_idx):
            self._leave(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if trainer.world_size == 1:  # what came during the look
            self._wanted = self._wanted or self.received
        if self._wanted:
            self._leave(trainer, pl_module)

    def _agreed(self, trainer: Trainer, model: GenerativeModel) -> int:
        """The signal that any rank received: all stop at the same batch.

        With several ranks the one after: what is asked of all at one batch is read at the next, so
        that no step waits for the device.
        """
        if trainer.world_size == 1:
            return self.received
        number = self._read()
        flag = torch.tensor([self.received], device=model.device)
        self._asked = flag, dist.all_reduce(flag, dist.ReduceOp.MAX, async_op=True)
        return number

    def _read(self) -> int:
        """What was asked of all ranks at the batch before."""
        if self._asked is None:
            return 0
        (flag, work), self._asked = self._asked, None
        work.wait()
        return int(flag)

    def _leave(self, trainer: Trainer, model: GenerativeModel) -> None:
        if (checkpoint := trainer.run.checkpoint) is not None:
            if checkpoint.last_saved != model.clock.examples:
                checkpoint.save(trainer, model)
            checkpoint.finish(trainer)
        number, self.received, self._wanted = self._wanted, 0, 0
        trainer.run.stopping = False
        others = trainer.run.others
        if number in others:  # it may put the job back in a queue and end it, or let it go on
            others[number](number, None)
            return
        self.restore()
        if trainer.is_global_zero and checkpoint is not None:
            done = f"{model.clock.examples:,} examples"
            where = trainer.run.folder
            print(
                f"\ngenlab: saved after {done}; `genlab train resume={where}` goes on",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        raise SystemExit(128 + number)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        self._read()
        self.restore()

    def on_exception(self, trainer: Trainer, pl_module: GenerativeModel, exception) -> None:
        self.restore()

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()
