"""Orders of convergence on a mixture of two normal laws in the plane, and steps of free length."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from gaussian import Noise, exact_net, ode_solution

from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.samplers.adaptive import RK45
from genlab.samplers.diffusion import DDIM, Euler, Heun, Midpoint
from genlab.samplers.multistep import LMS, DPMpp, UniPC

MEANS = torch.tensor([[1.0, 0.3], [-0.6, -0.8]], dtype=torch.float64)
SPREAD = torch.tensor([[0.5, 0.2], [0.3, 0.6]], dtype=torch.float64)
HIGH, LOW = {"time": 8.0, "lambda": 1e3}, 0.2  # ratios sigma / alpha: nothing is singular there


def denoised(x: torch.Tensor, alpha, sigma) -> torch.Tensor:
    """E[x_0 | x_t] of the mixture, x [B, 2]; alpha, sigma numbers or [B, 1]."""
    variance = alpha**2 * SPREAD[:, None] ** 2 + sigma**2 * torch.ones_like(x)  # [2, B, 2]
    away = x - alpha * MEANS[:, None]
    logs = (-(away**2) / (2 * variance) - variance.log() / 2).sum(-1)
    each = MEANS[:, None] + alpha * SPREAD[:, None] ** 2 / variance * away
    return (logs.softmax(0)[..., None] * each).sum(0)


class Smooth:
    """A path that knows the mixture, from one ratio to another, even in lambda or in its time."""

    def __init__(self, path, even: str) -> None:
        self.path, self.even = path, even
        self.num_levels = None

    def __getattr__(self, name):
        return getattr(self.path, name)

    def times(self, num_steps):
        ends = torch.tensor([HIGH[self.even], LOW], dtype=torch.float64)
        if self.even == "lambda":
            ends = ends.log()
            return self.path.at_ratio(torch.linspace(*ends.tolist(), num_steps + 1).double().exp())
        ends = self.path.at_ratio(ends).tolist()
        return torch.linspace(*ends, num_steps + 1, dtype=torch.float64)

    def denoise(self, net_fn, x, t):
        alpha, sigma = self.path.alpha_sigma(t if isinstance(t, float) else t[:, None])
        return denoised(x, alpha, sigma)

    def drift(self, net_fn, x, t):
        t = t if isinstance(t, float) else t[:, None]
        D = self.denoise(net_fn, x, t if isinstance(t, float) else t[:, 0])
        return (x - D) / t  # of both paths, whose sigma is t

    def start(self, eps, t):
        alpha, sigma = self.path.alpha_sigma(t)
        return alpha * 0.4 + sigma * eps


def drawn(path, solver):
    return solver(path, None, Noise(64), (2,))


METHODS = [
    (Euler, 1, "time"),
    (DDIM, 1, "time"),
    (DDIM, 1, "lambda"),
    (Heun, 2, "time"),
    (Midpoint, 2, "time"),
    (partial(LMS, order=2), 2, "time"),
    (partial(LMS, order=2), 2, "lambda"),  # of uneven steps; noise that high lets the first ones
    (partial(LMS, order=3), 3, "lambda"),  # of low order be exact
    (partial(LMS, order=4), 4, "lambda"),
    (DPMpp, 2, "lambda"),
    (partial(DPMpp, order=3), 3, "lambda"),
    (partial(DPMpp, order=1), 1, "lambda"),
    (partial(UniPC, order=1), 2, "lambda"),
    (partial(UniPC, order=2), 3, "lambda"),
    (partial(UniPC, order=2, variant=1), 3, "lambda"),
]


@pytest.mark.parametrize("path", [EDM(), Flow()], ids=["EDM", "Flow"])
@pytest.mark.parametrize(("method", "order", "even"), METHODS, ids=str)
def test_order_of_convergence_on_the_mixture(path, method, order, even):
    """Between ratios of 8 or 1,000 and of 0.2, so that neither end of a path decides it."""
    path = Smooth(path, even)
    truth = drawn(path, RK45(num_steps=1, tolerance=1e-12))
    counts = (80, 160, 320)
    errors = [float((drawn(path, method(num_steps=n)) - truth).abs().max()) for n in counts]
    found = math.log2(errors[0] / errors[-1]) / 2
    print(f"{method} {found:.2f}: {errors}")
    assert found == pytest.approx(order, abs=0.35)


PATHS = [EDM(), DDPM(), DDPM(schedule="cosine"), Flow(), Flow(shift=3.0)]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
def test_steps_of_free_length_reach_the_tolerance(path):
    """The Gaussian's ODE, solved; every example as if it were alone."""
    errors = []
    for tolerance in (1e-3, 1e-5):
        solver, noise = RK45(tolerance=tolerance), Noise(50)
        x = solver(path, exact_net(path), noise, (3,))
        top = float(path.times(4)[0])
        truth = ode_solution(path, path.start(Noise(50).randn((3,)), top), top)
        errors.append(float((x - truth).abs().max()))
    print(errors)
    assert errors[0] < 0.03 and errors[1] < max(1e-3, errors[0] / 5)


def test_an_example_of_free_length_is_the_same_alone():
    class Part(Noise):
        def randn(self, shape):
            return Noise(50).randn(shape)[: self.num]

    path, solver = EDM(), RK45(tolerance=1e-4)
    many = solver(path, exact_net(path), Part(50), (3,))
    few = solver(path, exact_net(path), Part(2), (3,))
    torch.testing.assert_close(few, many[:2], rtol=1e-10, atol=1e-10)


def test_a_tolerance_that_is_not_reached_is_said():
    with pytest.raises(ValueError, match="tolerance=1e-10: not reached in sampler"):
        RK45(tolerance=1e-10, most=3)(EDM(), exact_net(EDM()), Noise(), (3,))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: RK45(tolerance=0), "sampler.tolerance=0"),
        (lambda: RK45(resample=2), "sampler.resample"),
        (lambda: DPMpp(order=4), "sampler.order=4: must be from 1 to 3"),
        (lambda: DPMpp(eta=2), "sampler.eta=2"),
        (lambda: UniPC(variant=3), "sampler.variant=3"),
        (lambda: LMS(order=0), "sampler.order=0"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong()


@pytest.mark.parametrize("path", [EDM(), DDPM(), Flow()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("order", [2, 3])
def test_the_sde_keeps_the_variance(path, eta, order):
    """To 1 % of the Gaussian's, over 400,000 draws (whose own error is 0.2 %)."""
    x = DPMpp(num_steps=100, order=order, eta=eta)(path, exact_net(path), Noise(), (400_000,))
    assert float(x.var()) == pytest.approx(0.7**2, rel=0.01)
