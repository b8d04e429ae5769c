"""Samplers that look back: the more steps they remember, the higher their order.

Read: each `step` costs one evaluation of the network, and hands the levels and denoised x_0 of the
last steps to the next one. In lambda = ln(alpha / sigma); h is a step in it, from t to s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from genlab.samplers.diffusion import Path, Solver


def log_ratio(path: Path, t: float) -> float:
    """lambda_t = ln(alpha_t / sigma_t)."""
    alpha, sigma = path.alpha_sigma(t)
    if alpha == 0:
        return -math.inf
    return math.log(alpha / sigma) if sigma > 0 else math.inf


def _order(order: int, most: int) -> None:
    if not 1 <= order <= most:
        raise ValueError(f"sampler.order={order}: must be from 1 to {most}")


@dataclass(frozen=True, kw_only=True)
class DPMpp(Solver):
    """DPM-Solver++, Lu et al. 2022 (arXiv 2211.01095): 2M (algorithm 2), 3M, and the SDE's form.

    `eta` = 0 follows the probability-flow ODE, 1 the reverse SDE (their appendix A.6; other eta
    lie between). 3M takes the parabola through three D, whose square is weighed by its integral:
    the released code has half of that, which leaves order 2. The first steps have less to look
    back at; where the last one goes to sigma = 0, it gives D.
    """

    num_steps: int = 20
    order: int = 2
    eta: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _order(self.order, 3)
        if not 0 <= self.eta <= 1:
            raise ValueError(f"sampler.eta={self.eta}: must lie between 0 and 1")

    def step(self, path, net_fn, x, t, s, draws, memory):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = path.alpha_sigma(t), path.alpha_sigma(s)
        D, before = path.denoise(net_fn, x, t), memory or ()
        keep = ((log_ratio(path, t), D), *before)[: self.order - 1]
        if s == 0:
            return alpha_s * D, keep
        now = log_ratio(path, t)
        h = log_ratio(path, s) - now
        decay, k = alpha_t * sigma_s / (alpha_s * sigma_t), (1 + self.eta) * h  # exp(-h)
        left = 1 - decay ** (1 + self.eta)  # the share of x that D takes
        noise = sigma_s * math.sqrt(1 - decay ** (2 * self.eta))
        x = sigma_s / sigma_t * decay**self.eta * x + alpha_s * left * D
        before = [(past, E) for past, E in before if past > -math.inf]
        if before and h < math.inf:
            (past, E), *more = before
            r = (now - past) / h
            slope = (D - E) / r
            if not more:
                x = x + alpha_s * left / 2 * slope  # algorithm 2
            else:
                older, F = more[0]
                q = (past - older) / h
                second = (slope - (E - F) / q) / (r + q)
                first = 1 - left / k  # the integral of tau over the step, weighed as D is
                x = x + alpha_s * first * (slope + r * second)
                x = x + alpha_s * self.square(first, k) * second
        return (x + noise * draws.randn(x.shape[1:]) if noise > 0 else x), keep

    def square(self, first: float, k: float) -> float:
        """The integral of tau^2 over a step of k."""
        return 1 - 2 * first / k


@dataclass(frozen=True, kw_only=True)
class UniPC(Solver):
    """UniPC, Zhao et al. 2023 (arXiv 2302.04867), algorithms 1 and 2 (UniP and UniC), data's form.

    Each step's evaluation also corrects the step that led to it. B(h) = e^h - 1 (B_2), or h (B_1).
    """

    num_steps: int = 20
    order: int = 2
    variant: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        _order(self.order, 3)
        if self.variant not in (1, 2):
            raise ValueError(f"sampler.variant={self.variant}: B_1 or B_2: write 1 or 2")

    def step(self, path, net_fn, x, t, s, draws, memory):
        D = path.denoise(net_fn, x, t)
        past = ()
        if memory is not None:
            x_before, t_before, past = memory
            if log_ratio(path, t_before) > -math.inf:
                x = self._to(path, x_before, t_before, t, past, corrected=D)
        past = tuple(p for p in ((t, D), *past) if log_ratio(path, p[0]) > -math.inf)[: self.order]
        if s == 0:
            return path.alpha_sigma(s)[0] * D, None
        if not past:  # from pure noise of a flow, where lambda is -infinity
            alpha, sigma = path.alpha_sigma(s)
            return alpha * D + sigma / path.alpha_sigma(t)[1] * x, (x, t, past)
        return self._to(path, x, t, s, past), (x, t, past)

    def _to(
        self,
        path: Path,
        x: Tensor,
        t: float,
        s: float,
        past: tuple[tuple[float, Tensor], ...],
        corrected: Tensor | None = None,
    ) -> Tensor:
        """From x at t to s by the D of t and of steps before, and with UniC by that of s too."""
        (alpha_s, sigma_s), sigma_t = path.alpha_sigma(s), path.alpha_sigma(t)[1]
        now = log_ratio(path, t)
        h = log_ratio(path, s) - now
        (_, D), *older = past
        ratios = [(log_ratio(path, u) - now) / h for u, _ in older]
        slopes = [(E - D) / r for (_, E), r in zip(older, ratios, strict=True)]
        x = sigma_s / sigma_t * x - alpha_s * math.expm1(-h) * D
        if corrected is not None:
            ratios, slopes = [*ratios, 1.0], [*slopes, corrected - D]
        if not slopes:
            return x
        B = math.expm1(-h) if self.variant == 2 else -h
        weights = self._weights(ratios, -h, B)
        return x - alpha_s * B * sum(w * d for w, d in zip(weights, slopes, strict=True))

    @staticmethod
    def _weights(ratios: list[float], h: float, B: float) -> list[float]:
        """rho of eq. 5 and 9: R rho = b; of one value 1/2, as the paper has it for its order."""
        if len(ratios) == 1:
            return [0.5]
        phi, factorial, b = math.expm1(h) / h - 1, 1.0, []
        for i in range(1, len(ratios) + 1):
            b.append(phi * factorial / B)
            factorial *= i + 1
            phi = phi / h - 1 / factorial
        rows = np.vander(np.array(ratios), len(ratios), increasing=True).T
        return np.linalg.solve(rows, np.array(b)).tolist()


@dataclass(frozen=True, kw_only=True)
class LMS(Solver):
    """Linear multistep (Adams-Bashforth with uneven steps): the drifts' polynomial, integrated.

    In k-diffusion it is Katherine Crowson's; its integrals are taken numerically there, exactly
    here.
    """

    num_steps: int = 20
    order: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        _order(self.order, 6)

    def step(self, path, net_fn, x, t, s, draws, memory):
        past = ((t, path.drift(net_fn, x, t)), *(memory or ()))[: self.order]
        for weight, (_, d) in zip(_integrals([u for u, _ in past], t, s), past, strict=True):
            x = x + weight * d
        return x, past[: self.order - 1]


def _integrals(nodes: list[float], t: float, s: float) -> list[float]:
    """Of each node's Lagrange polynomial from t to s; exact, in units of the step."""
    at = [(u - t) / (s - t) for u in nodes]
    found = []
    for i, a in enumerate(at):
        rest = [b for j, b in enumerate(at) if j != i]
        basis = np.poly(rest) / np.prod([a - b for b in rest]) if rest else np.array([1.0])
        found.append(float(np.polyval(np.polyint(basis), 1.0)) * (s - t))
    return found
