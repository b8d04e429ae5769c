"""Checkpoints by examples seen: at even distances and at the end, the newest few kept.

With `best`, one more after each look that is the best so far, which is kept beside the newest. The
ledger alone says which look that is: so a resumed run, whose ledger ends where its checkpoint does,
goes on with the best that it knew there, and every checkpoint that is kept has the best of its time
beside it on the disk.

Where a look comes right after a batch, the checkpoint is written after the look: one written before
would say that the look was done, and a run killed in between would never look.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint

from genlab.models.base import GenerativeModel
from genlab.rows import read_rows
from genlab.shown import number

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

    def __init__(self, *, save_every: int, keep: int = 2, best: str | None = None) -> None:
        """`save_every` in examples; `keep` the newest, at least two so that one may be damaged.

        `best`: the figure of a look (val/loss), less of which is better; None keeps none.
        """
        if keep < 2:
            raise ValueError(f"callbacks.checkpoint.keep={keep}: at least 2, one may be damaged")
        self.save_every, self.keep, self.best = save_every, keep, best
        self.last_saved = -1
        self._wanted = False  # a save that waits for the look

    def setup(self, trainer: Trainer, pl_module: GenerativeModel, stage: str) -> None:
        trainer.run.checkpoint = self

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        self.last_saved = pl_module.clock.examples
        if self.best is not None and not trainer.enable_validation:
            raise ValueError(
                f"callbacks.checkpoint.best={self.best}: without looks there is no best one: write"
                " look_every=EXAMPLES, or callbacks.checkpoint.best=null"
            )

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
        wanted, self._wanted = self._wanted, False
        now = pl_module.clock.examples
        if self.best is not None and now > 0 and now != self.last_saved:
            wanted |= self._is_best(trainer, now)
        if wanted:
            self.save(trainer, pl_module)

    def _is_best(self, trainer: Trainer, now: int) -> bool:
        """Whether the look that was just written is the best; the first rank's ledger says it."""
        if self.best not in trainer.callback_metrics:
            names = sorted(k for k in trainer.callback_metrics if k.startswith("val/"))
            raise ValueError(
                f"callbacks.checkpoint.best={self.best}: looks give {', '.join(names)}"
            )
        found = None
        if trainer.is_global_zero:
            found = best_look(read_rows(trainer.run.folder / "metrics.jsonl"), self.best) == now
        return trainer.strategy.broadcast(found)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if pl_module.clock.examples != self.last_saved:
            self.save(trainer, pl_module)
        self.finish(trainer)

    def finish(self, trainer: Trainer) -> None:
        """Until what was saved is on disk; then only the newest `keep` are left."""
        trainer.strategy.checkpoint_io.wait()
        if trainer.is_global_zero:
            for old in self.not_kept(trainer.run.folder):
                trainer.strategy.remove_checkpoint(old)

    def not_kept(self, run: Path) -> list[Path]:
        """The checkpoints that are neither among the newest nor the best at the time of one."""
        files = saved(run / FOLDER)
        kept = {number_of(file) for file in files[-self.keep :]}
        if self.best is not None and len(files) > self.keep:
            rows = read_rows(run / "metrics.jsonl")
            kept |= {best_look(rows, self.best, until=number) for number in kept}
        return [file for file in files if number_of(file) not in kept]

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
        sets = trainer.run.trained_on
        checkpoint["genlab"] = {"settings": settings, "data_state": state, "trained_on": sets}


def saved(folder: Path) -> list[Path]:
    """The checkpoints on disk, oldest first."""
    names = [p for p in folder.glob("examples=*.ckpt") if re.search(r"=\d+\.ckpt$", p.name)]
    return sorted(names, key=lambda p: p.name)


def number_of(file: Path) -> int:
    """The examples that a checkpoint's run had seen."""
    return int(file.stem.partition("=")[2])


def best_look(
    rows: Sequence[dict[str, Any]], figure: str, *, until: int | None = None
) -> int | None:
    """After how many examples the look with the least `figure` was, the first of equal ones.

    `until`: of those after at most so many examples; the baseline, before any training, is none.
    """

    def value(row: dict[str, Any]) -> float:
        found = number(row.get(figure))  # of a ledger that may be foreign
        return math.inf if found is None or math.isnan(found) else found

    looks = [
        row
        for row in rows
        if row["kind"] == "look"
        and 0 < row.get("examples", 0) <= (math.inf if until is None else until)
        and value(row) < math.inf
    ]
    return min(looks, key=value)["examples"] if looks else None
