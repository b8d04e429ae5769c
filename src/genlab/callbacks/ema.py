"""Exponential moving average of the weights, with its half-life in examples.

Lightning's WeightAveraging holds the average, swaps it in for looks and puts it into checkpoints
(`state_dict` is the average, `current_model_state` the raw weights). Here only the update is own:
the decay follows the batch size, ramps up early (EDM, Karras et al. 2022, appendix F.2), and all
tensors are updated by one fused call.
"""

from __future__ import annotations

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import WeightAveraging

from genlab.models.base import GenerativeModel


class EMA(WeightAveraging):
    """Running average of weights; `half_life` in examples."""

    def __init__(self, *, half_life: int, ramp_up: float | None = 0.05) -> None:
        """`ramp_up`: the half-life is at most this share of the examples seen so far."""
        super().__init__()
        if half_life <= 0:
            raise ValueError(f"callbacks.ema.half_life={half_life} must be positive (examples)")
        self.half_life, self.ramp_up = half_life, ramp_up
        self._pairs: tuple[list, list, list] | None = None

    def setup(self, trainer: Trainer, pl_module: GenerativeModel, stage: str) -> None:
        self._pairs = None
        if getattr(trainer.strategy, "sharded", False):
            if self._average_model is None:  # FSDP: copied while the model is whole
                super().setup(trainer, pl_module, "fit")
        elif stage == "fit":
            # the average is a deep copy of the module: without its ties to the trainer
            super().setup(trainer, pl_module, stage)

    def decay(self, examples: int, batch: int) -> float:
        """What remains of the average when `batch` more examples have been seen."""
        half = self.half_life
        if self.ramp_up is not None:
            half = min(half, examples * self.ramp_up)
        return 0.5 ** (batch / max(half, 1e-8))

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        if self._pairs is None:
            average = self._average_model.module
            both = list(zip(average.parameters(), pl_module.parameters()))
            both = [(a, b) for a, b in both if b.requires_grad]  # what is fixed is its own average
            both += zip(average.buffers(), pl_module.buffers())
            pairs = [(_here(a), _here(b)) for a, b in both]
            floats = [(a, b) for a, b in pairs if a.is_floating_point()]
            others = [(a, b) for a, b in pairs if not a.is_floating_point()]
            self._pairs = [a for a, _ in floats], [b for _, b in floats], others
        averages, current, others = self._pairs
        clock = pl_module.clock
        decay = self.decay(clock.examples, clock.examples // max(1, clock.batches))
        if averages:  # a model that counts has none
            torch._foreach_lerp_(averages, current, 1 - decay)
        for a, b in others:
            a.copy_(b)
        self._latest_update_step = trainer.global_step

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        """Nothing: the average follows examples, not epochs."""

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        """Nothing: Lightning's would put the average into the model before the last save, which
        holds both; a run that trained on from there would begin from other weights."""


def _here(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's values in this process: with FSDP a share of them."""
    return tensor.data.to_local() if hasattr(tensor, "to_local") else tensor.data
