"""Models of one step against truth: the normal law's consistency function, the drift's signs."""

from __future__ import annotations

import math

import pytest
import torch
from gaussian import Noise, S
from torch import nn

from genlab.models.conditions import Classes
from genlab.models.diffusion import Diffusion
from genlab.objectives.consistency import EasyConsistency
from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.objectives.drifting import Drifting, drift
from genlab.samplers.diffusion import Consistency, Heun
from genlab.samplers.few_steps import Jumps
from genlab.samplers.likelihood import log_density
from genlab.samplers.schedules import levels


def exact(path: EasyConsistency, scale: float = 1.0):
    """The network for which D(x; t) = scale x S / sqrt(S^2 + t^2), which the normal law's ODE has.

    Asked twice (as a loss does), it is scaled the first time alone.
    """
    scales = [scale]

    def net_fn(x, c_noise):
        sigma = (4 * c_noise)[:, None].exp()
        total = (sigma**2 + path.sigma_data**2).sqrt()
        y = total * x
        D = (scales.pop() if scales else 1.0) * y * S / (S**2 + sigma**2).sqrt()
        return (D - path.sigma_data**2 / total**2 * y) / (sigma * path.sigma_data / total)

    return net_fn


def test_the_exact_function_is_what_training_is_after():
    path = EasyConsistency(P_mean=0.0, P_std=0.7, most=6)
    x = S * torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss(scale):
        torch.manual_seed(1)
        return float(path.loss(exact(path, scale), x).mean())

    assert loss(1.0) < min(loss(0.98), loss(1.02))


@pytest.mark.parametrize("num", [1, 2, 3])
def test_the_exact_function_draws_the_law_in_any_number_of_steps(num):
    path = EasyConsistency()
    x = Consistency(num_steps=num)(path, exact(path), Noise(), (200_000,))
    assert float(x.var()) == pytest.approx(S**2, rel=0.02)


def test_a_list_of_levels_sets_the_steps():
    path, seen = EasyConsistency(), []

    def net_fn(x, c):
        seen.append(float((4 * c[0]).exp()))
        return exact(path)(x, c)

    Consistency(schedule=[80.0, 0.8])(path, net_fn, Noise(), (2,))
    assert seen == pytest.approx([80.0, 0.8], rel=1e-5)
    with pytest.raises(ValueError, match=r"num_steps=3: the list in sampler\.schedule has 2"):
        Consistency(num_steps=3, schedule=[80.0, 0.8])
    for wrong in ([0.8, 80.0], [1.0, 1.0], [1.0, -1.0], [], [float("inf"), 1.0]):
        with pytest.raises(ValueError, match=r"sampler\.schedule"):
            Consistency(schedule=wrong)
    with pytest.raises(ValueError, match=r"sampler\.schedule='karas': allowed are own, karras"):
        Consistency(schedule="karas")


def test_few_steps_have_levels_that_a_second_step_can_mend_at():
    for path in (EasyConsistency(), Flow(), DDPM()):
        for num, expected in ((1, []), (2, [0.8]), (4, [8.0, 0.8, 0.08])):
            times = levels(Consistency(num_steps=num).schedule, path, num)
            assert float(times[0]) == pytest.approx(float(path.times(num)[0])) and times[-1] == 0
            alpha_sigma = [path.alpha_sigma(float(t)) for t in times[1:-1]]
            assert [sigma / alpha for alpha, sigma in alpha_sigma] == pytest.approx(expected)


def test_the_gap_is_halved_as_examples_pass():
    """Equation 14: at first r = 0 where n(t) reaches 2, then the gap is n(t) / 2^(1 + k) of t."""
    t = torch.tensor([0.1, 1.0, 5.0, 80.0])
    n = 1 + 8 / (1 + t.exp())
    assert EasyConsistency.earlier(t, 0)[:2].tolist() == [0, 0]
    for k in range(1, 6):
        expected = (t * (1 - n / 2 ** (1 + k))).clamp(min=0)
        torch.testing.assert_close(EasyConsistency.earlier(t, k), expected)
    path = EasyConsistency(halve_every=100, most=2)
    x = torch.randn(500, 2)

    def at(seen):
        torch.manual_seed(0)
        return path.loss(lambda y, c: 0 * y, x, seen)

    assert torch.equal(at(0), at(99)) and not torch.equal(at(99), at(100))
    assert torch.equal(at(200), at(10_000)) and torch.equal(at(200), at(None))


