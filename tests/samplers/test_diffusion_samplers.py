"""Samplers against the truth: orders of convergence, the Gaussian's law, what is given stays."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from gaussian import Noise, S, exact_net, ode_solution

from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.objectives.flows import CosineFlow
from genlab.samplers.diffusion import DDIM, Ancestral, Euler, Heun, renoise
from genlab.samplers.multistep import DPMpp


def slope(path, solver, counts=(32, 64, 128)) -> float:
    """Least-squares order of the error at t = 0 in the number of steps."""
    start = Noise().randn((16,))
    errors = []
    for n in counts:
        x = solver(num_steps=n)(path, exact_net(path), Noise(), (16,))
        top = float(path.times(n)[0])
        truth = ode_solution(path, path.start(start, top), top)
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
    for path in (EDM(sigma_min=1e-5), Flow(), Flow(shift=3.0), CosineFlow())
    for solver, order in ((Euler, 1), (DDIM, 1), (Heun, 2))
]
# even steps in t have a step of ln 2 in lambda at either end, however many they are
ORDERS += [(path, DPMpp, 2) for path in (EDM(sigma_min=1e-5), LogSNRFlow())]


@pytest.mark.parametrize(("path", "solver", "order"), ORDERS)
def test_order_of_convergence(path, solver, order):
    found = slope(path, solver)
    print(f"{type(path).__name__} {solver}: {found:.2f}")
    assert found == pytest.approx(order, abs=0.15)


def test_dpmpp_on_even_flow_times_is_between_the_orders():
    assert 1.5 < slope(Flow(), DPMpp) < 2


PATHS = [EDM(), DDPM(), DDPM(schedule="cosine", prediction="v"), DDPM(prediction="x0"), Flow(),
         CosineFlow(), DDPM(schedule="zero_snr")]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize(
    "solver",
    [
        Euler(num_steps=100),
        Heun(num_steps=100),
        Heun(num_steps=100, S_churn=40, S_noise=1.0),
        DDIM(num_steps=100),
        DDIM(num_steps=150, eta=0.5),
        Ancestral(num_steps=250),
        DPMpp(num_steps=100),
    ],
    ids=str,
)
def test_lands_on_the_gaussian(path, solver):
    x = solver(path, exact_net(path), Noise(), (20_000,))
    assert float(x.mean()) == pytest.approx(0, abs=4 * S / math.sqrt(20_000))
    assert float(x.std() / S) == pytest.approx(1, abs=0.03)  # 4 sigma of the draw is 0.02


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # cosine with eps
    EVERY_PATH = {
        "edm": EDM(),
        **{
            f"{schedule}-{prediction}": DDPM(schedule=schedule, prediction=prediction)
            for schedule in ("linear", "cosine")
            for prediction in ("eps", "x0", "v")
        },
        "flow": Flow(),
        "flow-shifted": Flow(shift=3.0),
        "flow-cosine": CosineFlow(),
    }
DEFAULTS = [Euler(num_steps=50), Heun(), DDIM(), DDIM(eta=1.0), Ancestral(), DPMpp()]
every_pair = pytest.mark.parametrize(
    ("name", "solver"), [(n, s) for n in EVERY_PATH for s in DEFAULTS], ids=str
)


class Mixture:
    """Three normal clusters on the line: what the exact net of a path says of x_t."""

    means = torch.tensor([-1.0, 0.2, 1.0], dtype=torch.float64)
    weights = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)
    tau = 0.15

    def draw(self, num: int) -> torch.Tensor:
        g = torch.Generator().manual_seed(5)
        centres = self.means[torch.multinomial(self.weights, num, True, generator=g)]
        return centres + self.tau * torch.randn(num, generator=g, dtype=torch.float64)

    def denoised(self, x: torch.Tensor, alpha: float, sigma: float) -> torch.Tensor:
        """E[x_0 | x_t]."""
        variance = alpha**2 * self.tau**2 + sigma**2
        away = x[..., None] - alpha * self.means
        weights = (self.weights.log() - away**2 / (2 * variance)).softmax(-1)
        return (weights * (self.means + alpha * self.tau**2 / variance * away)).sum(-1)


def told(path, D: torch.Tensor, x: torch.Tensor, t: float) -> torch.Tensor:
    """What a network must say at x so that `denoise` gives D (denoise is affine in it)."""
    zero = path.denoise(lambda y, _: torch.zeros_like(y), x, t)
    one = path.denoise(lambda y, _: torch.ones_like(y), x, t)
    return (D - zero) / (one - zero)


class Exact:
    """A path whose network is exact for the mixture, and off by `error` if asked."""

    def __init__(self, path, error: float = 0.0) -> None:
        self.path, self.error = path, error

    def __getattr__(self, name):
        return getattr(self.path, name)

    def net_fn(self, x, t):
        out = told(self.path, Mixture().denoised(x, *self.path.alpha_sigma(t)), x, t)
        return lambda y, _: out + self.error

    def denoise(self, net_fn, x, t):
        return self.path.denoise(self.net_fn(x, t), x, t)

    def drift(self, net_fn, x, t):
        return self.path.drift(self.net_fn(x, t), x, t)


@every_pair
def test_every_sampler_draws_the_mixture_on_every_path(name, solver):
    """The default number of steps; Wasserstein-1 distance to the law, whose deviation is 0.8."""
    num = 2000
    x = solver(Exact(EVERY_PATH[name]), None, Noise(), (num,))[0].sort().values
    quantiles = Mixture().draw(100 * num).sort().values.view(num, 100).mean(1)
    found = float((x - quantiles).abs().mean())
    print(f"{name} {type(solver).__name__}: {found:.4f}")
    assert found < 0.08


@every_pair
def test_no_pair_blows_up_a_small_error(name, solver):
    """A network that is off by 0.02 everywhere moves a sample by at most a few times that."""
    path = EVERY_PATH[name]
    right, wrong = (solver(Exact(path, e), None, Noise(), (200,)) for e in (0.0, 0.02))
    moved = float((wrong - right).abs().mean())
    print(f"{name} {type(solver).__name__}: {moved / 0.02:.1f} times")
    assert moved < 0.2


@pytest.mark.parametrize("solver", [s for s in DEFAULTS if s.__class__ is not Ancestral], ids=str)
@pytest.mark.parametrize("name", EVERY_PATH)
def test_the_ode_is_followed_on_the_gaussian(name, solver):
    if getattr(solver, "eta", 0):
        return
    path = EVERY_PATH[name]
    x = solver(path, exact_net(path), Noise(), (2000,))
    top = float(path.times(solver.num_steps)[0])
    truth = ode_solution(path, path.start(Noise().randn((2000,)), top), top)
    assert float((x - truth).abs().mean()) < 0.08


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("num", [2, 5, 18, 50, 250, 900])
def test_no_step_of_ddpm_is_a_cliff(schedule, num):
    """Each level once; from one to the next sigma falls by a bounded factor, as EDM's does."""
    path, edm = DDPM(schedule=schedule), EDM(sigma_max=160, sigma_min=0.0064)
    times = path.times(num)
    assert (times.diff() < 0).all() and len(times) == num + 1
    assert set(times[:-1].tolist()) <= set(path.sigmas().tolist())
    assert times[0] == path.max_time <= 161
    fall, edms = (float((t[:-2] / t[1:-1]).max()) for t in (times, edm.times(num)))
    assert fall < max(2.5, 1.2 * edms)


