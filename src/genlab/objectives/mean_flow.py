"""Mean flows: the network learns the average velocity between two times, so one step is a jump.

Read: `MeanFlow.derivative` is the identity that it learns by, `loss` what is done with it, `jump` a
step of any length. Geng et al. 2025 (arXiv 2505.13447).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from genlab.objectives.diffusion import Flow, NetFn, Time, levels
from genlab.rng import rand, randn_like
from genlab.shapes import append_dims, per_example, sum_example


class MeanFlow(Flow):
    """u(x_t, r, t) = 1 / (t - r) integral of v from r to t, on flow matching's straight lines.

    It is where u = v - (t - r) du/dt (eq. 6), du/dt along the path; r = t is flow matching. The
    network is asked with two times an example, (t, t - r) [B, 2] (table 1c), which every net takes
    that embeds its time by genlab.nn.layers.TimeEmbedding. Drawn by sampler=mean_flow, in any
    number of steps, and by every solver, which is given u(x_t, t, t).

    The derivative is forward-mode: attention takes torch's plain kernels, for the fused ones have
    none. A step of training takes about twice the time of objective=flow.
    """

    offers = ("slope", "jump")

    def __init__(
        self,
        *,
        instant: float = 0.75,
        t_mean: float = -0.4,
        t_std: float = 1.0,
        p: float = 1.0,
        c: float = 1e-3,
    ) -> None:
        """`instant`: how often r = t; otherwise t and r are the larger and the smaller of two draws
        of sigmoid(N(t_mean, t_std^2)) (section 4.3). `p`, `c`: an example's squared error counts by
        1 / (it + c)^p, without a gradient (eq. 22); p = 0 is the plain one.
        """
        super().__init__()
        if not 0 <= instant <= 1:
            raise ValueError(f"objective.instant={instant}: a share, between 0 and 1")
        if t_std <= 0 or p < 0 or c <= 0:
            raise ValueError(
                f"objective.t_std={t_std} p={p} c={c}: p at least 0, the others above 0"
            )
        self.instant, self.t_mean, self.t_std, self.p, self.c = instant, t_mean, t_std, p, c

    def loss(self, net_fn: NetFn, x0: Tensor, seen: int | None = None) -> Tensor:
        """|u - stopgrad(v - (t - r) du/dt)|^2 (eq. 9 and 10), weighted in training; [B].

        Of held-out examples the mean over an example's values, without the weight.
        """
        t, r = self.two_times(x0)
        eps = self.noise(x0)
        v = self.velocity(x0, eps, t)
        u, dudt = self.derivative(net_fn, self.noised(x0, eps, t), t, r, v)
        error = (u.float() - (v - append_dims(t - r, x0) * dudt.float()).detach()) ** 2
        if seen is None:
            return per_example(error)
        square = sum_example(error)
        return square / (square.detach() + self.c) ** self.p

    def two_times(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        """t and r <= t [B] for a training batch; r = t for a share of it."""
        like = x0[:, :1].flatten(1)[:, 0]  # [B]
        a, b = ((self.t_mean + self.t_std * randn_like(like)).sigmoid() for _ in range(2))
        t = torch.maximum(a, b)
        return t, torch.where(rand(len(x0), x0.device) < self.instant, t, torch.minimum(a, b))

    @staticmethod
    def derivative(
        net_fn: NetFn, x: Tensor, t: Tensor, r: Tensor, v: Tensor
    ) -> tuple[Tensor, Tensor]:
        """u(x_t, r, t) and du/dt = v du/dx + du/dt as t grows and r stays (eq. 8); each as x."""

        def u(x: Tensor, t: Tensor) -> Tensor:
            return net_fn(x, torch.stack([t, t - r], dim=1))

        with sdpa_kernel(SDPBackend.MATH):
            return jvp(u, (x, t), (v, torch.ones_like(t)))

    def average(self, net_fn: NetFn, x: Tensor, t: Time, r: Time) -> Tensor:
        """u(x_t, r, t), as x."""
        t, r = levels(t, x)[0], levels(r, x)[0]
        return net_fn(x, torch.stack([t, t - r], dim=1))

    def jump(self, net_fn: NetFn, x: Tensor, t: Time, s: Time) -> Tensor:
        """x_s = x_t - (t - s) u(x_t, s, t) (eq. 12), in one pass."""
        gap = levels(t, x)[1] - levels(s, x)[1]
        return x - gap * self.average(net_fn, x, t, s)

    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        """E[x_0 | x_t] = x_t - t u(x_t, t, t); what one jump gives is not it."""
        return x - levels(t, x)[1] * self.average(net_fn, x, t, t)

    def drift(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        return self.average(net_fn, x, t, t)
