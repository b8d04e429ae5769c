"""Inversion, ways between samples and pictures made of pictures, against the normal law's ODE."""

from __future__ import annotations

import math

import pytest
import torch
from gaussian import Noise, S, exact_net, ode_solution, std
from torch import nn

from genlab.models.conditions import Classes
from genlab.models.diffusion import Diffusion
from genlab.objectives.consistency import EasyConsistency
from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.objectives.flows import CosineFlow
from genlab.samplers.diffusion import DDIM, Consistency, Euler, Heun, Midpoint
from genlab.samplers.edit import from_level, from_noise, to_noise, undone
from genlab.samplers.latent import between
from genlab.samplers.multistep import DPMpp

PATHS = [EDM(), Flow(), CosineFlow(), DDPM(prediction="v")]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)
def test_the_noise_of_an_example_is_the_odes(path):
    x = S * Noise(40).randn((3,))
    eps = to_noise(path, exact_net(path), x, num_steps=60)
    top = float(path.times(60)[0])
    scale = float(path.start(torch.ones(()), top))
    expected = ode_solution(path, x, 0.0, top) / scale
    near = 2e-2 if isinstance(path, DDPM) else 1e-3  # its exact net rounds to whole levels
    torch.testing.assert_close(eps, expected, rtol=near, atol=near)


SAMPLERS = [Euler(num_steps=30), Heun(num_steps=20), Midpoint(num_steps=20), DDIM(num_steps=30)]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)
def test_a_samplers_own_steps_are_undone_however_long(path, sampler):
    net = exact_net(path)
    eps = Noise(40).randn((3,))
    x = from_noise(sampler, path, net, Noise(0), eps)
    found = undone(sampler, path, net, x)
    assert float((from_noise(sampler, path, net, Noise(0), found) - x).abs().max()) < 1e-3
    assert float((found - eps).abs().max()) < 1e-2


def test_steps_that_cannot_be_undone_are_refused():
    path, x = EDM(), torch.ones(4, 3)
    with pytest.raises(ValueError, match="look back"):
        undone(DPMpp(num_steps=10), path, exact_net(path), x)
    for drawing in (Heun(num_steps=10, S_churn=5.0), DDIM(num_steps=10, eta=1.0)):
        with pytest.raises(ValueError, match="draw noise"):
            undone(drawing, path, exact_net(path), x)
    steep = lambda x, t: 40 * torch.sin(9 * x)  # noqa: E731
    with pytest.raises(ValueError, match=r"write sampler\.num_steps=4"):
        undone(Euler(num_steps=2), Flow(), steep, x)


