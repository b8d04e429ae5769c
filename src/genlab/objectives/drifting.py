"""Drifting: one pass from noise to data; training moves what is drawn towards the data.

Read: `drift` is the field, `Drifting.loss` what is done with it. Deng et al. 2026 (arXiv
2602.04770).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.objectives.diffusion import Flow, NetFn, Time, levels
from genlab.rng import randn_like
from genlab.shapes import per_example

FAR = 1e6  # of an example to itself, among those that it is pushed away from


def drift(x: Tensor, data: Tensor, drawn: Tensor, temperature: float) -> Tensor:
    """V [N, D] at x [N, D], towards data [P, D] and away from what is drawn [Q, D]: algorithm 2.

    Weights fall as exp(-distance / temperature) and are normalised over both the examples and x;
    those of data are multiplied by what of x's weight is on the drawn and the other way round, so
    that V changes its sign where data and drawn are exchanged: it is 0 where they are alike.
    """
    own = torch.eye(len(x), len(drawn), device=x.device) if drawn is x else 0.0
    far = torch.cat([torch.cdist(x, data), torch.cdist(x, drawn) + FAR * own], dim=1)
    logits = -far / temperature
    weight = (logits.softmax(1) * logits.softmax(0)).sqrt()
    to, fro = weight[:, : len(data)], weight[:, len(data) :]
    return (to * fro.sum(1, keepdim=True)) @ data - (fro * to.sum(1, keepdim=True)) @ drawn


class Drifting(Flow):
    """x = net(eps): E |f - stopgrad(f + V(f))|^2 (eq. 6), V from a batch of data and of draws.

    Distances are in the values themselves, divided by their mean over the batch; V has length 1 a
    value at each temperature, and the temperatures' are added (appendix A.6). Images of more than a
    few dozen classes of looks want features in the values' place (section 5), which is not here. A
    large batch is what it lives on: all of its examples are compared.
    """

    offers = ("end",)
    unconditional = True  # V would have to be each condition's own

    def __init__(self, *, temperatures: Sequence[float] = (0.02, 0.05, 0.2)) -> None:
        super().__init__()
        if not temperatures or min(temperatures) <= 0:
            raise ValueError(
                f"objective.temperatures={list(temperatures)}: at least one, all above 0"
            )
        self.temperatures = tuple(temperatures)

    def loss(self, net_fn: NetFn, x0: Tensor, seen: int | None = None) -> Tensor:
        """Of held-out examples |V|^2 without its normalisation, which tells how far it is."""
        eps = randn_like(x0)
        f = net_fn(eps, torch.ones_like(eps.flatten(1)[:, 0])).float().flatten(1)
        with torch.no_grad():
            data, drawn = x0.float().flatten(1), f.detach()
            scale = torch.cdist(drawn, data).mean().clamp(min=1e-6)  # the mean distance is 1
            root = math.sqrt(f.shape[1])
            fields = [drift(drawn, data, drawn, float(t * scale)) for t in self.temperatures]
            if seen is None:
                return per_example((sum(fields) * root / scale) ** 2)
            V = sum(v / v.square().mean().sqrt().clamp(min=1e-8) for v in fields)
        f = f * root / scale  # of deviation near 1 a value
        return per_example((f - (f.detach() + V)) ** 2)

    def times(self, num_steps: int) -> Tensor:
        if num_steps != 1:
            raise ValueError(
                f"sampler.num_steps={num_steps}: objective=drifting draws in one step; write 1"
            )
        return super().times(1)

    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        """net(x): at t = 1, where x is noise alone, and nowhere else."""
        return net_fn(x, levels(t, x)[0])

    def drift(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        return self.along(self.denoise(net_fn, x, t), x, t)
