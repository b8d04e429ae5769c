"""Samplers of diffusion and flow models: one class per published method, one loop for all.

Read: `Solver.__call__` walks noise levels t_0 > t_1 > ... > 0 (schedules.py); a method is its
`step` from t to s < t. A path (genlab.objectives.diffusion) is x_t = alpha_t x_0 + sigma_t eps and
gives `denoise` (D) and `drift` (dx/dt), so every method runs on every path. The knobs are the
fields. Methods that look back at more than one step are in multistep.py, steps of free length in
adaptive.py.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Protocol

from torch import Tensor

from genlab.samplers import schedules
from genlab.samplers.guidance import Guidance

NetFn = Callable[[Tensor, Tensor], Tensor]
After = Callable[[Tensor, float], Tensor]
Memory = Any  # what a method's next step is told by the one before; None at first


class Path(schedules.Path, Protocol):
    """What a sampler needs to know of an objective."""

    @property
    def max_time(self) -> float: ...
    def start(self, eps: Tensor, t: float) -> Tensor: ...
    def denoise(self, net_fn: NetFn, x: Tensor, t: float) -> Tensor: ...
    def drift(self, net_fn: NetFn, x: Tensor, t: float) -> Tensor: ...


class Noise(Protocol):
    """Standard normal draws, one generator per example (genlab.rng.Draws)."""

    def randn(self, shape: Sequence[int]) -> Tensor: ...


def renoise(path: Path, x: Tensor, s: float, t: float, eps: Tensor) -> Tensor:
    """A draw of q(x_t | x_s) for s < t: x_s scaled to t's signal, and the noise that t has more."""
    (alpha_s, sigma_s), (alpha_t, sigma_t) = path.alpha_sigma(s), path.alpha_sigma(t)
    scale = alpha_t / alpha_s
    return scale * x + math.sqrt(max(0.0, sigma_t**2 - (scale * sigma_s) ** 2)) * eps


