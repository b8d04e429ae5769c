"""Mean flows against the normal law's average velocity: x_t / std(x_t) stays along a path."""

from __future__ import annotations

import pytest
import torch
from gaussian import Noise, S, ode_solution
from torch import nn

from genlab.models.diffusion import Diffusion
from genlab.nn.dit import DiT
from genlab.nn.layers import TimeEmbedding
from genlab.nn.mlp import MLP
from genlab.nn.sinusoidal import SinusoidalMLP
from genlab.nn.unet import UNet
from genlab.objectives.mean_flow import MeanFlow
from genlab.samplers.diffusion import Consistency, Heun
from genlab.samplers.few_steps import Jumps
from genlab.samplers.guidance import Guidance, classifier_free

PATH = MeanFlow()


def deviation(t):
    return ((1 - t) ** 2 * S**2 + t**2).sqrt()


def exact(x, times):
    """u(x_t, r, t) = (x_t - x_r) / (t - r), with x_r = x_t std(x_r) / std(x_t); v where r = t."""
    t, gap = times[:, :1], times[:, 1:]
    r, same = t - gap, gap == 0
    v = (t - (1 - t) * S**2) / deviation(t) ** 2
    jump = (1 - deviation(r) / deviation(t)) / torch.where(same, torch.ones_like(gap), gap)
    return torch.where(same, v, jump) * x


def data(num=20_000):
    return S * torch.randn(num, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_average_velocity_is_what_training_is_after(p):
    """At the exact u the gradient is 0; a larger or a smaller one is drawn back to it."""
    path = MeanFlow(instant=0.5, p=p)

    def slope(scale):
        torch.manual_seed(1)
        a = torch.tensor(scale, requires_grad=True, dtype=torch.float64)
        far = lambda x, times: exact(x, times) * (1 + (a - 1) * (times[:, 1:] > 0))  # noqa: E731
        loss = path.loss(far, data(400_000), 0).mean()
        return float(torch.autograd.grad(loss, a)[0])

    low, at, high = slope(0.9), slope(1.0), slope(1.1)
    assert low < 0 < high and abs(at) < 0.2 * min(-low, high)


def test_the_identity_holds_at_every_pair_of_times():
    """Equation 6 with the law's own v: u = v - (t - r) du/dt, to rounding."""
    x, draws = data(200), torch.Generator().manual_seed(2)
    t = torch.rand(200, generator=draws, dtype=torch.float64)
    r = t * torch.rand(200, generator=draws, dtype=torch.float64)
    v = exact(x, torch.stack([t, 0 * t], 1))
    u, dudt = PATH.derivative(exact, x, t, r, v)
    torch.testing.assert_close(u, v - (t - r)[:, None] * dudt)


NETS = {
    "mlp": (lambda: MLP((2,), num_classes=3), (2,)),
    "unet": (lambda: UNet((1, 8, 8), num_classes=3, width=8, attention=(1, 2)), (1, 8, 8)),
    "dit": (lambda: DiT((1, 8, 8), num_classes=3, width=16, depth=2), (1, 8, 8)),
}


@pytest.mark.parametrize("name", NETS)
def test_the_derivative_is_the_networks_by_finite_differences(name):
    build, shape = NETS[name]
    torch.manual_seed(0)
    net = build()
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.1)
    x, v, cond = torch.randn(6, *shape), torch.randn(6, *shape), torch.tensor([0, 1, 2, 3, 0, 1])
    t, r, h = torch.rand(6), torch.rand(6) / 2, 3e-4
    net_fn = lambda x, t: net(x, t, cond)  # noqa: E731
    u, dudt = PATH.derivative(net_fn, x, t, r, v)
    with torch.no_grad():
        at = [PATH.average(net_fn, x + d * v, t + d, r) for d in (-h, 0.0, h)]
    torch.testing.assert_close(u, at[1])
    found = (at[2] - at[0]) / (2 * h)
    assert float((dudt - found).abs().max()) < 0.02 * float(found.abs().max())
    u.square().mean().backward()  # u alone reaches the weights
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)


