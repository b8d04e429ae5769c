"""Stops a run whose numbers are no longer finite, before they are saved or averaged further."""

from __future__ import annotations

import math

import torch
from pytorch_lightning import Callback, Trainer

from genlab.models.base import GenerativeModel


class NotFinite(FloatingPointError):
    """The loss is NaN or infinite; the run ends with exit code 20."""


class Guard(Callback):
    """Looks at the loss: on the CPU before every update, on a GPU whenever the terms are read."""

    def on_before_backward(
        self, trainer: Trainer, pl_module: GenerativeModel, loss: torch.Tensor
    ) -> None:
        # reading a number from a GPU would wait for it, so there the ledger's rows are watched
        if loss.device.type == "cpu" and not math.isfinite(loss.item()):
            self.stop(trainer, pl_module, "loss")

    def watch(self, trainer: Trainer, model: GenerativeModel, terms: dict[str, float]) -> None:
        for name, value in terms.items():
            if not math.isfinite(value):
                self.stop(trainer, model, name)

    def stop(self, trainer: Trainer, model: GenerativeModel, name: str) -> None:
        clock = model.clock
        ids = trainer.datamodule.train_ids(max(0, clock.batches - 1)) if trainer.datamodule else []
        raise NotFinite(
            f"{name} is not finite at batch {clock.batches} ({clock.examples} examples seen);"
            f" examples of the batch: {[int(i) for i in ids[:8]]}...;"
            " lower optim.optimizer.lr or set trainer.clip=1"
        )
