"""Samplers and schedules beside diffusers' own: the same network, noise and levels.

Where the two differ by definition, the test says so: the third order of DPM-Solver++.
"""

from __future__ import annotations

import logging

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="a test-only peer: pip install -e '.[test]'")

from genlab.objectives.diffusion import DDPM, Flow  # noqa: E402
from genlab.samplers import schedules  # noqa: E402
from genlab.samplers.diffusion import DDIM, Ancestral, Euler, Heun  # noqa: E402
from genlab.samplers.multistep import LMS, DPMpp, UniPC  # noqa: E402

T, SHAPE = 1000, (5,)
PREDICTIONS = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}
SPACINGS = {"linear": "linspace", "trailing": "trailing", "leading": "leading"}
BETAS = {"beta_start": 1e-4, "beta_end": 0.02, "num_train_timesteps": T}
logging.getLogger("diffusers").setLevel(logging.ERROR)


def net(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Any smooth network: level [B] in [0, 1)."""
    g = torch.Generator().manual_seed(3)
    a = torch.randn(SHAPE[0], SHAPE[0], generator=g, dtype=torch.float64)
    return (x.double() @ a / 3 + torch.sin(3 * level.double())[:, None]).tanh()


class Told:
    """Noise that is remembered, so that the other one is told the same."""

    def __init__(self, num: int = 4) -> None:
        self.num, self.generator, self.kept = num, torch.Generator().manual_seed(0), []

    def randn(self, shape):
        eps = torch.randn(self.num, *shape, generator=self.generator, dtype=torch.float64)
        self.kept.append(eps)
        return eps


def ours(path, solver) -> tuple[torch.Tensor, list[torch.Tensor]]:
    noise = Told()
    return solver(path, net, noise, SHAPE), noise.kept


def theirs(scheduler, num: int, start: torch.Tensor, told=(), *, vp: bool, monkeypatch=None):
    """Their loop, from the network's own coordinates (vp), or from sigma's."""
    scheduler.set_timesteps(num)
    x, rest = start, list(told)
    if monkeypatch is not None:
        module = __import__(type(scheduler).__module__, fromlist=["x"])
        monkeypatch.setattr(module, "randn_tensor", lambda *a, **k: rest.pop(0))
    for t in scheduler.timesteps:
        shown = x if vp else scheduler.scale_model_input(x, t)
        out = net(shown, torch.full((len(x),), float(t) / T, dtype=torch.float64))
        x = scheduler.step(out, t, x).prev_sample
    return x


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    assert float((a - b).abs().max() / b.abs().max()) < 1e-4


def pair(prediction: str, schedule: str = "trailing", **more):
    path = DDPM(prediction=prediction)
    assert path.num_levels == path._top + 1  # all of the levels are visited
    config = {**BETAS, "prediction_type": PREDICTIONS[prediction],
              "timestep_spacing": SPACINGS[schedule], **more}  # fmt: skip
    return path, config


every = pytest.mark.parametrize("prediction", PREDICTIONS)
spaced = pytest.mark.parametrize("schedule", SPACINGS)
PLAIN = {"clip_sample": False, "set_alpha_to_one": True}


@spaced
def test_the_levels_are_theirs(schedule):
    path, config = pair("eps", schedule)
    scheduler = diffusers.EulerDiscreteScheduler(**config)
    scheduler.set_timesteps(10)
    found = schedules.levels(schedule, path, 10)
    torch.testing.assert_close(found, scheduler.sigmas.double(), rtol=1e-4, atol=1e-6)


def test_karras_levels_are_theirs():
    """Its own ends, on which k-diffusion and EDM agree; their grid of T levels ends at 0.0100."""
    path, config = pair("eps", "leading", use_karras_sigmas=True, sigma_min=0.01, sigma_max=80.0)
    scheduler = diffusers.EulerDiscreteScheduler(**config)
    scheduler.set_timesteps(10)
    found = schedules.karras(path, 10, low=0.01)
    torch.testing.assert_close(found, scheduler.sigmas.double(), rtol=1e-3, atol=1e-6)


@every
@pytest.mark.parametrize("schedule", ["trailing", "leading"])  # of "linspace" their step is wrong
def test_ddim(prediction, schedule):
    path, config = pair(prediction, schedule)
    x, (start, *_) = ours(path, DDIM(num_steps=10, schedule=schedule))
    peer = diffusers.DDIMScheduler(**config, **PLAIN)
    same(x, theirs(peer, 10, start, vp=True))


@every
def test_ancestral_is_ddpm(prediction, monkeypatch):
    path, config = pair(prediction, "leading")
    x, (start, *noise) = ours(path, Ancestral(num_steps=20, schedule="leading"))
    peer = diffusers.DDPMScheduler(**config, clip_sample=False)
    same(x, theirs(peer, 20, start, noise, vp=True, monkeypatch=monkeypatch))


def begun(path, schedule: str, num: int, start: torch.Tensor) -> torch.Tensor:
    return path.start(start, float(schedules.levels(schedule, path, num)[0]))


@spaced
@pytest.mark.parametrize(
    ("name", "prediction"),
    [("Euler", p) for p in PREDICTIONS] + [(n, p) for n in ("Heun", "LMS") for p in ("eps", "v")],
)  # their Heun and LMS do not know x0 prediction
def test_euler_heun_and_lms(name, prediction, schedule):
    path, config = pair(prediction, schedule)
    solver = {"Euler": Euler, "Heun": Heun, "LMS": LMS}[name]
    x, (start,) = ours(path, solver(num_steps=10, schedule=schedule))
    peer = getattr(diffusers, f"{name}DiscreteScheduler")(**config)
    same(x, theirs(peer, 10, begun(path, schedule, 10, start), vp=False))


@pytest.mark.parametrize("prediction", ["eps", "v"])  # theirs does not know x0 prediction
def test_ddim_with_eta_1_is_eulers_ancestral_method(prediction, monkeypatch):
    path, config = pair(prediction)
    x, (start, *noise) = ours(path, DDIM(num_steps=10, eta=1.0, schedule="trailing"))
    peer = diffusers.EulerAncestralDiscreteScheduler(**config)
    begin = begun(path, "trailing", 10, start)
    noise.append(torch.zeros_like(start))  # of the last step, weighed by 0
    same(x, theirs(peer, 10, begin, noise, vp=False, monkeypatch=monkeypatch))


@every
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_dpmpp_2m(prediction, eta, monkeypatch):
    path, config = pair(prediction)
    x, (start, *noise) = ours(path, DPMpp(num_steps=10, eta=eta, schedule="trailing"))
    kind = "sde-dpmsolver++" if eta else "dpmsolver++"
    peer = diffusers.DPMSolverMultistepScheduler(
        **config, algorithm_type=kind, solver_order=2, lower_order_final=False
    )
    noise.append(torch.zeros_like(start))
    same(x, theirs(peer, 10, start, noise, vp=True, monkeypatch=monkeypatch))


class Half(DPMpp):
    """What is released as the third order: the square's integral is weighed by one half."""

    def square(self, first: float, k: float) -> float:
        return super().square(first, k) / 2


@every
def test_dpmpp_3m_is_theirs_but_for_the_weight_of_the_second_difference(prediction):
    """Ours converges with order 3, theirs with order 2 (test_orders.py)."""
    path, config = pair(prediction)
    peer = diffusers.DPMSolverMultistepScheduler(**config, solver_order=3, lower_order_final=False)
    half, (start,) = ours(path, Half(num_steps=10, order=3, schedule="trailing"))
    x = theirs(peer, 10, start, vp=True)
    same(half, x)
    assert float((ours(path, DPMpp(num_steps=10, order=3, schedule="trailing"))[0] - x).abs().max())


def to_the_lowest(path, num_steps: int) -> torch.Tensor:
    """Trailing levels, and the lowest of all where 0 would be: at 0 their B_1 is infinite."""
    return torch.cat([schedules.trailing(path, num_steps)[:-1], path.sigmas()[:1]])


@every
@pytest.mark.parametrize(
    ("variant", "end", "levels"),
    [(2, "zero", "trailing"), (2, "sigma_min", to_the_lowest), (1, "sigma_min", to_the_lowest)],
)  # their B_1 is infinite where the last level is 0
@pytest.mark.parametrize("order", [1, 2])
def test_unipc(prediction, order, variant, end, levels):
    path, config = pair(prediction)
    solver = UniPC(num_steps=10, order=order, variant=variant, schedule=levels)
    x, (start,) = ours(path, solver)
    peer = diffusers.UniPCMultistepScheduler(
        **config, solver_order=order, solver_type=f"bh{variant}", final_sigmas_type=end,
        lower_order_final=end == "zero",
    )  # fmt: skip
    alpha = 1.0 if end == "zero" else float((1 + path.sigmas()[0] ** 2).rsqrt())
    same(alpha * x, theirs(peer, 10, start, vp=True))


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_euler(shift):
    path = Flow(shift=shift)
    x, (start,) = ours(path, Euler(num_steps=10))
    peer = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=T, shift=1.0)
    peer.set_timesteps(sigmas=path.times(10)[:-1].tolist())
    y = start
    for t, sigma in zip(peer.timesteps, path.times(10), strict=False):
        out = net(y, sigma.expand(len(y)))
        y = peer.step(out, t, y).prev_sample
    same(x, y)
