"""Samplers against the truth: orders of convergence, the Gaussian's law, what is given stays."""

from __future__ import annotations

import math

import pytest
import torch
from gaussian import Noise, S, exact_net, ode_solution

from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.samplers.diffusion import DDIM, Ancestral, DPMpp2M, Euler, Heun, renoise
from genlab.samplers.guidance import guided


def slope(path, solver, counts=(32, 64, 128)) -> float:
    """Least-squares order of the error at t = 0 in the number of steps."""
    start = Noise().randn((16,))
    errors = []
    for n in counts:
        x = solver(num_steps=n)(path, exact_net(path), Noise(), (16,))
        truth = ode_solution(path, path.start(start), float(path.times(n)[0]))
        errors.append(float((x - truth).abs().max()))
    logs = torch.tensor([errors]).log()[0]
    ns = torch.tensor([counts]).log()[0]
    ns, logs = ns - ns.mean(), logs - logs.mean()
    return -float((ns * logs).sum() / (ns**2).sum())


class LogSNRFlow(Flow):
    """Flow with times even in lambda = ln(alpha / sigma), as DPM-Solver's theory asks."""

    def times(self, num_steps):
        t = torch.linspace(7, -12, num_steps, dtype=torch.float64).sigmoid()
        return torch.cat([t, t.new_zeros(1)])


ORDERS = [
    (path, solver, order)
    for path in (EDM(sigma_min=1e-5), Flow(), Flow(shift=3.0))
    for solver, order in ((Euler, 1), (DDIM, 1), (Heun, 2))
]
# even steps in t have a step of ln 2 in lambda at either end, however many they are
ORDERS += [(path, DPMpp2M, 2) for path in (EDM(sigma_min=1e-5), LogSNRFlow())]


@pytest.mark.parametrize(("path", "solver", "order"), ORDERS)
def test_order_of_convergence(path, solver, order):
    found = slope(path, solver)
    print(f"{type(path).__name__} {solver.__name__}: {found:.2f}")
    assert found == pytest.approx(order, abs=0.15)


def test_dpmpp_on_even_flow_times_is_between_the_orders():
    assert 1.5 < slope(Flow(), DPMpp2M) < 2


PATHS = [EDM(), DDPM(), DDPM(schedule="cosine", prediction="v"), DDPM(prediction="x0"), Flow()]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize(
    "solver",
    [
        Euler(num_steps=100),
        Heun(num_steps=100),
        Heun(num_steps=100, S_churn=40, S_noise=1.0),
        DDIM(num_steps=100),
        DDIM(num_steps=100, eta=0.5),
        Ancestral(num_steps=250),
        DPMpp2M(num_steps=100),
    ],
    ids=str,
)
def test_lands_on_the_gaussian(path, solver):
    x = solver(path, exact_net(path), Noise(), (20_000,))
    assert float(x.mean()) == pytest.approx(0, abs=4 * S / math.sqrt(20_000))
    assert float(x.std() / S) == pytest.approx(1, abs=0.03)  # 4 sigma of the draw is 0.02


@pytest.mark.parametrize("path", [EDM(), DDPM()], ids=lambda p: type(p).__name__)
def test_ddim_is_euler_in_sigma(path):
    a = DDIM(num_steps=10)(path, exact_net(path), Noise(), (8,))
    b = Euler(num_steps=10)(path, exact_net(path), Noise(), (8,))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
def test_ddim_with_eta_1_is_ancestral(path):
    a = DDIM(num_steps=10, eta=1.0)(path, exact_net(path), Noise(), (8,))
    b = Ancestral(num_steps=10)(path, exact_net(path), Noise(), (8,))
    torch.testing.assert_close(a, b)


def test_ancestral_is_ddpms_algorithm_2():
    """In Ho's own variables; line 4 is x = (x - beta / sqrt(1 - abar) eps) / sqrt(alpha) + ..."""
    path, noise = DDPM(num_levels=50), Noise()
    net_fn = exact_net(path)
    abar = 1 / (1 + path.sigmas() ** 2)
    x = noise.randn((8,))
    for t in reversed(range(50)):
        before = abar[t - 1] if t > 0 else torch.ones(())
        alpha, beta = abar[t] / before, 1 - abar[t] / before
        eps = net_fn(x, torch.tensor([t / 50]))
        x = (x - beta / (1 - abar[t]).sqrt() * eps) / alpha.sqrt()
        if t > 0:
            x = x + (beta * (1 - before) / (1 - abar[t])).sqrt() * noise.randn((8,))
    y = Ancestral(num_steps=50)(path, net_fn, Noise(), (8,))
    torch.testing.assert_close(x, y)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