@dataclass(frozen=True, kw_only=True)
class Solver(ABC):
    """The loop that all methods share."""

    needs: ClassVar[str] = "slope"  # of the path: few_steps.py
    num_steps: int = 18
    guidance: float = 1.0  # weight: 1 none, 0 no class; this and the four below: guidance.py
    guidance_above: float = 0.0
    guidance_below: float = math.inf
    rescale: float = 0.0
    threshold: float | None = None
    resample: int = 1  # where part of x is given: tries per step (RePaint, Lugmayr 2022, alg. 1)
    schedule: schedules.Schedule = "own"  # which levels are visited

    def __post_init__(self) -> None:
        num = schedules.check(self.schedule)
        if num is not None and self.num_steps not in (num, type(self).num_steps):
            raise ValueError(
                f"sampler.num_steps={self.num_steps}: the list in sampler.schedule has {num}"
            )
        _ = self.guiding
        for key in ("num_steps", "resample"):
            if getattr(self, key) < 1:
                raise ValueError(f"sampler.{key}={getattr(self, key)}: must be at least 1")

    @property
    def guiding(self) -> Guidance:
        return Guidance(
            weight=self.guidance,
            above=self.guidance_above,
            below=self.guidance_below,
            rescale=self.rescale,
            threshold=self.threshold,
        )

    def __call__(
        self,
        path: Path,
        net_fn: NetFn,
        draws: Noise,
        shape: Sequence[int],
        after: After | None = None,
    ) -> Tensor:
        """Draw x_0 [num, *shape]; `after(x, t)` may change x whenever a level t is reached."""
        times = schedules.levels(self.schedule, path, self.num_steps).tolist()
        x = path.start(draws.randn(shape), times[0])
        return self.walk(path, net_fn, draws, x, times, after)

    def walk(
        self,
        path: Path,
        net_fn: NetFn,
        draws: Noise,
        x: Tensor,
        times: Sequence[float],
        after: After | None = None,
    ) -> Tensor:
        """x [num, *shape] at the level times[0], down through the others to 0, the last."""
        shape = x.shape[1:]
        if after is None:
            memory: Memory = None
            for t, s in pairwise(times):
                x, memory = self.step(path, net_fn, x, t, s, draws, memory)
            return x
        x, memory = after(x, times[0]), None
        for t, s in pairwise(times):
            before = memory
            for attempt in range(self.resample):
                if attempt > 0:  # back from s to t, so that what is drawn agrees with what is given
                    x = after(renoise(path, x, s, t, draws.randn(shape)), t)
                x, memory = self.step(path, net_fn, x, t, s, draws, before)
                x = after(x, s)
        return x

    @abstractmethod
    def step(
        self, path: Path, net_fn: NetFn, x: Tensor, t: float, s: float, draws: Noise, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """From x at level t to x at level s < t, and what the next step should remember."""


@dataclass(frozen=True, kw_only=True)
class Euler(Solver):
    """Euler's method for the probability-flow ODE: order 1, one evaluation a step."""

    def step(self, path, net_fn, x, t, s, draws, memory):
        return x + (s - t) * path.drift(net_fn, x, t), None


@dataclass(frozen=True, kw_only=True)
class Consistency(Solver):
    """To D, and noised again to the next level: Song et al. 2023 (arXiv 2303.01469), algorithm 1.

    For models that go to the data in one step; two or a few mend what the first one missed.
    """

    needs: ClassVar[str] = "end"
    num_steps: int = 1
    schedule: schedules.Schedule = "few"

    def step(self, path, net_fn, x, t, s, draws, memory):
        D = path.denoise(net_fn, x, t)
        if s == 0:
            return D, None
        alpha, sigma = path.alpha_sigma(s)
        return alpha * D + sigma * draws.randn(x.shape[1:]), None


@dataclass(frozen=True, kw_only=True)
class Midpoint(Solver):
    """The midpoint method: order 2, two evaluations a step, none of them at its end."""

    def step(self, path, net_fn, x, t, s, draws, memory):
        middle = (t + s) / 2
        half = x + (middle - t) * path.drift(net_fn, x, t)
        return x + (s - t) * path.drift(net_fn, half, middle), None


@dataclass(frozen=True, kw_only=True)
class Heun(Solver):
    """Heun's method, Karras et al. 2022, algorithm 1; with S_churn > 0 algorithm 2 (stochastic).

    Order 2, two evaluations a step but one in the last: 2 num_steps - 1 in all.
    """

    S_churn: float = 0.0
    S_min: float = 0.0
    S_max: float = float("inf")
    S_noise: float = 1.0

    def step(self, path, net_fn, x, t, s, draws, memory):
        if self.S_churn > 0 and self.S_min <= t <= self.S_max:  # lines 4-6
            gamma = min(self.S_churn / self.num_steps, math.sqrt(2) - 1)
            t_hat = min(t + gamma * t, path.max_time)
            if t_hat > t:
                eps = self.S_noise * draws.randn(x.shape[1:])
                x, t = renoise(path, x, t, t_hat, eps), t_hat
        d = path.drift(net_fn, x, t)  # line 7
        x_s = x + (s - t) * d  # line 8
        if s != 0:  # lines 9-11
            x_s = x + (s - t) * (d + path.drift(net_fn, x_s, s)) / 2
        return x_s, None


@dataclass(frozen=True, kw_only=True)
class DDIM(Solver):
    """Denoising diffusion implicit models, Song et al. 2020 (arXiv 2010.02502), eq. 12 and 16.

    eta = 0 is deterministic, eta = 1 the ancestral sampler of DDPM and Euler's ancestral method of
    k-diffusion, which is the same one.
    """

    num_steps: int = 50
    eta: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.eta <= 1:
            raise ValueError(f"sampler.eta={self.eta}: must lie between 0 and 1")

    def step(self, path, net_fn, x, t, s, draws, memory):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = path.alpha_sigma(t), path.alpha_sigma(s)
        D = path.denoise(net_fn, x, t)
        eps = (x - alpha_t * D) / sigma_t
        # eq. 16; (alpha_t sigma_s / alpha_s sigma_t)^2 is 1 - (its second factor)
        noise = self.eta * sigma_s * math.sqrt(1 - (alpha_t * sigma_s / (alpha_s * sigma_t)) ** 2)
        x = alpha_s * D + math.sqrt(max(0.0, sigma_s**2 - noise**2)) * eps  # eq. 12
        return (x + noise * draws.randn(x.shape[1:]) if noise > 0 else x), None


@dataclass(frozen=True, kw_only=True)
class Ancestral(Solver):
    """DDPM's sampler, Ho et al. 2020 (arXiv 2006.11239), algorithm 2, with eq. 6-7.

    With fewer steps than levels it is the same posterior between the levels kept (Nichol & Dhariwal
    2021, section 4).
    """

    num_steps: int = 250

    def step(self, path, net_fn, x, t, s, draws, memory):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = path.alpha_sigma(t), path.alpha_sigma(s)
        scale = alpha_t / alpha_s  # sqrt of Ho's alpha_t: q(x_t | x_s) = N(scale x_s, beta)
        beta = sigma_t**2 - (scale * sigma_s) ** 2
        D = path.denoise(net_fn, x, t)
        x = (alpha_s * beta * D + scale * sigma_s**2 * x) / sigma_t**2  # eq. 7, the mean
        beta_tilde = sigma_s**2 * beta / sigma_t**2  # eq. 7, the variance
        return (x + math.sqrt(beta_tilde) * draws.randn(x.shape[1:]) if s != 0 else x), None
