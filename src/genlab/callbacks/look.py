"""A look: held-out loss, and samples drawn from the same seeds, every so many examples.

It hangs on Lightning's validation, which comes every `look_every` examples, before the first step
(the baseline) and after the last. The averaged weights are in place then (EMA comes after it in the
list).
"""

from __future__ import annotations

import time

import torch
from pytorch_lightning import Callback, Trainer

from genlab.callbacks.checkpoint import is_last
from genlab.models.base import GenerativeModel


class Look(Callback):
    """Writes a "look" row, and samples/EXAMPLES.png or .txt."""

    def __init__(self, *, num: int = 64, seed: int = 0) -> None:
        """`num` samples drawn from `seed`; 0 draws none."""
        if num < 0:
            raise ValueError(f"callbacks.look.num={num}: at least 0")
        self.num, self.seed = num, seed

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        if is_last(trainer):
            trainer.should_stop = True  # then Lightning looks once more, wherever it stands

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        self._began = time.monotonic()
        self._names: list[str] = []
        self._sum, self._count = None, 0

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int, *args
    ) -> None:
        size = len(batch["x"])
        total = torch.stack([t.detach().double().mean() * size for t in outputs.values()])
        self._names, self._count = list(outputs), self._count + size
        self._sum = total if self._sum is None else self._sum + total

    def on_validation_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        trainer.run.look_seconds = time.monotonic() - self._began

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        model = pl_module
        values = {}
        if self._sum is not None:
            count = torch.tensor([float(self._count)], dtype=torch.float64, device=model.device)
            both = torch.cat([self._sum, count])
            if trainer.world_size > 1:
                both = trainer.strategy.reduce(both, reduce_op="sum")
            values = {f"val/{k}": v for k, v in zip(self._names, (both[:-1] / both[-1]).tolist())}
            for name, value in values.items():
                model.log(name, value, logger=False)  # for EarlyStopping and the like
        trainer.run.ledger.write(trainer, model, "look", values)
        sharded = getattr(trainer.strategy, "sharded", False)  # then all draw, the same
        if self.num and (trainer.is_global_zero or sharded):
            data = trainer.datamodule
            cond, given = data.looks(self.num)
            cond = cond.to(model.device) if cond is not None else None
            began = time.monotonic()
            x = model.sample(self.num, cond, given, seed=self.seed)
            trainer.run.sample_seconds = (time.monotonic() - began) / self.num
            if not trainer.is_global_zero:
                return
            stem = trainer.run.folder / "samples" / f"{model.clock.examples:012d}"
            items = data.decode(x.cpu())
            path = data.view.save(items, stem, data.captions(cond))
            for logger in trainer.loggers:
                data.view.log(logger, "samples", items, path, step=model.clock.batches)
