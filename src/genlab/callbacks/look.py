"""A look: held-out loss, and samples drawn from the same seeds, every so many examples.

It hangs on Lightning's validation, which comes every `look_every` examples, before the first step
(the baseline) and after the last. The averaged weights are in place then (EMA comes after it in the
list). The baseline shows real held-out examples beside fewer samples of what has learnt nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from genlab.batch import Cond, each
from genlab.callbacks.checkpoint import is_last
from genlab.callbacks.meter import Meter
from genlab.metrics.report import in_turn
from genlab.models.base import GenerativeModel
from genlab.own import own_folder

PIECE = 5.0  # seconds of drawing between two signs of life, about
BEGINNING = 4  # samples in the first piece, which tells how long one takes
SHARE = 0.1  # of budget.minutes that drawing a look's samples may take
REAL = 512  # held-out examples that the real ones shown are taken from


class Look(Callback):
    """Writes a "look" row, and samples/EXAMPLES.png or .txt; at the baseline samples/real too."""

    def __init__(
        self, *, num: int = 64, first: int = 16, first_seconds: float = 5.0, seed: int = 0
    ) -> None:
        """`num` samples drawn from `seed`; 0 draws none.

        first: samples at the baseline; first_seconds: after this long no more of them are begun,
        at other looks after a tenth of budget.minutes.
        """
        for key, value in (("num", num), ("first", first), ("first_seconds", first_seconds)):
            if value < 0:
                raise ValueError(f"callbacks.look.{key}={value}: at least 0")
        self.num, self.first, self.first_seconds, self.seed = num, first, first_seconds, seed
        self._pace: float | None = None  # seconds a sample takes

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
            values = dict(zip(self._names, (both[:-1] / both[-1]).tolist())) | model.over_look()
            values = {f"val/{k}": v for k, v in values.items()}
            for name, value in values.items():
                model.log(name, value, logger=False)  # for EarlyStopping and the like
        trainer.run.ledger.write(trainer, model, "look", values)
        baseline = model.clock.examples == 0
        num = min(self.num, self.first) if baseline else self.num
        if self.num and baseline and trainer.is_global_zero:
            x, cond = real_examples(trainer.datamodule, self.num)
            self._show(trainer, model, "real", x, cond)
        together = getattr(trainer.strategy, "sharded", False)  # then all ranks draw, the same
        if not num or not (trainer.is_global_zero or together):
            return
        cond, given = trainer.datamodule.looks(num)
        cond = model.conditions.heard(cond)
        began = time.perf_counter()
        limit = self.first_seconds if baseline else allowed(trainer)
        ends = (lambda since: False) if together else self._ends(trainer, limit)
        x = self._draw(model, num, cond, given, together=together, ends=ends)
        trainer.run.sample_seconds = (time.perf_counter() - began) / len(x)
        if trainer.is_global_zero:
            trainer.run.drawn = (x, cond)
            known = given["x"] if given else None
            self._show(trainer, model, f"{model.clock.examples:012d}", x, cond, known)

    @staticmethod
    def _ends(trainer: Trainer, limit: float) -> Callable[[float], bool]:
        """Whether no more samples are begun after so many seconds: out of time, or stopped."""
        return lambda seconds: seconds > limit or trainer.run.stopping

    def _draw(
        self, model: GenerativeModel, num: int, cond: Any, given: Any, *, together: bool,
        ends: Callable[[float], bool],
    ) -> Tensor:  # fmt: skip
        """`num` samples on the CPU, in pieces of some seconds; fewer where it `ends` before.

        Ranks that draw `together` do it at once: no clock of one's own may part them.
        """
        rows: list[Tensor] = []
        began, done = time.perf_counter(), 0
        with Meter("looking") as meter:
            while done < num:
                pace = self._pace
                size = num if together else BEGINNING if pace is None else int(PIECE / pace) + 1
                size = min(size, num - done)
                start = time.perf_counter()
                part = slice(done, done + size)
                asked = [
                    each(lambda rows, at=part: rows[at].to(model.device), whole)
                    for whole in (cond, given)
                ]
                rows.append(model.sample(size, *asked, seed=self.seed, first=done).cpu())
                done, now = done + size, time.perf_counter()
                self._pace = max(1e-6, (now - start) / size)
                meter("drawing", done / num)
                if ends(now - began):
                    break
        return torch.cat(rows)

    def _show(
        self, trainer: Trainer, model: Any, stem: str, x: Tensor, cond: Any, known: Any = None
    ) -> None:
        data = trainer.datamodule
        items = data.decode(x)
        captions = data.captions(*(each(lambda rows: rows[: len(x)], c) for c in (cond, known)))
        folder = own_folder(trainer.run.folder / "samples")
        path = data.view.save(items, folder / stem, captions)
        name = "samples" if stem != "real" else stem
        for logger in trainer.loggers:
            data.view.log(logger, name, items, path, step=model.clock.batches)


def allowed(trainer: Trainer) -> float:
    """Seconds that drawing may take."""
    minutes = trainer.run.settings["budget"].get("minutes")
    return math.inf if minutes is None else SHARE * 60 * minutes


def real_examples(data: Any, num: int) -> tuple[Tensor, Cond | None]:
    """Held-out examples to look at beside samples, classes in turn: x and cond."""
    batch = data.val.batch(torch.arange(min(len(data.val), max(num, REAL))), None)
    x, cond = batch["x"], batch.get("cond")
    labels = isinstance(cond, Tensor) and cond.dim() == 1 and not cond.is_floating_point()
    order = (in_turn(cond) if labels else torch.arange(len(x)))[:num]
    return x[order], each(lambda rows: rows[order], cond)
