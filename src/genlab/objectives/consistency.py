"""Consistency models: the network goes from any noise level to the data in one step.

Read: f(x_t, t) should be the same all along a path of the probability-flow ODE, f(x, 0) = x. Song
et al. 2023 (arXiv 2303.01469); here by the recipe of Geng et al. 2024.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genlab.objectives.diffusion import EDM, NetFn
from genlab.rng import randn_like
from genlab.shapes import append_dims, sum_example


class EasyConsistency(EDM):
    """Easy consistency tuning, Geng et al. 2024 (arXiv 2406.14548), section 3 and appendix A.

    f(x; t) is EDM's D(x; sigma), so that it begins well from a run of objective=edm (`init_from`);
    f(x_t) is pulled to f(x_r), without a gradient, where x_r has less of the same noise: r / t = 1
    - n(t) / 2^(1 + k), n(t) = 1 + 8 sigmoid(-t), k = how often the gap has been halved. With r = 0
    it is EDM's loss with another weight. Drawn by sampler=consistency.
    """

    offers = ("end",)  # f is no E[x_0 | x_t], so there is no ODE for a solver to walk

    def __init__(
        self,
        *,
        sigma_data: float = 0.5,
        P_mean: float = -1.1,
        P_std: float = 2.0,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
        rho: float = 7.0,
        halve_every: int = 50_000,
        most: int = 8,
        c: float = 0.0,
    ) -> None:
        """The gap is halved after every `halve_every` examples, `most` times at most.

        `c`: of the distance sqrt(|d|^2 + c^2) - c of the whole example; 0 is its norm.
        """
        super().__init__(
            sigma_data=sigma_data,
            P_mean=P_mean,
            P_std=P_std,
            sigma_min=sigma_min,
            sigma_max=sigma_max,
            rho=rho,
        )
        if halve_every < 1 or most < 0 or c < 0:
            raise ValueError(
                f"objective.halve_every={halve_every} most={most} c={c}: the first at least 1, the"
                " others at least 0"
            )
        self.halve_every, self.most, self.c = halve_every, most, c

    def loss(self, net_fn: NetFn, x0: Tensor, seen: int | None = None) -> Tensor:
        """w(t) d(f(x_t), f(x_r)) / (t - r) (eq. 12 and 14), the noise of both the same.

        Of held-out examples by the smallest gap.
        """
        normal = randn_like(x0[:, :1].flatten(1)[:, 0])  # [B]
        t, eps = (self.P_mean + self.P_std * normal).exp(), randn_like(x0)
        halved = self.most if seen is None else min(self.most, seen // self.halve_every)
        r = self.earlier(t, halved)
        ours = self.denoise(net_fn, self.noised(x0, eps, t), t).float()
        with torch.no_grad():
            above = r.clamp(min=1e-4)  # ln 0 is not to be asked of the network
            theirs = self.denoise(net_fn, self.noised(x0, eps, above), above).float()
            theirs = torch.where(append_dims(r > 0, x0), theirs, x0)
        square = sum_example((ours - theirs) ** 2)
        distance = (square + self.c**2 + 1e-12).sqrt() - self.c
        return distance / (t - r) / math.sqrt(x0[0].numel())

    @staticmethod
    def earlier(t: Tensor, halved: int) -> Tensor:
        """r below t (eq. 14, with q = 2, k = 8, b = 1); 0 where the gap is all of t."""
        n = 1 + 8 * torch.sigmoid(-t)
        return t * (1 - n / 2 ** (1 + halved)).clamp(min=0)
