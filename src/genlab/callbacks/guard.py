"""Stops a run whose numbers are no longer finite before they reach the weights, or skips the batch.

On the CPU loss and gradients are looked at before every update. Elsewhere reading a number would
wait for the device, so what is found stays there: the optimiser itself leaves out the update
(the flag that mixed precision's scaler uses), and the run stops when the ledger next reads, or
before the next checkpoint.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, Trainer
from torch.optim import Optimizer

from genlab.models.base import GenerativeModel
from genlab.own import open_to_append

WHAT = ("stop", "skip")


class NotFinite(FloatingPointError):
    """The loss or a gradient is NaN or infinite; the run ends with exit code 20."""

    exit_code = 20


class Guard(Callback):
    """Keeps NaN and infinity out of the weights; writes not_finite.jsonl with the batch's ids."""

    def __init__(self, *, not_finite: Literal["stop", "skip"] = "stop", most: int = 100) -> None:
        """`not_finite`: "stop" ends the run; "skip" leaves out the update, `most` times at most."""
        if not_finite not in WHAT:
            raise ValueError(f"callbacks.guard.not_finite={not_finite!r}: allowed: stop, skip")
        self.skips, self.most = not_finite == "skip", most
        self.skipped: int = 0
        self._sums: dict[int, Sums] = {}  # by optimiser, where one process trains on a CPU
        # on the device: updates left out, and the first batch of them (-1: none)
        self._marks: torch.Tensor | None = None

    def setup(self, trainer: Trainer, pl_module: GenerativeModel, stage: str) -> None:
        trainer.run.guard, self.path = self, trainer.run.folder / "not_finite.jsonl"
        pl_module.before_update = self._look_at(trainer, pl_module)

    def on_before_backward(
        self, trainer: Trainer, pl_module: GenerativeModel, loss: torch.Tensor
    ) -> None:
        if not self.skips and loss.device.type == "cpu" and not math.isfinite(loss.item()):
            self.stop(trainer, pl_module, "loss")

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: GenerativeModel, optimizer: Optimizer
    ) -> None:
        pl_module.before_update(optimizer)

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if pl_module.device.type == "cpu" and trainer.world_size == 1:
            self._sums = {id(o): Sums(o) for o in trainer.optimizers}

    def _look_at(self, trainer: Trainer, model: GenerativeModel) -> Callable[[Optimizer], None]:
        def before_update(optimizer: Optimizer) -> None:
            if getattr(trainer.precision_plugin, "scaler", None) is not None:
                return  # it looks for itself, and expects some
            sums = self._sums.get(id(optimizer))
            if sums is not None and not sums.doubtful():
                return
            bad = found_not_finite(params_of(optimizer))
            if bad is None:
                return
            if bad.device.type != "cpu" and getattr(optimizer, "_step_supports_amp_scaling", 0):
                self.mark(optimizer, bad, model.batch_now)
            elif bad.item():
                if not self.skips:
                    self.stop(trainer, model, "the gradient")
                optimizer.zero_grad(set_to_none=True)  # without gradients nothing is updated
                self.skip(trainer, model, 1, model.batch_now)

        return before_update

    def mark(self, optimizer: Optimizer, found: torch.Tensor, batch: int) -> None:
        """Without waiting for the device: where `found` is 1, the update is left out."""
        optimizer.found_inf, bad = found, found > 0
        if self._marks is None:
            self._marks = torch.tensor([0, -1], device=found.device)
        count, first = self._marks
        self._marks = torch.stack([count + bad, torch.where(bad & (first < 0), batch, first)])

    def watch(self, trainer: Trainer, model: GenerativeModel, terms: dict[str, float]) -> None:
        """Called with what the ledger has read: the moment when the device is waited for."""
        self.settle(trainer, model)
        for name, value in terms.items():
            if not self.skips and not math.isfinite(value):
                self.stop(trainer, model, name)

    def settle(self, trainer: Trainer, model: GenerativeModel) -> None:
        """Read the marks on the device, and stop if the run is to stop at one."""
        if self._marks is None:
            return
        count, first = self._marks.tolist()
        self._marks = None
        if count and not self.skips:
            self.stop(trainer, model, "the gradient", first)
        if count:
            self.skip(trainer, model, count, first)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        self.settle(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: GenerativeModel, checkpoint: dict[str, Any]
    ) -> None:
        """No checkpoint is written after an update that was left out unseen: it would go on."""
        self.settle(trainer, pl_module)
        checkpoint["guard"] = {"skipped": self.skipped}

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: GenerativeModel, checkpoint: dict[str, Any]
    ) -> None:
        self.skipped = checkpoint.get("guard", {"skipped": 0})["skipped"]

    def skip(self, trainer: Trainer, model: GenerativeModel, count: int, batch: int) -> None:
        self.skipped += count
        self.dump(trainer, model, "the gradient", batch)
        if self.skipped > self.most:
            self.stop(trainer, model, f"the gradient of {self.skipped} batches", batch)

    def stop(
        self, trainer: Trainer, model: GenerativeModel, name: str, batch: int | None = None
    ) -> None:
        batch = model.batch_now if batch is None else batch
        self.dump(trainer, model, name, batch)
        raise NotFinite(
            f"{name} is not finite in batch {batch} ({model.clock.examples:,} examples seen; its"
            f" examples are listed in {self.path}): lower optim.optimizer.lr, set trainer.clip=1,"
            " or leave such batches out by callbacks.guard.not_finite=skip"
        )

    def dump(self, trainer: Trainer, model: GenerativeModel, name: str, batch: int) -> None:
        """A line for each such batch: all that is needed to make it again."""
        if not trainer.is_global_zero:
            return
        ids = trainer.datamodule.train_ids(batch).tolist() if trainer.datamodule else []
        row = {"what": name, "batch": batch, "seed": model.seed, "ids": ids}
        with open_to_append(self.path) as f:
            f.write(json.dumps(row).encode() + b"\n")
        if trainer.run.doctor is not None:
            trainer.run.doctor.broke(trainer, model, name, batch)