def test_the_cosine_schedule_predicts_v_unless_asked():
    assert DDPM().prediction == "eps" and DDPM(schedule="cosine").prediction == "v"
    with pytest.warns(UserWarning, match="objective.prediction=v"):
        DDPM(schedule="cosine", prediction="eps")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DDPM(schedule="cosine", prediction="eps", clip=1.0)


def test_all_levels_are_hos_own():
    assert torch.equal(DDPM().times(1000)[:-1], DDPM().sigmas().flip(0))
    assert torch.equal(
        DDPM(spacing="even").times(10)[:-1],
        DDPM().sigmas()[torch.linspace(999, 0, 10, dtype=torch.float64).round().long()],
    )


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


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim_adds_the_noise_of_equation_16(eta):
    zero = torch.zeros(1, 20_000, dtype=torch.float64)  # where D is 0 too: only noise is left
    x, _ = DDIM(eta=eta).step(EDM(), lambda x, t: x, zero, 2.0, 1.2, Noise(1), None)
    assert float(x.std()) == pytest.approx(eta * 1.2 * math.sqrt(1 - (1.2 / 2) ** 2), rel=0.03)


def test_dpmpp_is_exact_where_the_denoiser_is_linear_in_lambda():
    """To second order: the mean of D over a step in lambda is D at its middle (steps uneven)."""

    class Linear(EDM):
        def denoise(self, net_fn, x, t):
            return torch.full_like(x, 3 - 2 * math.log(t))  # lambda = -ln(sigma)

    x, (before, t, s) = torch.ones(1, 2, dtype=torch.float64), (9.0, 2.0, 1.5)
    memory = ((-math.log(before), Linear().denoise(None, x, before)),)
    found, ((level, D),) = DPMpp().step(Linear(), None, x, t, s, Noise(1), memory)
    middle = 3 - 2 * math.log(math.sqrt(t * s))
    torch.testing.assert_close(found, s / t * x + (1 - s / t) * middle)
    assert level == -math.log(t) and D.eq(3 - 2 * math.log(t)).all()


