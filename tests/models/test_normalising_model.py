"""Normalising flows as a family: exact densities, bounds of levels, starts, ends, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from families import IMAGE, POINTS, TABLE, WIDTHS, batch_of
from running import fit, looks, settled
from torch.distributions import MultivariateNormal

from genlab.models.conditions import Classes
from genlab.models.normalising import NormalisingFlow
from genlab.nn.flow_nets import Glow, RealNVP
from genlab.nn.flows import ActNorm, Flow, Invertible1x1
from genlab.nn.mlp import MLP
from genlab.objectives.change_of_variables import ChangeOfVariables, Dequantised, DequantisedRows
from genlab.runs.settings.plan import Plan
from genlab.samplers.latent import Prior


def flow(net, objective=None, **sampler) -> NormalisingFlow:
    return NormalisingFlow(
        net,
        objective=objective or ChangeOfVariables(),
        sampler=Prior(**sampler),
        shape=(2,),
    )


@pytest.fixture
def normal() -> tuple[NormalisingFlow, MultivariateNormal]:
    """A linear flow, whose law is N(mean, A A^T)."""
    torch.manual_seed(1)
    mixing, scale = Invertible1x1(2), ActNorm(2)
    for p in (*mixing.parameters(), *scale.parameters()):
        p.data.add_(0.4 * torch.randn_like(p))
    model = flow(Flow([mixing, scale]).requires_grad_(False))
    mean = model.decode(torch.zeros(1, 2))[0]
    a = (model.decode(torch.eye(2)) - mean).T
    return model, MultivariateNormal(mean, a @ a.T)


def test_log_prob_is_that_of_the_law(normal) -> None:
    model, law = normal
    x = 2 * torch.randn(50, 2)
    torch.testing.assert_close(model.log_prob({"x": x}), law.log_prob(x), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.loss({"x": x})["loss"], -model.log_prob({"x": x}))
    assert model.likelihood == "exact" and model.discrete is False


def test_samples_are_of_the_law_and_cooler_ones_nearer_its_mean(normal) -> None:
    model, law = normal
    x = model.sample(4000)
    near = 4 * (law.variance / 4000).sqrt()
    assert ((x.mean(0) - law.mean).abs() < near).all()
    torch.testing.assert_close(torch.cov(x.T), law.covariance_matrix, atol=0.1, rtol=0.1)
    model.sampler = Prior(temperature=0.5)
    torch.testing.assert_close(model.sample(4000), law.mean + (x - law.mean) / 2)


@pytest.mark.parametrize("shape", [POINTS, IMAGE, TABLE])
def test_decode_undoes_encode(shape) -> None:
    torch.manual_seed(0)
    net = Glow(shape, width=8, steps=2) if shape == IMAGE else RealNVP(shape, width=8, steps=3)
    for p in net.parameters():
        p.data.add_(0.1 * torch.randn_like(p))
    model, x = flow(net), batch_of(shape)["x"]
    z = model.encode(x)
    assert z.shape == x.shape and not torch.allclose(z, x, atol=0.1)
    torch.testing.assert_close(model.decode(z), x, atol=1e-5, rtol=1e-5)


def test_of_levels_log_prob_is_a_bound_and_draws_are_levels() -> None:
    model = flow(Glow(IMAGE, width=8, steps=2), Dequantised(levels=17))
    model.shape = IMAGE
    batch = {"x": batch_of(IMAGE)["x"]}
    assert model.likelihood == "bound" and model.discrete is True
    first, second = model.log_prob(batch), model.log_prob(batch)
    assert not torch.equal(first, second)  # by a draw of the noise
    x = model.sample(3)
    assert torch.equal((8 * x).round(), 8 * x) and x.abs().max() <= 1


def test_a_uniform_law_of_levels_has_their_bits() -> None:
    """x + u uniform over all cells: log_prob is -log(levels) a value, with no noise left in it."""

    class Uniform(torch.nn.Module):
        """z = ndtri(share of the way up), which undoes the uniform law's cdf."""

        def inverse(self, y, cond=None):
            share = ((y + 1 + 1 / 16) / (2 + 1 / 8)).double().clamp(1e-9, 1 - 1e-9)
            z = torch.special.ndtri(share)
            slope = math.log(1 / (2 + 1 / 8)) + z**2 / 2 + math.log(2 * math.pi) / 2
            return z, slope.flatten(1).sum(1)

    model = flow(Uniform(), Dequantised(levels=17))
    x = (torch.randint(17, (40, *IMAGE)) / 8 - 1).float()
    found = model.log_prob({"x": x})
    torch.testing.assert_close(
        found.float(), torch.full((40,), -64 * math.log(17)), rtol=1e-5, atol=0
    )


def test_rows_are_rows() -> None:
    model = flow(RealNVP(TABLE, width=8, steps=2), DequantisedRows(widths=WIDTHS))
    model.shape = TABLE
    x = model.sample(50)
    for block in (x[:, 1:4], x[:, 5:7]):
        assert (block.abs() == 1).all() and ((block == 1).sum(1) == 1).all()
    assert model.likelihood == "bound" and model.discrete is False


def test_the_start_makes_first_noise_normal_for_each_class() -> None:
    """It is told the classes; and it takes as many batches as hold 1,024 examples."""
    net = RealNVP([2], num_classes=2, width=8, steps=2)
    model, taken = flow(net), []
    model.conditions = Classes(num_classes=2)

    def batches():
        torch.manual_seed(2)
        while True:
            taken.append(1)
            x = 0.2 * torch.randn(200, 2) + torch.tensor([5.0, -3.0])
            yield {"x": x, "cond": torch.arange(200) % 2}

    model.calibrate(batches())
    assert len(taken) == 6
    z = model.encode(next(batches())["x"], 1)
    assert z.mean(0).abs().max() < 0.3 and (z.std(0) - 1).abs().max() < 0.2


WORDS = ["data=moons", "model=normalising_flow", "net.width=16", "net.steps=2"]


@pytest.mark.whole
def test_a_run_starts_from_its_first_examples(tmp_path) -> None:
    run = fit([*WORDS, "optim.optimizer.lr=1e-9"], tmp_path)
    cold = Plan(settled([*WORDS, "data.val_examples=64"]))
    data = cold.data()
    data.load()
    torch.manual_seed(0)
    model = cold.model()
    with torch.no_grad():
        before = -model.log_prob(data.val.batch(torch.arange(64))).mean().item()
    assert looks(run)[0] < before - 0.01


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: flow(MLP([2])), "model.net: a MLP cannot be undone; write net=realnvp, maf"),
        (lambda: flow(RealNVP([2]), noise=True), "sampler.noise=true: .*write sampler.noise=false"),
        (
            lambda: flow(RealNVP([2])).sample(2, given={"x": 0, "mask": 0}),
            "given: a normalising flow cannot",
        ),
        (lambda: flow(RealNVP([2])).encode(torch.zeros(3, 4)), r"net.shape=\[2\]: .* shape \[4\]"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(make, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
