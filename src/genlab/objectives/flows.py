"""Flow matching on other ways than straight lines between chance pairs.

Read: each is a `Flow` (diffusion.py) of which one thing is different: the path, or who is paired.
"""

from __future__ import annotations

import math

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from genlab.objectives.diffusion import Flow, NetFn, Time, levels
from genlab.rng import randn_like


class CosineFlow(Flow):
    """x_t = cos(pi t / 2) x_0 + sin(pi t / 2) eps: the deviation stays, on a quarter of a circle.

    Albergo & Vanden-Eijnden 2023 (arXiv 2209.15571), section 4 ("trigonometric"). The network
    learns dx_t/dt divided by pi / 2: v = cos eps - sin x_0, of order 1.
    """

    def alpha_sigma(self, t: Time) -> tuple[Time, Time]:
        if isinstance(t, Tensor):
            return (math.pi / 2 * t).cos(), (math.pi / 2 * t).sin()
        return (math.cos(math.pi / 2 * t) if t < 1 else 0.0), math.sin(math.pi / 2 * t)

    def at_ratio(self, ratio: Tensor) -> Tensor:
        return ratio.atan() * 2 / math.pi

    def start(self, eps: Tensor, t: float) -> Tensor:
        return math.sin(math.pi / 2 * t) * eps

    def noised(self, x0: Tensor, eps: Tensor, t: Time) -> Tensor:
        alpha, sigma = self.alpha_sigma(levels(t, x0)[1])
        return alpha * x0 + sigma * eps

    def velocity(self, x0: Tensor, eps: Tensor, t: Time) -> Tensor:
        alpha, sigma = self.alpha_sigma(levels(t, x0)[1])
        return alpha * eps - sigma * x0

    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        """D = cos x_t - sin v."""
        t_1d, t = levels(t, x)
        alpha, sigma = self.alpha_sigma(t)
        return alpha * x - sigma * net_fn(x, t_1d)

    def drift(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        return math.pi / 2 * net_fn(x, levels(t, x)[0])

    def along(self, D: Tensor, x: Tensor, t: Time) -> Tensor:
        alpha, sigma = self.alpha_sigma(levels(t, x)[1])
        return math.pi / 2 * (alpha * x - D) / sigma


class CoupledFlow(Flow):
    """Each x_0 of a batch is paired with the noise that is nearest, all together: fewer crossings.

    Tong et al. 2024 (arXiv 2302.00482), section 3.2 (OT-CFM); Pooladian et al. 2023: the optimal
    transport between the batch and as many draws, exactly, by squared distance. Of data with
    conditions it pairs across them, which tilts each one's noise (Cheng & Schwing 2025, arXiv
    2503.10636): write conditions=none.
    """

    def noise(self, x0: Tensor) -> Tensor:
        eps = randn_like(x0)
        cost = torch.cdist(x0.flatten(1).float(), eps.flatten(1)) ** 2
        _, columns = linear_sum_assignment(cost.cpu().numpy())
        return eps[torch.from_numpy(columns).to(eps.device)]
