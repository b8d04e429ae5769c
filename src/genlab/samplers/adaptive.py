"""A solver whose steps are as long as a tolerance allows, each example's by itself.

Dormand and Prince 1980: orders 5 and 4 from seven evaluations, of which the last is the next
step's first; Shampine 1986 for the choice of steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.samplers import schedules
from genlab.samplers.diffusion import NetFn, Path, Solver
from genlab.shapes import append_dims, per_example

# each row: the weights of the stages so far; the last is the solution of order 5
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
WHEN = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
SAFETY, LEAST, MOST = 0.9, 0.2, 5.0


@dataclass(frozen=True, kw_only=True)
class RK45(Solver):
    """Adaptive Runge-Kutta for the probability-flow ODE (Song et al. 2021, appendix D.4: RK45).

    Each example's steps are its own, so that it does not depend on its neighbours. `num_steps` are
    the levels between which it may not leap: the first guess of its steps, and what is given is put
    in at each. From the last of them above 0 it goes to D, if the path's drift has no value at 0.
    """

    num_steps: int = 4
    tolerance: float = 1e-4  # of an example's root mean square error a step, absolute and relative
    most: int = 1000  # tries between two levels

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tolerance <= 0 or self.most < 1:
            raise ValueError(
                f"sampler.tolerance={self.tolerance} most={self.most}: the first above 0, the"
                " second at least 1"
            )
        if self.resample > 1:
            raise ValueError("sampler.resample: steps of free length have no tries; write 1")

    def step(self, path, net_fn, x, t, s, draws, memory):
        if s == 0 and not schedules.ends_at_0(path):
            return path.alpha_sigma(s)[0] * path.denoise(net_fn, x, t), None
        now = x.new_full((len(x),), t, dtype=torch.float64)
        h = (memory if memory is not None else torch.full_like(now, abs(t - s))).clamp(max=t - s)
        first = path.drift(net_fn, x, now)
        for _ in range(self.most):
            left = now - s
            if not (left > 0).any():
                return x, h
            step = torch.minimum(h, left)
            new, last, error = self._try(path, net_fn, x, now, step, first)
            scale = self.tolerance * (1 + per_example(x.square()).sqrt())
            error = (per_example(error.square()).sqrt() / scale).double()
            taken = (error <= 1) & (left > 0)
            wide = append_dims(taken, x)
            x, first = torch.where(wide, new, x), torch.where(wide, last, first)
            now = torch.where(taken, torch.where(step == left, s, now - step), now)
            factor = (SAFETY * error.clamp(min=1e-10) ** -0.2).clamp(LEAST, MOST)
            h = torch.where(left > 0, torch.where(taken & (step < h), h, step * factor), h)
        raise ValueError(
            f"sampler.tolerance={self.tolerance}: not reached in sampler.most={self.most} tries"
            f" from {t:.4g} to {s:.4g}; raise one of them"
        )

    @staticmethod
    def _try(path: Path, net_fn: NetFn, x: Tensor, t: Tensor, step: Tensor, first: Tensor):
        """x at t - step, its drift there, and the difference of the orders 5 and 4."""
        wide = append_dims(step, x).to(x.dtype)
        drifts, new = [first], x
        for weights, when in zip(STAGES, WHEN, strict=True):
            move = sum(w * d for w, d in zip(weights, drifts, strict=True))
            new = x - wide * move
            drifts.append(path.drift(net_fn, new, t - when * step))
        error = wide * sum(w * d for w, d in zip(ERROR, drifts, strict=True))
        return new, drifts[-1], error