class Sums:
    """Sums of an optimiser's gradients on a CPU: NaN and infinity survive a sum.

    A large gradient is summed when the backward pass has just written it and it still lies in the
    cache: half the time of a pass over all of them afterwards.
    """

    large = 1 << 16  # elements

    def __init__(self, optimizer: Optimizer) -> None:
        params = params_of(optimizer)
        self.small = [p for p in params if p.numel() < self.large]
        self.sums: list[torch.Tensor] = []
        for p in params:
            if p.numel() >= self.large:
                p.register_post_accumulate_grad_hook(self._add)

    def _add(self, p: torch.Tensor) -> None:
        self.sums.append(p.grad.sum())

    def doubtful(self) -> bool:
        """Whether a gradient since the last call was not finite, or its sum overflowed."""
        sums, self.sums = self.sums, []
        if not math.isfinite(sum(s.item() for s in sums)):
            return True
        found = found_not_finite(self.small)
        return found is not None and bool(found.item())


def params_of(optimizer: Optimizer) -> list[torch.nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def found_not_finite(params: Iterable[torch.nn.Parameter]) -> torch.Tensor | None:
    """1 if any gradient holds NaN or infinity, else 0, on their device; None without gradients.

    The kernel of torch.amp's scaler, with a scale of 1, which leaves the gradients as they are.
    """
    grads = [p.grad for p in params if p.grad is not None]
    if not grads:
        return None
    found, one = torch.zeros((), device=grads[0].device), torch.ones((), device=grads[0].device)
    for kind in dict.fromkeys((type(g), g.dtype) for g in grads):  # FSDP: of all ranks' shards
        same = [g for g in grads if (type(g), g.dtype) == kind]
        torch._amp_foreach_non_finite_check_and_unscale_(same, found, one)
    return found
