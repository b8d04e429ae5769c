"""Objectives against the truth: optima on a Gaussian, published schedules, closed forms."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from gaussian import S, exact_net

from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.objectives.flows import CosineFlow, CoupledFlow
from genlab.rng import share_of

PATHS = [
    EDM(),
    DDPM(),
    DDPM(schedule="cosine", prediction="v"),
    DDPM(prediction="x0"),
    Flow(),
    CosineFlow(),
    DDPM(min_snr=5.0),
    DDPM(min_snr=5.0, prediction="x0"),
    DDPM(min_snr=5.0, schedule="cosine"),
    DDPM(schedule="zero_snr"),
]
B, D = 4000, 8


def data() -> torch.Tensor:
    torch.manual_seed(0)
    return S * torch.randn(B, D, dtype=torch.float64)


def optimum(path) -> float:
    """The least possible loss on N(0, S^2): the posterior's variance, over all levels."""
    u = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    if isinstance(path, EDM):
        sigma = (path.P_mean + path.P_std * torch.special.ndtri(u)).exp()
        weight = (sigma**2 + path.sigma_data**2) / (sigma * path.sigma_data) ** 2
        return float((weight * S**2 * sigma**2 / (S**2 + sigma**2)).mean())
    if isinstance(path, CosineFlow):  # the variance of cos eps - sin x_0 given x_t
        a, b = path.alpha_sigma(u)
        covariance, total = a * b * (1 - S**2), a**2 + b**2 * S**2
        return float((total - covariance**2 / (a**2 * S**2 + b**2)).mean())
    if isinstance(path, Flow):  # the variance of eps - x_0 given x_t
        t = u
        covariance = t - (1 - t) * S**2
        return float((1 + S**2 - covariance**2 / ((1 - t) ** 2 * S**2 + t**2)).mean())
    abar = 1 / (1 + path.sigmas() ** 2)
    a, b = abar.sqrt(), (1 - abar).sqrt()  # what is predicted is c . (x_0, eps), x_t is (a, b) . it
    c0, c1 = {"eps": (0, 1), "x0": (1, 0), "v": (-b, a)}[path.prediction]
    covariance, total = c0 * a * S**2 + c1 * b, c0**2 * S**2 + c1**2 + 0 * a
    snr = path.sigmas() ** -2
    if path.min_snr is None:
        weight = torch.ones_like(snr)
    else:  # of x_0's error min(SNR, 5), of eps' it divided by SNR, of v's by SNR + 1
        weight = snr.clamp(max=5) / {"eps": snr, "x0": 1, "v": snr + 1}[path.prediction]
    return float((weight * (total - covariance**2 / (a**2 * S**2 + b**2))).mean())


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
def test_the_exact_network_attains_the_optimum(path):
    net_fn, x = exact_net(path), data()
    found = path.loss(net_fn, x)
    assert found.shape == (B,)
    assert float(found.mean()) == pytest.approx(optimum(path), rel=0.03)
    for scale in (0.9, 1.1):
        torch.manual_seed(1)
        worse = path.loss(lambda y, t, scale=scale: scale * net_fn(y, t), x).mean()
        torch.manual_seed(1)
        assert worse > path.loss(net_fn, x).mean()


def test_edm_loss_is_one_where_sigma_data_is_the_data():
    """lambda(sigma) makes the optimum 1 at every level, for Gaussian data of that deviation."""
    path = EDM(sigma_data=S)
    loss = path.loss(lambda x, t: torch.zeros_like(x), data())  # D = c_skip x is exact
    assert float(loss.mean()) == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
def test_denoise_and_drift_in_closed_form(path):
    x, net_fn = data()[:5], exact_net(path)
    for t in path.times(10)[1:-1].tolist():
        alpha, sigma = path.alpha_sigma(t)
        variance = alpha**2 * S**2 + sigma**2
        torch.testing.assert_close(path.denoise(net_fn, x, t), alpha * S**2 / variance * x)
        slope = (t - (1 - t) * S**2 if isinstance(path, Flow) else t) / variance  # (ln std)'
        if isinstance(path, CosineFlow):
            slope = math.pi / 2 * alpha * sigma * (1 - S**2) / variance
        torch.testing.assert_close(path.drift(net_fn, x, t), slope * x)
        D = path.denoise(net_fn, x, t)
        torch.testing.assert_close(path.along(D, x, t), slope * x)
        levels = torch.full((5,), t, dtype=x.dtype)
        torch.testing.assert_close(path.denoise(net_fn, x, levels), path.denoise(net_fn, x, t))


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
def test_times_fall_to_zero(path):
    times = path.times(12)
    assert len(times) == 13
    assert times[-1] == 0
    assert (times.diff() < 0).all()
    eps = torch.randn(3, 2, dtype=torch.float64)
    alpha, sigma = path.alpha_sigma(float(times[0]))
    variance = float(path.start(eps, float(times[0])).square().mean() / eps.square().mean())
    assert variance == pytest.approx(alpha**2 + sigma**2 if alpha < 1 else sigma**2, rel=1e-3)


