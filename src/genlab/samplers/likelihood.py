"""The density that a denoiser gives to x: its probability-flow ODE, from data to noise.

Read: `log_density` goes up the levels with the classical method of order 4, x and the divergence
of its drift together (Song et al. 2021, arXiv 2011.13456, appendix D.2; Chen et al. 2018, eq. 8).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from genlab.samplers import schedules
from genlab.samplers.diffusion import NetFn, Path
from genlab.shapes import sum_example


class Noise(Protocol):
    """Uniform draws, as torch.rand(shape)."""

    def __call__(self, shape: tuple[int, ...]) -> Tensor: ...


def log_density(
    path: Path,
    net_fn: NetFn,
    x: Tensor,
    *,
    num_steps: int = 50,
    probes: int | None = None,
    rand: Noise = torch.rand,
) -> tuple[Tensor, Tensor | None]:
    """log p(x) in nats [B] of x [B, *shape], and its variance by the probes [B].

    `probes` None takes the divergence exactly, a backward pass for each value of x; a number draws
    so many vectors of +1 and -1 an example (Hutchinson's estimate, their mean), held along the way.
    A variance needs two of them. Four passes of the network and of its gradient a step.
    """
    if num_steps < 1 or (probes is not None and probes < 1):
        raise ValueError(f"num_steps={num_steps} probes={probes}: each at least 1, or probes null")
    if "slope" not in getattr(path, "offers", ("slope",)):
        raise ValueError(
            f"objective {type(path).__name__} has no ODE, so no density by one: leave out"
            " metric=ode_likelihood"
        )
    levels = schedules.levels("karras" if path.num_levels is None else "own", path, num_steps)
    low = 0.0 if schedules.ends_at_0(path) else float(levels[-2])
    top = float(path.times(num_steps)[0])
    up = sorted({low, top, *(t for t in levels.tolist() if low < t < top)})
    if probes is None:
        vs = torch.eye(x[0].numel(), dtype=x.dtype, device=x.device).view(-1, 1, *x.shape[1:])
        vs = vs.expand(-1, *x.shape)
    else:
        vs = (rand((probes, *x.shape)) < 0.5).to(x) * 2 - 1
    y, grown = x, x.new_zeros(len(vs), len(x))

    def slope(y: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """The drift [B, ...] and v . (d drift / d x) v of each v [V, B]."""
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            drift = path.drift(net_fn, y, t)
            along = [
                sum_example(torch.autograd.grad(drift, y, v, retain_graph=i + 1 < len(vs))[0] * v)
                for i, v in enumerate(vs)
            ]
        return drift.detach(), torch.stack(along)

    for t, s in pairwise(up):
        h = s - t
        k1, d1 = slope(y, t)
        k2, d2 = slope(y + h / 2 * k1, t + h / 2)
        k3, d3 = slope(y + h / 2 * k2, t + h / 2)
        k4, d4 = slope(y + h * k3, s)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        grown = grown + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
    deviation = float(path.start(torch.ones((), dtype=torch.float64), top))
    base = -0.5 * sum_example((y / deviation) ** 2)
    base = base - x[0].numel() * (math.log(deviation) + 0.5 * math.log(2 * math.pi))
    if probes is None:
        return base + grown.sum(0), None
    return base + grown.mean(0), (grown.var(0) / probes if probes > 1 else None)
