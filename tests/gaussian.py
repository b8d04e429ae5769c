"""The closed form that samplers and objectives are tested against: data x_0 ~ N(0, s^2).

Then x_t = alpha x_0 + sigma eps is normal too, E[x_0 | x_t] is linear in x_t, and the
probability-flow ODE keeps x_t / std(x_t). The networks below are exact, in terms of what each
objective shows a network.
"""

from __future__ import annotations

import math

import torch

from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.objectives.flows import CosineFlow

S = 0.7  # not EDM's sigma_data, so that the network has something to say


def edm_net(path: EDM):
    def net_fn(x, c_noise):
        sigma = (4 * c_noise)[:, None].exp()
        total = sigma**2 + path.sigma_data**2
        x = x * total.sqrt()
        D = S**2 / (S**2 + sigma**2) * x
        return (D - path.sigma_data**2 / total * x) / (sigma * path.sigma_data / total.sqrt())

    return net_fn


def ddpm_net(path: DDPM):
    def net_fn(x, level):
        index = (level * path.num_levels).round().long()
        abar = (1 / (1 + path.sigmas()[index] ** 2))[:, None].to(x)
        variance = abar * S**2 + 1 - abar
        x0, eps = abar.sqrt() * S**2 / variance * x, (1 - abar).sqrt() / variance * x
        v = abar.sqrt() * eps - (1 - abar).sqrt() * x0
        return {"x0": x0, "eps": eps, "v": v}[path.prediction]

    return net_fn


def flow_net(path: Flow):
    def net_fn(x, t):
        t = t[:, None]
        return (t - (1 - t) * S**2) / ((1 - t) ** 2 * S**2 + t**2) * x

    return net_fn


def cosine_net(path: CosineFlow):
    def net_fn(x, t):
        alpha, sigma = path.alpha_sigma(t[:, None])
        return alpha * sigma * (1 - S**2) / (alpha**2 * S**2 + sigma**2) * x

    return net_fn


def exact_net(path):
    nets = {EDM: edm_net, DDPM: ddpm_net, CosineFlow: cosine_net, Flow: flow_net}
    return next(net for kind, net in nets.items() if isinstance(path, kind))(path)


def std(path, t: float) -> float:
    """The standard deviation of x_t."""
    alpha, sigma = path.alpha_sigma(t)
    return math.sqrt(alpha**2 * S**2 + sigma**2)


def ode_solution(path, x: torch.Tensor, t: float, s: float = 0.0) -> torch.Tensor:
    return x * std(path, s) / std(path, t)


class Noise:
    """Draws in float64, all from one generator; the first is the start."""

    def __init__(self, num: int = 1, seed: int = 0) -> None:
        self.num, self.generator = num, torch.Generator().manual_seed(seed)

    def randn(self, shape):
        return torch.randn(self.num, *shape, generator=self.generator, dtype=torch.float64)
