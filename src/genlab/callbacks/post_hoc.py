"""Post-hoc EMA: averages of any length, chosen after training from snapshots of two.

Read: `PostHocEMA` keeps the two and stores them, `coefficients` says how much of each snapshot
makes an average of another length. Karras et al. 2024 (EDM2, arXiv 2312.02696), section 3 and
appendix C. A length is sigma_rel, the deviation of an average's weighting over training, as a share
of training so far; `genlab evaluate run=RUN ema=0.08` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, Trainer

from genlab.models.base import GenerativeModel
from genlab.own import own_folder

FOLDER = "ema"
LONGEST = 0.28  # the plain mean of all, gamma = 0, has 12^-0.5


def gamma_of(sigma_rel: float) -> float:
    """The power of an average theta(t) = integral of tau^gamma theta(tau) with this deviation.

    (gamma + 1)^0.5 (gamma + 2)^-1 (gamma + 3)^-0.5 = sigma_rel (eq. 126), solved for gamma.
    """
    if not 0 < sigma_rel <= LONGEST:
        raise ValueError(f"ema={sigma_rel}: a share of training, above 0 and at most {LONGEST}")
    t = sigma_rel**-2
    return float(np.roots([1, 7, 16 - t, 12 - t]).real.max())


def coefficients(
    times: Sequence[float], gammas: Sequence[float], time: float, gamma: float
) -> np.ndarray:
    """How much of each of N snapshots makes the average of `gamma` at `time`: [N], least squares.

    Snapshot i is the average of gammas[i] at times[i]. A x = b with the inner products of their
    weightings over training (eq. 134 to 139 and algorithm 3).
    """
    t, g = np.asarray(times, np.float64), np.asarray(gammas, np.float64)

    def product(ta: np.ndarray, ga: np.ndarray, tb: np.ndarray, gb: np.ndarray) -> np.ndarray:
        power = np.where(ta < tb, gb, -ga)
        shared = (ga + 1) * (gb + 1) * (ta / tb) ** power
        return shared / ((ga + gb + 1) * np.maximum(ta, tb))

    A = product(t[:, None], g[:, None], t[None], g[None])
    b = product(t, g, np.float64(time), np.float64(gamma))
    return np.linalg.lstsq(A, b, rcond=1e-13)[0]


class PostHocEMA(Callback):
    """Two averages beside the run's own; every `snapshot_every` examples both are stored.

    They lie in the run's folder, ema/examples=N.safetensors, as tensors `SIGMA/WEIGHT` in float32:
    twice the weights each.
    """

    def __init__(self, *, snapshot_every: int, sigma_rel: Sequence[float] = (0.05, 0.10)) -> None:
        """`snapshot_every` in examples; a run wants a few dozen of them."""
        super().__init__()
        if snapshot_every < 1 or len(set(sigma_rel)) < 2:
            raise ValueError(
                f"callbacks.post_hoc: snapshot_every={snapshot_every} must be at least 1, and"
                f" sigma_rel={list(sigma_rel)} two lengths or more"
            )
        self.snapshot_every = snapshot_every
        self.gammas = {f"{s:g}": gamma_of(s) for s in sigma_rel}
        self.averages: dict[str, dict[str, torch.Tensor]] = {}
        self.seen = 0  # examples that the averages have followed
        self.stored = 0  # the number of the last snapshot, in snapshot_every

    def setup(self, trainer: Trainer, pl_module: GenerativeModel, stage: str) -> None:
        if getattr(trainer.strategy, "sharded", False):
            raise ValueError(
                "callbacks.post_hoc: not with trainer=fsdp, which holds no whole model"
            )

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModel, outputs, batch, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        now = pl_module.clock.examples
        self.follow(pl_module, now)
        if now // self.snapshot_every > self.stored and trainer.is_global_zero:
            self.store(trainer, now)
        self.stored = now // self.snapshot_every

    def follow(self, model: torch.nn.Module, now: int) -> None:
        """theta_gamma(t) <- beta theta_gamma + (1 - beta) theta, beta = (t_before / t)^(gamma + 1).

        Equation 127 for a step of any number of examples; at first it is theta itself.
        """
        weights = {k: p.detach().float() for k, p in model.named_parameters() if p.requires_grad}
        for name, gamma in self.gammas.items():
            mine = self.averages.setdefault(name, {k: w.clone() for k, w in weights.items()})
            beta = (self.seen / now) ** (gamma + 1)
            kept = [mine[k] for k in weights]
            torch._foreach_lerp_(kept, list(weights.values()), 1 - beta)
        self.seen = now

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        """One more at the end, so that an average of the whole run can be made."""
        if self.averages and trainer.is_global_zero:
            self.store(trainer, self.seen)

    def store(self, trainer: Trainer, now: int) -> None:
        from safetensors.torch import save_file

        file = own_folder(trainer.run.folder / FOLDER) / f"examples={now:012d}.safetensors"
        state = {
            f"{name}/{k}": w.cpu() for name, of in self.averages.items() for k, w in of.items()
        }
        save_file(state, file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)  # whole, or not at all

    def state_dict(self) -> dict[str, Any]:
        return {"averages": self.averages, "seen": self.seen, "stored": self.stored}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.averages, self.seen = state["averages"], state["seen"]
        self.stored = state["stored"]
