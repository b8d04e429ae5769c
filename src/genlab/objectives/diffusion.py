"""Diffusion and flow matching: what is learned between data and noise. Three paths, one interface.

Read: a path is x_t = alpha_t x_0 + sigma_t eps, with x_0 data and eps ~ N(0, I). Each class below
is one paper's formula whole: noise law, target, weight, and the way back from the network's output
to the denoiser D(x; t) = E[x_0 | x_t]. Samplers (genlab.samplers.diffusion) know only this
interface:

    loss(net_fn, x_0, seen)  [B]; net_fn(x [B, ...], c [B]) the raw network, c a number of order 1;
                             seen: how many examples training has seen, None while measuring
    times(num_steps)         [num_steps + 1] noise levels, decreasing, the last is 0
    max_time                 no level lies above it
    alpha_sigma(t)           (alpha_t, sigma_t)
    at(u), at_ratio(r)       levels at shares u of training's own time; where sigma_t / alpha_t = r
    noised(x_0, eps, t)      x_t;  start(eps, t) is where a sampler begins that begins at t
    denoise(net_fn, x_t, t)  D(x_t; t)
    drift(net_fn, x_t, t)    dx/dt of the probability-flow ODE;  along(D, x_t, t) the same from D

`t` is a float while sampling, a tensor [B] while training. EDM and DDPM have alpha_t = 1, sigma_t =
t (DDPM's own variable is x_t / sqrt(1 + t^2)), flow matching alpha_t = 1 - t, sigma_t = t.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from genlab.rng import rand, randn_like
from genlab.shapes import append_dims, per_example

NetFn = Callable[[Tensor, Tensor], Tensor]
Time = float | Tensor


class Path(Protocol):
    """What a sampler needs to know of an objective (see the top of this file)."""

    @property
    def max_time(self) -> float: ...
    @property
    def num_levels(self) -> int | None: ...
    def loss(self, net_fn: NetFn, x0: Tensor, seen: int | None = None) -> Tensor: ...
    def times(self, num_steps: int) -> Tensor: ...
    def at(self, share: Tensor) -> Tensor: ...
    def at_ratio(self, ratio: Tensor) -> Tensor: ...
    def alpha_sigma(self, t: Time) -> tuple[Time, Time]: ...
    def start(self, eps: Tensor, t: float) -> Tensor: ...
    def noised(self, x0: Tensor, eps: Tensor, t: Time) -> Tensor: ...
    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor: ...
    def drift(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor: ...
    def along(self, D: Tensor, x: Tensor, t: Time) -> Tensor: ...


def levels(t: Time, x: Tensor) -> tuple[Tensor, Tensor]:
    """The noise level once per example [B], and shaped to broadcast over x [B, 1, ...]."""
    t = (t.to(x) if isinstance(t, Tensor) else x.new_full((len(x),), t)).expand(len(x))
    return t, append_dims(t, x)


def _allowed(key: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise ValueError(f"{key}={given!r}: allowed are {', '.join(allowed)}")


def _karras(sigma_max: float, sigma_min: float, num: int, rho: float = 7.0) -> Tensor:
    """Noise levels of which rho-th roots are evenly spaced (Karras et al. 2022, eq. 5) [num]."""
    ramp = torch.linspace(0, 1, num, dtype=torch.float64)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (high + ramp * (low - high)) ** rho


class EDM:
    """Elucidated diffusion, Karras et al. 2022 (arXiv 2206.00364), table 1, column "Ours"."""

    max_time = math.inf
    num_levels = None

    def __init__(
        self,
        *,
        sigma_data: float = 0.5,
        P_mean: float = -1.2,
        P_std: float = 1.2,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
        rho: float = 7.0,
    ) -> None:
        """`sigma_data`: the data's deviation; in training ln(sigma) ~ N(P_mean, P_std^2)."""
        if not 0 < sigma_min < sigma_max:
            raise ValueError(
                f"objective.sigma_min={sigma_min}: must lie between 0 and sigma_max={sigma_max}"
            )
        if sigma_data <= 0 or rho <= 0:
            raise ValueError(f"objective.sigma_data={sigma_data} rho={rho}: both must be above 0")
        self.sigma_data, self.P_mean, self.P_std = sigma_data, P_mean, P_std
        self.sigma_min, self.sigma_max, self.rho = sigma_min, sigma_max, rho

    def loss(self, net_fn: NetFn, x0: Tensor, seen: int | None = None) -> Tensor:
        """lambda(sigma) |D(y + n; sigma) - y|^2, the mean over an example (eq. 2 and 8)."""
        normal = randn_like(x0[:, :1].flatten(1)[:, 0])  # [B]
        sigma = (self.P_mean + self.P_std * normal).exp()
        D = self.denoise(net_fn, self.noised(x0, randn_like(x0), sigma), sigma)
        return self.weight(sigma) * per_example((D.float() - x0) ** 2)

    def weight(self, sigma: Tensor) -> Tensor:
        """lambda(sigma): every level weighs the same at the start (table 1)."""
        return (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2

    def times(self, num_steps: int) -> Tensor:
        """Noise levels sigma_i (eq. 5), then 0."""
        sigmas = _karras(self.sigma_max, self.sigma_min, num_steps, self.rho)
        return torch.cat([sigmas, sigmas.new_zeros(1)])

    def at(self, share: Tensor) -> Tensor:
        return self.sigma_min + share * (self.sigma_max - self.sigma_min)

    def at_ratio(self, ratio: Tensor) -> Tensor:
        return ratio

    def alpha_sigma(self, t: Time) -> tuple[Time, Time]:
        return 1.0, t

    def start(self, eps: Tensor, t: float) -> Tensor:
        return t * eps

    def noised(self, x0: Tensor, eps: Tensor, t: Time) -> Tensor:
        return x0 + levels(t, x0)[1] * eps

    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        """D(x; sigma) = c_skip x + c_out F(c_in x; c_noise) (eq. 7)."""
        sigma_1d, sigma = levels(t, x)
        total = sigma**2 + self.sigma_data**2
        c_skip = self.sigma_data**2 / total
        c_out = sigma * self.sigma_data / total.sqrt()
        c_in = 1 / total.sqrt()
        c_noise = sigma_1d.log() / 4
        return c_skip * x + c_out * net_fn(c_in * x, c_noise)

    def drift(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        return self.along(self.denoise(net_fn, x, t), x, t)

    def along(self, D: Tensor, x: Tensor, t: Time) -> Tensor:
        """dx/dsigma = (x - D(x; sigma)) / sigma (eq. 1 and 3)."""
        return (x - D) / levels(t, x)[1]


class DDPM:
    """Denoising diffusion with T discrete levels, Ho et al. 2020 (arXiv 2006.11239).

    Schedules: "linear" beta (Ho, section 4), scaled so that any T covers the same noise; "ho", 1e-4
    to 0.02 for any T, so that x_T is far from noise where T is small; "cosine" (Nichol & Dhariwal
    2021, arXiv 2102.09672, eq. 17); "zero_snr", the linear one stretched until x_T is noise alone
    (Lin et al. 2024, arXiv 2305.08891, algorithm 1; sigma_T is 1e5, not infinite). The network
    predicts "eps" (Ho, eq. 14), "x0", or "v" = alpha eps - sigma x_0 (Salimans & Ho 2022, arXiv
    2202.00512, appendix D); the loss is the plain squared error of what is predicted.

    In training x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, and that is what the network sees.
    While sampling, x is x_t / sqrt(abar_t) and t is sigma = sqrt((1 - abar_t) / abar_t), in which
    DDIM is Euler's method (Song et al. 2020, arXiv 2010.02502, eq. 14).

    The cosine schedule's last levels are 20291, 642, 320, ..., and few of them are high. So:
    sampling begins at `sigma_max`, as Karras et al. 2022 do with networks of this schedule (table
    1, column iDDPM: j_0 = 8); no step is a cliff (`times`); and v is predicted unless eps is asked
    for, whose error enters x_0 multiplied by sigma, while v's does not grow.
    """

    def __init__(
        self,
        *,
        num_levels: int = 1000,
        schedule: str = "linear",
        prediction: str | None = None,
        clip: float | None = None,
        spacing: str | None = None,
        sigma_max: float = 160.0,
        min_snr: float | None = None,
    ) -> None:
        """`prediction` None: "eps" for the linear schedules, "v" for the others.

        `min_snr`, as 5, weighs the levels by min(SNR, that) where x_0 is predicted, and the other
        predictions alike (Hang et al. 2023, arXiv 2303.09556, eq. 9 and section 3.4).

        `clip` holds the denoised x_0 within [-clip, clip] while sampling (images: 1).
        `spacing` of the levels visited, from the one nearest to `sigma_max` down (linear ends at
        157): "even" in their numbers, as Ho and Song (None: of zero_snr), or "karras" (of others).
        """
        _allowed("objective.schedule", schedule, ("linear", "ho", "cosine", "zero_snr"))
        if prediction is None:
            prediction = "v" if schedule in ("cosine", "zero_snr") else "eps"
        _allowed("objective.prediction", prediction, ("eps", "x0", "v"))
        if (schedule, prediction, clip) == ("cosine", "eps", None):
            warnings.warn(
                "objective.prediction=eps with schedule=cosine and clip=null: samplers of few steps"
                " run away; write objective.prediction=v, or objective.clip=1 for images",
                stacklevel=2,
            )
        spacing = spacing or ("even" if schedule == "zero_snr" else "karras")
        _allowed("objective.spacing", spacing, ("karras", "even"))
        for key, value in (("sigma_max", sigma_max), ("min_snr", min_snr)):
            if value is not None and value <= 0:
                raise ValueError(f"objective.{key}={value}: must be above 0")
        if schedule == "zero_snr" and prediction == "eps":
            raise ValueError(
                "objective.prediction=eps with schedule=zero_snr: where x is noise alone, eps says"
                " nothing of x_0; write objective.prediction=v"
            )
        if num_levels < 2:
            raise ValueError(f"objective.num_levels={num_levels}: must be at least 2")
        self.num_levels, self.schedule = num_levels, schedule
        self.prediction, self.clip, self.spacing = prediction, clip, spacing
        self.min_snr = min_snr
        ramp = torch.linspace(0, 1, num_levels + 1, dtype=torch.float64, device="cpu")
        if schedule != "cosine":  # Ho: 1e-4 to 0.02 for T = 1000
            scale = 1 if schedule == "ho" else 1000 / num_levels  # other T cover the same noise
            low, high = 1e-4 * scale, 0.02 * scale
            beta = torch.linspace(low, high, num_levels, dtype=torch.float64, device="cpu")
        else:
            f = ((ramp + 0.008) / 1.008 * math.pi / 2).cos() ** 2
            beta = 1 - f[1:] / f[:-1]
        abar = (1 - beta.clamp(max=0.999)).log().cumsum(0).exp()  # abar_t = prod (1 - beta_s)
        if schedule == "zero_snr":
            root, first = abar.sqrt(), float(abar[0].sqrt())
            root = (root - root[-1]) * first / (first - root[-1])
            abar, sigma_max = root.clamp(min=1e-5) ** 2, math.inf
        self._sigmas = (1 / abar - 1).sqrt()  # [T], increasing
        most = min(sigma_max, float(self._sigmas[-1]))
        self._top = int((self._sigmas - most).abs().argmin())  # where sampling begins
        self._on_device: dict[torch.device, Tensor] = {}

    @property
    def max_time(self) -> float:
        return float(self._sigmas[self._top])

    def sigmas(self, device: torch.device | str = "cpu") -> Tensor:
        """sqrt((1 - abar_t) / abar_t) for t = 1 .. T, increasing [T]; float32 off the CPU."""
        device = torch.device(device)
        if device.type == "cpu":
            return self._sigmas
        if device not in self._on_device:
            self._on_device[device] = self._sigmas.float().to(device)
        return self._on_device[device]

    def loss(self, net_fn: NetFn, x0: Tensor, seen: int | None = None) -> Tensor:
        """Algorithm 1 of Ho: t uniform over the levels; squared error, the mean over an example."""
        index = (rand(len(x0), x0.device) * self.num_levels).long().clamp(max=self.num_levels - 1)
        sigma = append_dims(self.sigmas(x0.device)[index].to(x0), x0)
        alpha = (1 + sigma**2).rsqrt()  # sqrt(abar_t)
        eps = randn_like(x0)
        xt = alpha * (x0 + sigma * eps)
        target = {"eps": eps, "x0": x0, "v": alpha * (eps - sigma * x0)}[self.prediction]
        loss = per_example((net_fn(xt, index.to(x0) / self.num_levels).float() - target) ** 2)
        return loss if self.min_snr is None else self.weight(sigma.flatten()) * loss

    def weight(self, sigma: Tensor) -> Tensor:
        """Of the loss of what is predicted: min(SNR, min_snr) of x_0's, SNR = 1 / sigma^2."""
        snr = sigma**-2
        each = {"eps": snr, "x0": torch.ones_like(snr), "v": snr + 1}[self.prediction]
        return snr.clamp(max=self.min_snr) / each

    def times(self, num_steps: int) -> Tensor:
        """The noise levels of `num_steps` of the T levels, then 0.

        "karras": those nearest to EDM's (Karras, eq. 5), each once.
        """
        if num_steps > self._top + 1:
            raise ValueError(
                f"sampler.num_steps={num_steps}: at most {self._top + 1}, the levels of"
                f" objective.num_levels={self.num_levels} up to objective.sigma_max"
            )
        if self.spacing == "even":
            index = torch.linspace(self._top, 0, num_steps, dtype=torch.float64).round().long()
        else:
            sigmas = self._sigmas[: self._top + 1]
            wanted = _karras(float(sigmas[-1]), float(sigmas[0]), num_steps)
            index = (sigmas - wanted[:, None]).abs().argmin(1)
            for i in range(1, num_steps):  # each once: below the one before, with room for the rest
                low, high = num_steps - 1 - i, int(index[i - 1]) - 1
                index[i] = min(max(int(index[i]), low), high)
        return torch.cat([self._sigmas[index], self._sigmas.new_zeros(1)])

    def alpha_sigma(self, t: Time) -> tuple[Time, Time]:
        return 1.0, t

    def at(self, share: Tensor) -> Tensor:
        """sigma of the level that the share falls on, of those up to `sigma_max`."""
        return self._sigmas[(share * self._top).round().long()]

    def at_ratio(self, ratio: Tensor) -> Tensor:
        return ratio

    def start(self, eps: Tensor, t: float) -> Tensor:
        """x_T = eps in the network's coordinates (Ho, algorithm 2, line 1)."""
        return math.sqrt(1 + t**2) * eps

    def noised(self, x0: Tensor, eps: Tensor, t: Time) -> Tensor:
        return x0 + levels(t, x0)[1] * eps

    def level(self, sigma: Tensor) -> Tensor:
        """The level of sigma [B] as a fraction of T in [0, 1); between two levels interpolated."""
        table = self.sigmas(sigma.device).to(sigma)
        above = torch.searchsorted(table, sigma.contiguous()).clamp(1, self.num_levels - 1)
        low, high = table[above - 1].log(), table[above].log()
        index = above - 1 + (sigma.log() - low) / (high - low)
        return index.clamp(0, self.num_levels - 1) / self.num_levels

    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        """x_0 from what is predicted: x - sigma eps (Ho, eq. 15), x_0 itself, or v's inverse."""
        sigma_1d, sigma = levels(t, x)
        alpha = (1 + sigma**2).rsqrt()
        out = net_fn(alpha * x, self.level(sigma_1d))
        if self.prediction == "eps":
            D = x - sigma * out
        elif self.prediction == "x0":
            D = out
        else:  # alpha x_t - sigma_t v, with x_t = alpha x and sigma_t = alpha sigma
            D = alpha * (alpha * x - sigma * out)
        return D if self.clip is None else D.clamp(-self.clip, self.clip)

    def drift(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        return self.along(self.denoise(net_fn, x, t), x, t)

    def along(self, D: Tensor, x: Tensor, t: Time) -> Tensor:
        """dx/dsigma = eps (Song et al. 2020, eq. 14)."""
        return (x - D) / levels(t, x)[1]


class Flow:
    """Flow matching on straight lines, Lipman et al. 2023 (arXiv 2210.02747), eq. 20-23.

    With sigma_min = 0: x_t = (1 - t) x_0 + t eps, and the network learns the velocity v = eps -
    x_0. Time runs as in diffusion, from noise at t = 1 to data at t = 0; in the paper it runs the
    other way.
    """

    max_time = 1.0
    num_levels = None

    def __init__(self, *, time_law: str = "uniform", shift: float = 1.0) -> None:
        """`time_law` of t in training: "uniform", or "logit_normal" (Esser et al. 2024, eq. 19).

        `shift` > 1 spends more of training's and sampling's times at high noise (Esser, eq. 23).
        """
        _allowed("objective.time_law", time_law, ("uniform", "logit_normal"))
        if shift <= 0:
            raise ValueError(f"objective.shift={shift}: must be above 0; 1 is no shift")
        self.time_law, self.shift = time_law, shift

    def loss(self, net_fn: NetFn, x0: Tensor, seen: int | None = None) -> Tensor:
        """|v(x_t, t) - (eps - x_0)|^2, the mean over an example's values (eq. 23)."""
        if self.time_law == "uniform":
            t = rand(len(x0), x0.device)
        else:
            t = randn_like(x0.new_empty(len(x0))).sigmoid()
        t, eps = self._shifted(t), self.noise(x0)
        v = net_fn(self.noised(x0, eps, t), t)
        return per_example((v.float() - self.velocity(x0, eps, t)) ** 2)

    def noise(self, x0: Tensor) -> Tensor:
        """eps for a training batch: independent of x_0."""
        return randn_like(x0)

    def velocity(self, x0: Tensor, eps: Tensor, t: Time) -> Tensor:
        """dx_t/dt."""
        return eps - x0

    def times(self, num_steps: int) -> Tensor:
        return self._shifted(torch.linspace(1, 0, num_steps + 1, dtype=torch.float64))

    def at(self, share: Tensor) -> Tensor:
        return self._shifted(share)

    def at_ratio(self, ratio: Tensor) -> Tensor:
        return ratio / (1 + ratio)

    def alpha_sigma(self, t: Time) -> tuple[Time, Time]:
        return 1 - t, t

    def start(self, eps: Tensor, t: float) -> Tensor:
        return t * eps

    def noised(self, x0: Tensor, eps: Tensor, t: Time) -> Tensor:
        t = levels(t, x0)[1]
        return (1 - t) * x0 + t * eps

    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        """D = x_t - t v, for E[eps - x_0 | x_t] = v and x_t = x_0 + t (eps - x_0)."""
        t_1d, t = levels(t, x)
        return x - t * net_fn(x, t_1d)

    def drift(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        return net_fn(x, levels(t, x)[0])

    along = EDM.along

    def _shifted(self, t: Tensor) -> Tensor:
        return self.shift * t / (1 + (self.shift - 1) * t)