def test_edm_times_are_equation_5():
    path = EDM()
    i, n = 7, 18
    expected = (80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert float(path.times(n)[i]) == pytest.approx(expected, rel=1e-12)
    assert float(path.times(n)[0]) == pytest.approx(80)
    expected = (80 ** (1 / 3) + i / (n - 1) * (0.002 ** (1 / 3) - 80 ** (1 / 3))) ** 3
    assert float(EDM(rho=3).times(n)[i]) == pytest.approx(expected, rel=1e-12)


def test_ddpm_linear_schedule_is_hos():
    abar = 1 / (1 + DDPM().sigmas() ** 2)
    expected = 1.0
    for i in range(1000):
        expected *= 1 - (1e-4 + (0.02 - 1e-4) * i / 999)
    assert float(abar[-1]) == pytest.approx(expected, rel=1e-9)
    assert float(abar[-1]) == pytest.approx(4.0358e-05, rel=1e-4)  # as in the authors' code
    assert float(abar[0]) == pytest.approx(1 - 1e-4, rel=1e-9)
    for num in (50, 1000, 4000):  # whatever T, the betas have one sum: the same noise
        abar = torch.cat([torch.ones(1), 1 / (1 + DDPM(num_levels=num).sigmas() ** 2)])
        assert float((1 - abar[1:] / abar[:-1]).sum()) == pytest.approx(10.05, rel=1e-6)


def test_ddpm_cosine_schedule_is_nichols():
    abar = 1 / (1 + DDPM(schedule="cosine").sigmas() ** 2)

    def f(t):
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    for t in (1, 250, 500, 900):
        assert float(abar[t - 1]) == pytest.approx(f(t) / f(0), rel=1e-6)
    last = DDPM(schedule="cosine").sigmas()[-2:].round().tolist()
    assert last == [642, 20291], "no beta is above 0.999"


def test_ddpm_shows_the_network_levels_of_order_one():
    path = DDPM(num_levels=100)
    for i in (0, 1, 50, 98, 99):
        level = path.level(path.sigmas()[i : i + 1].float())
        assert float(level) == pytest.approx(i / 100, abs=1e-4)
    between = path.level(torch.sqrt(path.sigmas()[50] * path.sigmas()[51])[None])
    assert float(between) == pytest.approx(0.505)


def test_ddpm_clip_holds_the_denoised_within():
    path = DDPM(clip=1.0)
    for far in (50, -50):
        D = path.denoise(lambda x, t: torch.zeros_like(x), far * torch.ones(2, 3), 1.0)
        assert D.eq(far / 50).all()


def test_flow_targets_the_velocity():
    """With the network at 0 the loss is |eps - x_0|^2, of mean 1 + S^2."""
    for law in ("uniform", "logit_normal"):
        loss = Flow(time_law=law, shift=2.0).loss(lambda x, t: torch.zeros_like(x), data())
        assert float(loss.mean()) == pytest.approx(1 + S**2, rel=0.03)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_spends_its_times_as_the_law_and_the_shift_say(shift):
    """t = s u / (1 + (s - 1) u) in training and in sampling; the normal's middle 68.27 %."""

    def shifted(u: float) -> float:
        return shift * u / (1 + (shift - 1) * u)

    middle = tuple(shifted(1 / (1 + math.exp(e))) for e in (1, -1))
    for law, low, high, share in (
        ("uniform", shifted(0.25), shifted(0.75), 0.5), ("logit_normal", *middle, 0.6827),
    ):  # fmt: skip
        seen = []
        Flow(time_law=law, shift=shift).loss(lambda x, t, seen=seen: seen.append(t) or x, data())
        assert float(((seen[0] > low) & (seen[0] < high)).double().mean()) == pytest.approx(
            share, abs=0.03
        )
        assert float((seen[0] > shifted(0.5)).double().mean()) == pytest.approx(0.5, abs=0.03)
    assert Flow(shift=shift).times(4).tolist() == pytest.approx(
        [shifted(u) for u in (1, 0.75, 0.5, 0.25, 0)]
    )


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
def test_two_ranks_see_the_noise_that_one_would_see(path):
    x = data()[:8].float()

    def net_fn(y, t):
        return y * t[:, None]

    torch.manual_seed(3)
    whole = path.loss(net_fn, x)
    halves = []
    for rank in (0, 1):
        torch.manual_seed(3)
        with share_of(rank, 2):
            halves.append(path.loss(net_fn, x[4 * rank : 4 * rank + 4]))
    torch.testing.assert_close(torch.cat(halves), whole)


def test_coupled_noise_is_the_batchs_in_the_order_of_the_least_total_distance():
    x0, path = torch.randn(6, 2, generator=torch.Generator().manual_seed(3)), CoupledFlow()
    torch.manual_seed(4)
    found = path.noise(x0)
    torch.manual_seed(4)
    plain = Flow().noise(x0)
    orders = torch.tensor(list(itertools.permutations(range(6))))
    totals = ((x0 - plain[orders]) ** 2).sum((1, 2))
    torch.testing.assert_close(found, plain[orders[totals.argmin()]])


def test_a_zero_snr_schedule_ends_in_noise_and_begins_as_the_linear_one():
    plain, path = DDPM(), DDPM(schedule="zero_snr")
    assert path.prediction == "v" and path.max_time == pytest.approx(1e5, rel=1e-6)
    assert float(path.sigmas()[0]) == pytest.approx(float(plain.sigmas()[0]), rel=1e-6)
    root, before = ((1 + p.sigmas() ** 2).rsqrt() for p in (path, plain))
    expected = (before - before[-1]) * before[0] / (before[0] - before[-1])  # algorithm 1
    torch.testing.assert_close(root[:-1], expected[:-1])
    with pytest.raises(ValueError, match="prediction=eps with schedule=zero_snr"):
        DDPM(schedule="zero_snr", prediction="eps")
    with pytest.raises(ValueError, match=r"objective\.min_snr=0"):
        DDPM(min_snr=0)
