"""budget.minutes: the time of the whole run, its last look and its measuring among them.

The learning rate falls with the time as it falls with the examples, whichever budget ends first.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from genlab.models.base import GenerativeModel

MOST_FOR_MEASURING = 0.5  # of the minutes; a longer evaluation runs over


class Budget(Callback):
    """Ends training so that what follows it is done when the minutes are over."""

    def __init__(self, minutes: float, *, began: float, evaluation: dict[str, Any] | None) -> None:
        """`began`: time.monotonic() of the command; `evaluation`: the metric that follows."""
        self.seconds, self.began = 60 * minutes, began
        self.num_samples = (evaluation or {}).get("num_samples") or 0
        self._before = 0.0  # seconds of the sessions before a resume

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        self._before = trainer.run.ledger.seconds_before

    def spent(self, trainer: Trainer, model: GenerativeModel) -> float:
        """The share of the time for training that is over, the same on every rank."""
        run = trainer.run
        after = run.look_seconds + 1.2 * self.num_samples * run.sample_seconds
        limit = self.seconds - min(after, MOST_FOR_MEASURING * self.seconds)
        done = (self._before + time.monotonic() - self.began) / limit
        if trainer.world_size > 1:
            told = torch.tensor([done], device=model.device)
            done = float(trainer.strategy.broadcast(told))
        return min(1.0, done)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: GenerativeModel, batch, batch_idx: int
    ) -> None:
        pl_module.spent = self.spent(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0 and pl_module.spent >= 1:
            trainer.should_stop = True