@pytest.mark.parametrize("num", [1, 2, 5])
def test_any_number_of_jumps_goes_to_the_data_exactly(num):
    draws = Noise(50)
    x = Jumps(num_steps=num)(PATH, exact, draws, (2,))
    torch.testing.assert_close(x, ode_solution(PATH, Noise(50).randn((2,)), 1.0))


def test_solvers_are_given_the_velocity_at_one_time():
    x = Heun(num_steps=200)(PATH, exact, Noise(50), (2,))
    expected = ode_solution(PATH, Noise(50).randn((2,)), 1.0)
    torch.testing.assert_close(x, expected, rtol=1e-3, atol=1e-4)
    half = torch.full((50, 2), 0.4, dtype=torch.float64)
    D = 0.7 * S**2 / (0.7**2 * S**2 + 0.3**2) * half  # E[x_0 | x_t]
    torch.testing.assert_close(PATH.denoise(exact, half, 0.3), D)


def test_guidance_mixes_jumps():
    def net(x, times, cond):
        return exact(x, times) + cond[:, None]

    x = torch.ones(3, 2, dtype=torch.float64)
    cond, none = torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3)
    path, net_fn = classifier_free(PATH, net, cond, none, Guidance(weight=3.0))
    plain = PATH.jump(exact, x, 0.8, 0.2)
    torch.testing.assert_close(path.jump(net_fn, x, 0.8, 0.2), plain - 0.6 * 3 * cond[:, None])
    path, net_fn = classifier_free(PATH, net, cond, none, Guidance(weight=3.0, below=0.1))
    torch.testing.assert_close(path.jump(net_fn, x, 0.8, 0.2), plain - 0.6 * cond[:, None])


def test_times_are_drawn_as_section_4_3_says():
    torch.manual_seed(0)
    t, r = MeanFlow(instant=0.75).two_times(torch.zeros(40_000, 2))
    assert (r <= t).all() and float((r == t).float().mean()) == pytest.approx(0.75, abs=0.01)
    t, r = MeanFlow(instant=0.0).two_times(torch.zeros(40_000, 2))
    both = torch.cat([t, r]).logit()
    assert float(both.mean()) == pytest.approx(-0.4, abs=0.02)
    assert float(both.std()) == pytest.approx(1.0, abs=0.02)


def test_the_weight_is_of_training_alone():
    def loss(seen, **settings):
        torch.manual_seed(3)
        return MeanFlow(**settings).loss(exact, data(500), seen)

    square = 2 * loss(None)  # of two values
    torch.testing.assert_close(loss(0, p=0.0), square)
    torch.testing.assert_close(loss(0, p=0.5, c=0.1), square / (square + 0.1).sqrt())


def test_two_times_share_the_features_of_one():
    embed = TimeEmbedding(8)
    t, r = torch.rand(5), torch.rand(5)
    assert embed(torch.stack([t, r], 1)).shape == embed(t).shape == (5, 8)
    assert not torch.allclose(embed(torch.stack([t, r], 1)), embed(torch.stack([r, t], 1)))


def test_what_cannot_be_is_refused_by_name():
    def build(sampler):
        return Diffusion(MLP((2,)), objective=PATH, sampler=sampler, shape=(2,))

    assert build(Jumps()).sample(3).shape == build(Heun()).sample(3).shape == (3, 2)
    with pytest.raises(ValueError, match=r"Consistency does not draw from objective MeanFlow; writ"
                                         r"e sampler=heun.*, or sampler=mean_flow"):  # fmt: skip
        build(Consistency())
    with pytest.raises(ValueError, match=r"net=sinusoidal is given 2 times.*write net=mlp"):
        PATH.loss(SinusoidalMLP((2,)), torch.zeros(3, 2))
    for key, wrong in (("instant", 1.5), ("t_std", 0.0), ("p", -1.0), ("c", 0.0)):
        with pytest.raises(ValueError, match=rf"objective\..*{key}={wrong}"):
            MeanFlow(**{key: wrong})
