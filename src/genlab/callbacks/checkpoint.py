"""Checkpoints by examples seen: at even distances and at the end, the newest few kept.

Where a look comes right after a batch, the checkpoint is written after the look: one written before
would say that the look was done, and a run killed in between would never look.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint

from genlab.models.base import GenerativeModel

FOLDER = "checkpoints"
REBUILDS = ("name", "seed", "data", "model", "adapt")  # the settings that a model is rebuilt from


def look_follows(trainer: Trainer, batch_idx: int) -> bool:
    """Whether held-out batches come right after this batch, before the next."""
    if not trainer.enable_validation:
        return False
    return (batch_idx + 1) % trainer.val_check_batch == 0 or is_last(trainer)


def is_last(trainer: Trainer) -> bool:
    """Whether the batch that has just ended is the run's last."""
    return trainer.should_stop or trainer.global_step >= trainer.max_steps >= 0


class Checkpoint(LightningCheckpoint):
    """Saves checkpoints/examples=N.ckpt, enough by itself: it holds settings and data state."""

    def __init__(self, *, save_every: int, keep: int = 2) -> None:
        """`save_every` in examples; `keep` the newest, at least two so that one may be damaged."""
        if keep < 2:
            raise ValueError(f"callbacks.checkpoint.keep={keep}: at least 2, one may be damaged")
        self.save_every, self.keep = save_every, keep
        self.last_saved = -1
        self._wanted = False  # a save that waits for the look

    def setup(self, trainer: Trainer, pl_module: GenerativeModel, stage: str) -> None:
        trainer.run.checkpoint = self

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        self.last_saved = pl_module.clock.examples

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        trainer.strategy.checkpoint_io.look()
        now = pl_module.clock.examples
        if now // self.save_every > self.last_saved // self.save_every:
            self._wanted = look_follows(trainer, batch_idx)
            if not self._wanted:
                self.save(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if self._wanted:
            self._wanted = False
            self.save(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if pl_module.clock.examples != self.last_saved:
            self.save(trainer, pl_module)
        self.finish(trainer)

    def finish(self, trainer: Trainer) -> None:
        """Until what was saved is on disk; then only the newest `keep` are left."""
        trainer.strategy.checkpoint_io.wait()
        if trainer.is_global_zero:
            for old in saved(trainer.run.folder / FOLDER)[: -self.keep]:
                trainer.strategy.remove_checkpoint(old)

    def save(self, trainer: Trainer, model: GenerativeModel) -> Path:
        """Save what is now, in the background; refuses to write a number that is not finite."""
        for name, p in model.named_parameters():
            if not torch.isfinite(p.detach()).all():
                raise FloatingPointError(f"{name} is not finite: no checkpoint was written")
        self.finish(trainer)  # so that no more than `keep` and this one are ever on the disk
        self.last_saved = model.clock.examples
        path = trainer.run.folder / FOLDER / f"examples={model.clock.examples:012d}.ckpt"
        trainer.save_checkpoint(path)
        return path

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: GenerativeModel, checkpoint: dict[str, Any]
    ) -> None:
        state = trainer.datamodule.state() if trainer.datamodule is not None else {}
        settings = {k: v for k, v in trainer.run.settings.items() if k in REBUILDS}
        checkpoint["genlab"] = {"settings": settings, "data_state": state}


def saved(folder: Path) -> list[Path]:
    """The checkpoints on disk, oldest first."""
    names = [p for p in folder.glob("examples=*.ckpt") if re.search(r"=\d+\.ckpt$", p.name)]
    return sorted(names, key=lambda p: p.name)
