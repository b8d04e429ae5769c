"""From data up to noise, and down again from anywhere: inversion, and pictures made of pictures.

Read: `to_noise` walks the probability-flow ODE upwards, `from_noise` down from noise that is given,
`from_level` from an example that is noised to a level (Meng et al. 2022, SDEdit, arXiv 2108.01073).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from torch import Tensor

from genlab.samplers import schedules
from genlab.samplers.diffusion import NetFn, Noise, Path, Solver


def to_noise(path: Path, net_fn: NetFn, x: Tensor, *, num_steps: int = 50) -> Tensor:
    """x_0 [B, *shape] -> the eps [B, *shape] from which the ODE comes to it.

    By the classical method of order 4, four evaluations a step (Song et al. 2021, arXiv 2011.13456,
    section 4.3: the encoding is unique).
    """
    if num_steps < 1:
        raise ValueError(f"num_steps={num_steps}: at least 1")
    if "slope" not in getattr(path, "offers", ("slope",)):
        raise ValueError(
            f"objective {type(path).__name__} has no ODE to walk up; one of edm, ddpm, flow has"
        )
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