def test_renoise_goes_to_the_law_of_the_higher_level(path):
    times = path.times(20).tolist()
    x0, noise = S * Noise(seed=1).randn((50_000,)), Noise(seed=2)
    s, t = times[-4], times[-8]
    x_s = path.noised(x0, noise.randn((50_000,)), s)
    x_t = renoise(path, x_s, s, t, noise.randn((50_000,)))
    direct = path.noised(x0, noise.randn((50_000,)), t)
    assert float(x_t.std() / direct.std()) == pytest.approx(1, abs=0.02)
    assert float((x_t * x0).mean() / (direct * x0).mean()) == pytest.approx(1, abs=0.05)


def test_resampling_brings_the_unknown_half_closer_to_the_truth():
    """x ~ N(0, [[1, r], [r, 1]]) with x_1 = 1 given: x_2 ~ N(r, 1 - r^2)."""
    r, path = 0.9, Flow()
    cov = torch.tensor([[1, r], [r, 1]], dtype=torch.float64)

    def net_fn(x, t):
        t = float(t[0])
        marginal = (1 - t) ** 2 * cov + t**2 * torch.eye(2, dtype=torch.float64)
        x0 = x @ ((1 - t) * cov @ marginal.inverse()).T
        return (x - x0) / t

    mask = torch.tensor([True, False])
    errors = []
    for resample in (1, 10):
        noise, x0 = Noise(2000), torch.ones(2000, 2, dtype=torch.float64)

        def after(x, t, noise=noise, x0=x0):
            known = x0 if t == 0 else path.noised(x0, noise.randn((2,)), t)
            return torch.where(mask, known, x)

        x = Ancestral(num_steps=30, resample=resample)(path, net_fn, noise, (2,), after)
        assert (x[:, 0] == 1).all()
        errors.append(abs(float(x[:, 1].mean()) - r))
    assert errors[1] < errors[0] / 2, errors
    assert errors[1] < 0.05


def test_churn_is_heun_where_it_is_off():
    path = EDM()
    a = Heun(num_steps=9, S_churn=5, S_min=1e3)(path, exact_net(path), Noise(), (8,))
    torch.testing.assert_close(a, Heun(num_steps=9)(path, exact_net(path), Noise(), (8,)))


def test_heun_evaluates_twice_a_step_but_once_in_the_last():
    calls = []

    def net_fn(x, t):
        calls.append(t)
        return x

    Heun(num_steps=18)(EDM(), net_fn, Noise(), (2,))
    assert len(calls) == 35  # EDM's "NFE = 35" for 18 steps


def test_guidance_weighs_two_outputs_in_one_pass():
    sizes = []

    def net(x, t, cond):
        sizes.append(len(x))
        return x * (cond[:, None] + 1)

    cond, x, t = torch.tensor([0, 1]), torch.ones(2, 3), torch.ones(2)
    no_class = torch.tensor([5, 5])
    none = net(x, t, no_class)
    plain = guided(net, cond, no_class, weight=1)(x, t)
    assert sizes[-1] == 2
    torch.testing.assert_close(guided(net, cond, no_class, weight=0)(x, t), none)
    both = guided(net, cond, no_class, weight=3)(x, t)
    assert sizes[-1] == 4
    torch.testing.assert_close(both, 3 * plain - 2 * none)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Euler(num_steps=0), "sampler.num_steps=0"),
        (lambda: Heun(resample=0), "sampler.resample=0"),
        (lambda: DDIM(eta=2.0), "sampler.eta=2.0"),
        (lambda: DDPM(num_levels=10).times(11), "sampler.num_steps=11"),
        (lambda: DDPM(schedule="cosin"), "objective.schedule='cosin'"),
        (lambda: EDM(sigma_min=100.0), "objective.sigma_min=100.0"),
        (lambda: Flow(shift=0.0), "objective.shift=0.0"),
    ],
)
def test_errors_name_the_key(make, key):
    with pytest.raises(ValueError, match=key) as error:
        make()
    assert "\n" not in str(error.value)