class Smooth(nn.Module):
    """It denoises no known law."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 3)
        self.classes = nn.Embedding(3, 16)

    def forward(self, x, t, cond):
        h = self.first(torch.cat([x, t[:, None]], 1)) + self.classes(cond) / 2
        return self.last(h.tanh())


def model(objective=None, seed: int = 0, sampler=None, **more) -> Diffusion:
    sampler = sampler or Heun(num_steps=50)
    return Diffusion(Smooth(seed), objective=objective or EDM(), sampler=sampler, shape=(3,),
                     conditions=Classes(num_classes=2), **more)  # fmt: skip


@pytest.mark.parametrize("objective", [EDM(), Flow()], ids=lambda path: type(path).__name__)
def test_what_is_inverted_and_drawn_again_returns(objective):
    it, x = (
        model(objective, sampler=Heun(num_steps=200)),
        0.5 * torch.randn(20, 3, generator=torch.Generator().manual_seed(1)),
    )
    cond = torch.arange(20) % 2
    back = it.decode(it.invert(x, cond, num_steps=100), cond)
    assert float((back - x).abs().max()) < 1e-3
    other = it.decode(it.invert(x, cond, num_steps=100), 1 - cond)
    assert float((other - x).abs().max()) > 1e-2  # under another condition it is another
    few = model(objective, sampler=Heun(num_steps=12))
    assert float((few.decode(few.invert(x, cond), cond) - x).abs().max()) < 1e-3


@pytest.mark.parametrize("sampler", [Heun(num_steps=5), DDIM(num_steps=5, eta=1.0)])
def test_ways_go_through_the_noise_on_the_great_circle(sampler):
    it, cond = model(sampler=sampler), torch.tensor([0, 1, 1])
    rows = it.between(3, 5, cond, seed=4, first=2)
    assert rows.shape == (3, 5, 3)
    torch.testing.assert_close(rows[:, 0], it.sample(3, cond, seed=4, first=2))
    if sampler.num_steps == 5 and not isinstance(sampler, DDIM):
        torch.testing.assert_close(rows[:, -1], it.sample(3, cond, seed=4, first=5))
    ends = [it.decode(torch.ones(3, 3), cond), it.decode(-torch.ones(3, 3), cond)]
    assert not torch.allclose(*ends)
    assert between(torch.ones(1, 3), torch.eye(3)[:1], 3).shape == (1, 3, 3)


def test_an_example_is_drawn_anew_from_its_noise_level():
    """Of a normal law the ODE's map is linear: x keeps alpha std(0) / std(t) of itself."""
    path, level = EDM(), 0.6
    x = torch.full((200_000, 1), 0.9, dtype=torch.float64)
    found = from_level(Heun(num_steps=40), path, exact_net(path), Noise(200_000), x, level)
    shrunk = S / std(path, level)
    assert float(found.mean()) == pytest.approx(0.9 * shrunk, abs=0.005)
    assert float(found.std()) == pytest.approx(level * shrunk, rel=0.02)


def test_little_noise_changes_little_and_samples_do_not_depend_on_others():
    it, x = model(sampler=Heun(num_steps=10)), torch.randn(6, 3)
    cond = torch.zeros(6, dtype=torch.long)
    off = [float((it.vary(x, level, cond, seed=3) - x).norm()) for level in (0.01, 0.5, 20.0)]
    assert off[0] < off[1] < off[2] and off[0] < 0.2
    whole = it.vary(x, 0.5, cond, seed=3)
    torch.testing.assert_close(it.vary(x[2:], 0.5, cond[2:], seed=3, first=2), whole[2:])


def test_a_weaker_model_guides():
    strong, weak = model(seed=0, sampler=Euler(num_steps=1, guidance=3.0)), model(seed=1)
    cond, eps = torch.tensor([0, 1]), torch.ones(2, 3)
    alone = [m.decode(eps, cond) for m in (strong_at_1(strong), strong_at_1(weak))]
    strong.guide_by(weak)
    expected = alone[1] + 3.0 * (alone[0] - alone[1])
    torch.testing.assert_close(strong.decode(eps, cond), expected, rtol=1e-4, atol=1e-4)


def strong_at_1(it: Diffusion) -> Diffusion:
    return Diffusion(it.net, objective=it.objective, sampler=Euler(num_steps=1), shape=(3,),
                     conditions=it.conditions)  # fmt: skip


def test_what_cannot_be_is_refused_by_name():
    it, x = model(sampler=Heun(num_steps=5)), torch.zeros(2, 3)
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"level=.*sigma / alpha, a finite number above 0"):
            it.vary(x, wrong, 0)
    with pytest.raises(ValueError, match=r"level=80\.0: the sampler begins below it, at 80"):
        it.vary(x, 80.0, 0)
    with pytest.raises(ValueError, match=r"weaker: .*noise is the data.s at 0\.5.*and 1"):
        it.guide_by(model(Flow()))
    few = Diffusion(Smooth(0), objective=EasyConsistency(), shape=(3,), sampler=Consistency(),
                    conditions=Classes(num_classes=2))  # fmt: skip
    with pytest.raises(ValueError, match="EasyConsistency has no ODE to walk up"):
        few.invert(x, 0)
