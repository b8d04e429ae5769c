"""The diffusion model: what is given stays, classes are hidden in training, guidance, errors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genlab.models.conditions import Classes
from genlab.models.diffusion import Diffusion
from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.samplers.diffusion import DDIM, Ancestral, Euler, Heun
from genlab.samplers.multistep import DPMpp


class Recorder(nn.Module):
    """A small net that notes what it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.1))
        self.conds: list[torch.Tensor | None] = []

    def forward(self, x, t, cond=None):
        self.conds.append(cond)
        shift = 0 if cond is None else (cond.float() / 10)[:, None]
        return self.weight * x + shift


def model(objective=None, sampler=None, num_classes=None, **kwargs) -> Diffusion:
    return Diffusion(
        Recorder(),
        objective=objective or EDM(),
        sampler=sampler or Heun(num_steps=5),
        shape=(4,),
        conditions=Classes(num_classes=num_classes),
        **kwargs,
    )


@pytest.mark.parametrize("objective", [EDM(), DDPM(), Flow()], ids=lambda o: type(o).__name__)
@pytest.mark.parametrize(
    "sampler",
    [
        Euler(num_steps=5),
        Heun(num_steps=5, S_churn=2),
        DDIM(num_steps=5, eta=0.3),
        Ancestral(num_steps=5, resample=2),
        DPMpp(num_steps=5, resample=3),
    ],
    ids=lambda s: type(s).__name__,
)
def test_what_is_given_comes_back_to_the_last_bit(objective, sampler):
    x, mask = torch.randn(6, 4), torch.rand(6, 4) < 0.5
    net = model(objective, sampler)
    out = net.sample(6, given={"x": x, "mask": mask}, seed=1)
    assert torch.equal(out[mask], x[mask])
    assert torch.isfinite(out).all()
    part = net.sample(2, given={"x": x[2:4], "mask": mask[2:4]}, seed=1, first=2)
    torch.testing.assert_close(part, out[2:4])


def test_training_hides_a_tenth_of_the_classes_and_validation_none():
    net = model(num_classes=3, drop_cond=0.1)
    batch = {"x": torch.randn(20_000, 4), "cond": torch.randint(3, (20_000,))}
    net.loss(batch)
    cond = net.net.conds[-1]
    hidden = cond == 3
    assert hidden.float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(cond[~hidden], batch["cond"][~hidden])
    net.eval()
    net.loss(batch)
    assert torch.equal(net.net.conds[-1], batch["cond"])


def test_a_model_without_classes_trains_on_labelled_data():
    net = model()
    net.loss({"x": torch.randn(3, 4), "cond": torch.tensor([0, 1, 2])})
    assert net.net.conds == [None]


def test_guidance_runs_one_doubled_batch_and_none_is_one_pass():
    net, cond = model(num_classes=3), torch.tensor([0, 1])
    net.sample(2, cond)
    assert all(len(c) == 2 for c in net.net.conds)
    net = model(num_classes=3, sampler=Heun(num_steps=5, guidance=2.0))
    net.sample(2, cond)
    assert all(torch.equal(c, torch.tensor([0, 1, 3, 3])) for c in net.net.conds)
    assert len(net.net.conds) == 9


def test_without_a_class_asked_for_each_example_draws_its_own_and_is_guided():
    net = model(num_classes=3, sampler=Heun(num_steps=2, guidance=2.0))
    whole = net.sample(6, seed=1)
    drawn = net.net.conds[-1][:6]
    assert set(drawn.tolist()) <= {0, 1, 2} and len(set(drawn.tolist())) > 1
    assert torch.equal(net.net.conds[-1][6:], torch.full((6,), 3))
    assert torch.equal(net.sample(2, seed=1, first=3), whole[3:5])
    null = model(num_classes=3, sampler=Heun(num_steps=2, guidance=0.0))  # asked for on purpose
    null.sample(2)
    assert torch.equal(null.net.conds[-1], torch.tensor([3, 3]))


def test_one_class_for_all_and_a_list_in_turn():
    net = model(num_classes=3)
    assert torch.equal(net.sample(3, 2), net.sample(3, torch.tensor([2, 2, 2])))
    assert torch.equal(net.sample(3, [0, 1]), net.sample(3, torch.tensor([0, 1, 0])))


def test_a_sample_depends_on_its_own_class_alone():
    net = model(num_classes=3)
    a, b = net.sample(2, torch.tensor([0, 1])), net.sample(2, torch.tensor([0, 2]))
    assert torch.equal(a[0], b[0])
    assert not torch.equal(a[1], b[1])


def test_drawing_leaves_the_mode_as_it_was():
    net = model().train()
    net.sample(1)
    assert net.training


def test_errors_and_warnings():
    with pytest.raises(ValueError, match=r"model.drop_cond=2"):
        model(drop_cond=2)
    with pytest.warns(UserWarning, match=r"sampler.guidance=2.0 has no effect"):
        model(sampler=Heun(guidance=2.0))
    with pytest.warns(UserWarning, match=r"cond has no effect"):
        model().sample(1, torch.tensor([0]))
    with pytest.raises(ValueError, match=r"classes are 0 to 2"):
        model(num_classes=3).sample(1, torch.tensor([3]))
    with pytest.raises(ValueError, match=r"must be \[2\]"):
        model(num_classes=3).sample(2, torch.tensor([0]))
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"given.x has examples of shape \[3\]"):
        model().sample(2, given={"x": x, "mask": x > 0})
    with pytest.raises(ValueError, match=r"with 4 rows"):
        model().sample(4, given={"x": x, "mask": x > 0})
