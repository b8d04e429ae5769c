"""Where the time goes: a table of operators over a few batches, then the run ends."""

from __future__ import annotations

import sys

import torch
from pytorch_lightning import Callback, Trainer
from torch.profiler import profile

from genlab.models.base import GenerativeModel


class Profile(Callback):
    """Notes the operators of `batches` batches after `skip` others; prints and keeps the table."""

    def __init__(self, *, skip: int = 10, batches: int = 20, rows: int = 20) -> None:
        """`skip` leaves out what happens only at first; `rows` is the table's length."""
        if skip < 1 or batches < 1:
            raise ValueError("callbacks.profile: skip and batches must be at least 1")
        self.skip, self.batches, self.rows = skip, batches, rows
        self._profile: profile | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: GenerativeModel, batch, batch_idx: int
    ) -> None:
        if batch_idx == self.skip * trainer.accumulate_grad_batches:
            self._profile = profile()
            self._profile.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        if batch_idx + 1 == (self.skip + self.batches) * trainer.accumulate_grad_batches:
            self._profile.stop()
            where = "device" if torch.cuda.is_available() else "cpu"
            table = self._profile.key_averages().table(
                sort_by=f"self_{where}_time_total",
                row_limit=self.rows,
                max_name_column_width=48,
            )
            if trainer.is_global_zero:
                path = trainer.run.folder / "profile.txt"
                path.write_text(table + "\n", encoding="utf-8")
                print(f"{table}\ngenlab: {self.batches} batches; also in {path}", file=sys.stderr)
            trainer.should_stop = True
