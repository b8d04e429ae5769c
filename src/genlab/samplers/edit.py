"""From data up to noise, and down again from anywhere: inversion, and pictures made of pictures.

Read: `undone` goes back a sampler's own steps, `to_noise` walks the probability-flow ODE upwards;
`from_noise` goes down from noise that is given, `from_level` from an example that is noised to a
level (Meng et al. 2022, SDEdit, arXiv 2108.01073).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from genlab.samplers import schedules
from genlab.samplers.diffusion import NetFn, Noise, Path, Solver
from genlab.shapes import append_dims


def _refuse_without_ode(path: Path) -> None:
    if "slope" not in getattr(path, "offers", ("slope",)):
        raise ValueError(
            f"objective {type(path).__name__} has no ODE to walk up; one of edm, ddpm, flow has"
        )


class _None:
    """What a step that is to be undone may not ask for."""

    def randn(self, shape: Any) -> Tensor:
        raise ValueError("sampler: its steps draw noise and cannot be undone; write sampler=heun")


def undone(
    sampler: Solver, path: Path, net_fn: NetFn, x: Tensor, *, tries: int = 50, near: float = 1e-5
) -> Tensor:
    """The noise [B, *shape] that the sampler makes into x [B, *shape]: each step is gone back.

    A step from t to s is x_s = F(x_t); y + (x_s - F(y)), again and again, comes to x_t (Pan et al.
    2023, arXiv 2309.04907, section 3), whatever error F makes of its ODE. An example's tries end
    where it is `near` of its own size. ValueError of steps too long for that, of steps that draw
    noise, and of those that look back at others.
    """
    _refuse_without_ode(path)
    times = schedules.levels(sampler.schedule, path, sampler.num_steps).tolist()
    for t, s in reversed(list(pairwise(times))):
        y, first, away = x, None, torch.empty(0)
        for _ in range(tries):
            F, memory = sampler.step(path, net_fn, y, t, s, _None(), None)
            if memory is not None:
                raise ValueError(
                    f"sampler {type(sampler).__name__}: its steps look back at those before, so"
                    " they cannot be undone one by one; write sampler=heun, euler or ddim"
                )
            away = (x - F).flatten(1).norm(dim=1)
            first = away if first is None else first
            left = away > near * (1 + y.flatten(1).norm(dim=1))
            if not left.any():
                break
            y = torch.where(append_dims(left, y), y + (x - F), y)
        if not (away <= 1.01 * first).all():  # or is no number
            raise ValueError(
                f"sampler.num_steps={sampler.num_steps}: steps too long to be undone; write"
                f" sampler.num_steps={2 * sampler.num_steps}"
            )
        x = y
    return x / float(path.start(torch.ones((), dtype=torch.float64), times[0]))


def to_noise(path: Path, net_fn: NetFn, x: Tensor, *, num_steps: int = 50) -> Tensor:
    """x_0 [B, *shape] -> the eps [B, *shape] from which the ODE comes to it.

    By the classical method of order 4, four evaluations a step (Song et al. 2021, arXiv 2011.13456,
    section 4.3: the encoding is unique).
    """
    if num_steps < 1:
        raise ValueError(f"num_steps={num_steps}: at least 1")
    _refuse_without_ode(path)
    name = "karras" if path.num_levels is None else "own"
    up = schedules.levels(name, path, num_steps).tolist()[::-1]
    top = float(path.times(num_steps)[0])
    up[-1] = top
    if not schedules.ends_at_0(path):  # the last step of sampling is one of Euler's, from here
        x, up = x + up[1] * path.drift(net_fn, x, up[1]), up[1:]
    for t, s in pairwise(up):
        h = s - t
        k1 = path.drift(net_fn, x, t)
        k2 = path.drift(net_fn, x + h / 2 * k1, t + h / 2)
        k3 = path.drift(net_fn, x + h / 2 * k2, t + h / 2)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + path.drift(net_fn, x + h * k3, s))
    return x / float(path.start(x.new_ones(()), top))


def from_noise(sampler: Solver, path: Path, net_fn: NetFn, draws: Noise, eps: Tensor) -> Tensor:
    """The sample [B, *shape] that the sampler makes of the noise eps."""
    times = schedules.levels(sampler.schedule, path, sampler.num_steps).tolist()
    return sampler.walk(path, net_fn, draws, path.start(eps, times[0]), times)


def from_level(
    sampler: Solver, path: Any, net_fn: NetFn, draws: Noise, x: Tensor, level: float
) -> Tensor:
    """x [B, *shape] noised to sigma / alpha = `level` and drawn from there by the levels below."""
    if not 0 < level < math.inf:
        raise ValueError(f"level={level}: sigma / alpha, a finite number above 0")
    times = schedules.levels(sampler.schedule, path, sampler.num_steps)
    top = float(path.at_ratio(times.new_tensor(level)))
    if top >= float(times[0]):
        raise ValueError(f"level={level}: the sampler begins below it, at {float(times[0]):.4g}")
    below = [t for t in times.tolist() if t < top]
    return sampler.walk(
        path, net_fn, draws, path.noised(x, draws.randn(x.shape[1:]), top), [top, *below]
    )
