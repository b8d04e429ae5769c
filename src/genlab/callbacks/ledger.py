"""The ledger: metrics.jsonl, one row per event, appended and never rewritten.

Rows: {"kind": "train"|"look"|"evaluate"|"end", "examples", "batches", "seconds", name: value, ...};
of the doctor's "signs", and "finding" with its cause, evidence and what to try. From then on each
row names the signs that were found ("findings"), so that the end of a ledger says so too.
Where the system shows it, "energy/joules" says what the processors used since the run began.
Terms are summed on the device and read every `log_every` batches, in one transfer: `self.log` would
cost 0.3 to 0.5 ms a term and a step. The same rows go to the loggers (wandb), whose x-axis is
examples.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from genlab.joules import NAME as JOULES
from genlab.joules import Joules
from genlab.models.base import GenerativeModel
from genlab.own import open_to_append
from genlab.rows import line_of, read_rows
from genlab.shown import number


class Ledger(Callback):
    """Writes the run's rows, and hands them to the loggers."""

    def __init__(self, *, log_every: int = 50) -> None:
        """`log_every`: batches between two train rows."""
        if log_every < 1:
            raise ValueError(f"callbacks.ledger.log_every={log_every}: at least 1 batch")
        self.log_every = log_every
        self.latest: dict[str, float] = {}
        self._file = None
        self._sums: list = []  # of a resumed run's row that was being gathered
        self._rows = 0  # train and look rows since the run's first batch
        self._began: float | None = None
        self.seconds_before = self.joules_before = 0.0  # of the sessions before a resume
        self._joules = Joules()

    def setup(self, trainer: Trainer, pl_module: GenerativeModel, stage: str) -> None:
        trainer.run.ledger, self.path = self, trainer.run.folder / "metrics.jsonl"
        if self._began is not None:  # the baseline look was before
            return
        rows = read_rows(self.path) if trainer.is_global_zero else []
        self.seconds_before = max((r.get("seconds", 0.0) for r in rows), default=0.0)
        self.joules_before = max((number(r.get(JOULES)) or 0.0 for r in rows), default=0.0)
        self._began, self._joules = time.perf_counter(), Joules()

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        trainer.run.began = True
        self._mark, self._mark_examples = time.perf_counter(), pl_module.clock.examples
        for names, total, num in self._sums:
            pl_module.terms[tuple(names)] = (total.to(pl_module.device), num)
        self._sums = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % (self.log_every * trainer.accumulate_grad_batches):
            return
        model, now = pl_module, time.perf_counter()
        terms = model.flush()
        if trainer.run.guard is not None:
            trainer.run.guard.watch(trainer, model, terms)
        examples = model.clock.examples - self._mark_examples
        values = {f"train/{k}": v for k, v in terms.items()}
        values["train/lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        values["speed/examples_per_second"] = examples / max(now - self._mark, 1e-9)
        self._mark, self._mark_examples = now, model.clock.examples
        self.write(trainer, model, "train", values)

    def write(
        self, trainer: Trainer, model: GenerativeModel, kind: str, values: dict[str, float],
        *, said: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Append one row, on the first rank, and log its values; `said`: what is no figure."""
        if trainer.world_size > 1 and kind == "train":
            values = _mean_over_ranks(trainer, model, values)
        self.latest.update(values)
        if not trainer.is_global_zero:
            return
        if (joules := self._joules.spent()) is not None:
            values = {**values, JOULES: round(self.joules_before + joules, 1)}
        clock = model.clock
        seconds = self.seconds_before + time.perf_counter() - self._began
        row = {
            "kind": kind,
            "examples": clock.examples,
            "batches": clock.batches,
            "seconds": round(seconds, 3),
            **values,
            **(said or {}),
        }
        if trainer.run.doctor is not None and trainer.run.doctor.told:
            row["findings"] = sorted(trainer.run.doctor.told)
        if self._file is None:
            self._file = open_to_append(self.path)
        self._file.write(line_of(row))
        self._rows += kind in ("train", "look")
        for logger in trainer.loggers:
            logger.log_metrics({"examples": clock.examples, **values}, step=clock.batches)
        if trainer.run.doctor is not None:
            trainer.run.doctor.read(trainer, model, row)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if terms := pl_module.flush():
            self.write(trainer, pl_module, "train", {f"train/{k}": v for k, v in terms.items()})
        said = {"state": trainer.run.ended} if trainer.run.ended else None
        self.write(trainer, pl_module, "end", {}, said=said)
        self.close()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: GenerativeModel, checkpoint: dict[str, Any]
    ) -> None:
        """How many rows there are, and the sums of the row that is being gathered."""
        sums = [[list(names), *held] for names, held in pl_module.terms.items()]
        checkpoint["ledger"] = {
            "rows": self._rows,
            "terms": [[n, total.cpu(), num] for n, total, num in sums],
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: GenerativeModel, checkpoint: dict[str, Any]
    ) -> None:
        held = checkpoint.get("ledger", {"rows": 0, "terms": []})
        self._rows = held["rows"]
        if trainer.world_size == 1:  # the checkpoint holds the first rank's sums only
            self._sums = held["terms"]

    def on_exception(self, trainer: Trainer, pl_module: GenerativeModel, exception) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _mean_over_ranks(
    trainer: Trainer, model: GenerativeModel, values: dict[str, float]
) -> dict[str, float]:
    """Each rank saw its share of the batch: the loss of the whole is the mean of the shares'."""
    together = torch.tensor(list(values.values()), device=model.device, dtype=torch.float64)
    return dict(zip(values, trainer.strategy.reduce(together, reduce_op="mean").tolist()))