def test_ancestral_is_ddpms_algorithm_2():
    """In Ho's own variables; line 4 is x = (x - beta / sqrt(1 - abar) eps) / sqrt(alpha) + ..."""
    path, noise = DDPM(num_levels=50, sigma_max=math.inf), Noise()
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


@pytest.mark.parametrize(("S_churn", "S_noise"), [(3.0, 1.0), (1e3, 1.0), (3.0, 1.4)])
def test_churn_goes_up_by_gamma_with_new_noise(S_churn, S_noise):
    """Karras' algorithm 2, lines 4-6: t_hat = (1 + gamma) t, and S_noise times what it has more."""
    seen, path, t = [], EDM(), 5.0
    solver = Heun(num_steps=10, S_churn=S_churn, S_noise=S_noise)

    def net_fn(x, c_noise):
        seen.append((x, float((4 * c_noise[0]).exp())))
        return x

    start = torch.zeros(1, 20_000, dtype=torch.float64)
    solver.step(path, net_fn, start, t, 1.0, Noise(1), None)
    shown, t_hat = seen[0]
    gamma = min(S_churn / 10, math.sqrt(2) - 1)
    assert t_hat == pytest.approx((1 + gamma) * t)
    added = float((shown * math.sqrt(t_hat**2 + path.sigma_data**2)).std())
    assert added == pytest.approx(S_noise * math.sqrt(t_hat**2 - t**2), rel=0.03)


def test_heun_evaluates_twice_a_step_but_once_in_the_last():
    calls = []

    def net_fn(x, t):
        calls.append(t)
        return x

    Heun(num_steps=18)(EDM(), net_fn, Noise(), (2,))
    assert len(calls) == 35  # EDM's "NFE = 35" for 18 steps


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Euler(num_steps=0), "sampler.num_steps=0"),
        (lambda: Heun(resample=0), "sampler.resample=0"),
        (lambda: DDIM(eta=2.0), "sampler.eta=2.0"),
        (lambda: DDPM(num_levels=10).times(11), "sampler.num_steps=11"),
        (lambda: DDPM(schedule="cosine").times(1000), "at most 996"),
        (lambda: DDPM(schedule="cosin"), "objective.schedule='cosin'"),
        (lambda: DDPM(spacing="odd"), "objective.spacing='odd'"),
        (lambda: DDPM(sigma_max=0.0), "objective.sigma_max=0.0"),
        (lambda: EDM(sigma_min=100.0), "objective.sigma_min=100.0"),
        (lambda: Flow(shift=0.0), "objective.shift=0.0"),
    ],
)
def test_errors_name_the_key(make, key):
    with pytest.raises(ValueError, match=key) as error:
        make()
    assert "\n" not in str(error.value)