def points(seed: int, num: int = 30) -> torch.Tensor:
    return torch.randn(num, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_drift_is_algorithm_2():
    x, data, drawn, T = points(0, 4), points(1, 5), points(2, 3), 0.7
    every = torch.cat([data, drawn])
    logits = torch.tensor([[-math.dist(a, b) / T for b in every.tolist()] for a in x.tolist()])
    A = (logits.softmax(1) * logits.softmax(0)).sqrt().double()
    for i in range(4):
        to, fro = A[i, :5], A[i, 5:]
        expected = sum(to[j] * fro.sum() * data[j] for j in range(5))
        expected = expected - sum(fro[j] * to.sum() * drawn[j] for j in range(3))
        torch.testing.assert_close(drift(x, data, drawn, T)[i], expected, rtol=1e-5, atol=1e-6)


def test_the_drift_changes_its_sign_with_the_two_and_is_0_where_they_are_alike():
    x, data, drawn = points(0), points(1), points(2) + 1
    torch.testing.assert_close(drift(x, data, drawn, 0.5), -drift(x, drawn, data, 0.5))
    assert float(drift(x, data, data, 0.5).abs().max()) < 1e-12
    alike, apart = (drift(x, points(3, 4000), points(4, 4000) + d, 0.5) for d in (0.0, 0.3))
    assert alike.norm(dim=1).mean() < apart.norm(dim=1).mean() / 3
    itself = drift(x, data, x, 0.5)  # an example is not pushed away from itself
    others = torch.stack([drift(x, data, x, 0.5)[0], drift(x, data, x.clone(), 0.5)[0]])
    assert itself.isfinite().all() and not torch.allclose(others[0], others[1])


def test_two_clusters_are_learnt_in_one_step_of_drawing():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))
    path, optimizer = (
        Drifting(temperatures=[0.1, 0.5, 2.0]),
        torch.optim.Adam(net.parameters(), 3e-3),
    )

    def data(num):
        side = torch.where(torch.rand(num, 1) < 0.3, -1.0, 1.0)
        return side * torch.tensor([1.0, 0.5]) + 0.1 * torch.randn(num, 2)

    def net_fn(x, t):
        return net(x.float())

    before = float(path.loss(net_fn, data(500)).mean())
    for step in range(400):
        loss = path.loss(net_fn, data(128), step).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x = Consistency()(path, net_fn, Noise(1000), (2,)).float()
        after = float(path.loss(net_fn, data(500)).mean())
    share = float((x[:, 0] < 0).float().mean())
    away = torch.minimum((x - torch.tensor([1.0, 0.5])).norm(dim=1),
                         (x + torch.tensor([1.0, 0.5])).norm(dim=1))  # fmt: skip
    print(share, float(away.median()), before, after)
    assert share == pytest.approx(0.3, abs=0.08) and float(away.median()) < 0.25
    assert after < before / 3


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(ValueError, match=r"sampler\.num_steps=2: objective=drifting draws in one"):
        Consistency(num_steps=2)(Drifting(), lambda x, t: x, Noise(), (2,))
    for objective in (Drifting(), EasyConsistency()):  # when built: nothing has been trained yet
        with pytest.raises(
            ValueError,
            match=r"sampler Heun does not draw from objective "
            rf"{type(objective).__name__}; write sampler=consis",
        ):
            Diffusion(nn.Identity(), objective=objective, sampler=Heun(), shape=(2,))
    with pytest.raises(ValueError, match=r"sampler\.num_steps=18: objective=drifting"):
        Diffusion(
            nn.Identity(), objective=Drifting(), sampler=Consistency(num_steps=18), shape=(2,)
        )
    with pytest.raises(
        ValueError,
        match=r"sampler Jumps does not draw from objective EDM; write sa"
        r"mpler=heun.*, or sampler=consistency",
    ):
        Diffusion(nn.Identity(), objective=EDM(), sampler=Jumps(), shape=(2,))
    with pytest.raises(ValueError, match=r"sampler\.rescale=0\.7.*leave them out"):
        Jumps(rescale=0.7)
    with pytest.raises(ValueError, match=r"EasyConsistency has no ODE, so no density by one"):
        log_density(EasyConsistency(), exact(EasyConsistency()), torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"sampler\.schedule=trailing: this objective has no"):
        Diffusion(nn.Identity(), objective=EasyConsistency(), shape=(2,),
                  sampler=Consistency(schedule="trailing"))  # fmt: skip
    with pytest.raises(ValueError, match=r"objective\.temperatures=\[0\]"):
        Drifting(temperatures=[0])
    with pytest.raises(ValueError, match=r"objective\.halve_every=0"):
        EasyConsistency(halve_every=0)
    with pytest.raises(ValueError, match="Drifting knows no conditions; write conditions=none"):
        Diffusion(nn.Identity(), objective=Drifting(), sampler=Consistency(), shape=(2,),
                  conditions=Classes(num_classes=3))  # fmt: skip
