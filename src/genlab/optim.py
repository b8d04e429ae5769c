"""The optimiser and its learning rate as a function of examples seen.

Read: conf/optim/*.yaml give the numbers; `GenerativeModel.configure_optimizers` calls `build`, and
sets the rate before each batch, so no scheduler's state exists that a resume could lose.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from genlab.clock import warmup_decay

DECAYS = ("constant", "linear", "cosine")


class Optim:
    """How to build an optimiser for a module, and its learning rate over the run."""

    def __init__(
        self,
        optimizer: Callable[..., torch.optim.Optimizer],
        *,
        warmup: int = 0,
        decay: str = "constant",
        final: float = 0.0,
        horizon: int | None = None,
        weight_decay: float = 0.0,
    ) -> None:
        """`optimizer` takes parameter groups; warmup and horizon are in examples.

        Weight decay goes to matrices only (tensors of two or more dimensions): not to gains,
        biases.
        """
        if decay not in DECAYS:
            raise ValueError(f"optim.decay={decay!r}: allowed are {', '.join(DECAYS)}")
        if decay != "constant" and horizon is None:
            raise ValueError(
                f"optim.decay={decay} needs to know its end: set budget.examples or optim.horizon"
            )
        for name, value, most in (
            ("warmup", warmup, None), ("final", final, 1.0), ("weight_decay", weight_decay, None),
        ):  # fmt: skip
            if value < 0 or (most is not None and value > most):
                raise ValueError(
                    f"optim.{name}={value}: at least 0" + (", at most 1" if most else "")
                )
        try:
            optimizer([{"params": [torch.zeros(1, device="cpu", requires_grad=True)]}])
        except (TypeError, ValueError) as error:
            raise ValueError(f"optim.optimizer: {error}") from error
        self.optimizer, self.weight_decay = optimizer, weight_decay
        self.warmup, self.decay, self.final, self.horizon = warmup, decay, final, horizon

    def build(self, *modules: nn.Module) -> torch.optim.Optimizer:
        params = [p for m in modules for p in m.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in params if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = self.optimizer([g for g in groups if g["params"]])
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
        return optimizer

    def factor(self, examples: int, spent: float = 0.0) -> float:
        """The learning rate after `examples`, relative to its peak.

        `spent`: the share of the run's minutes that is over; it falls with whichever is further.
        """
        return warmup_decay(
            examples,
            warmup=self.warmup,
            horizon=self.horizon,
            decay=self.decay,
            final=self.final,
            spent=spent,
        )
