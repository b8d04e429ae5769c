"""Muon against what it promises: orthogonal steps of AdamW's size, AdamW itself elsewhere."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import nn

from genlab.optim import Hidden, Muon, Optim, checked_state, orthogonal


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(32, 64, 3)
        self.table = nn.Embedding(50, 64)
        self.body = nn.Sequential(nn.Conv2d(64, 64, 3), nn.Linear(64, 128), nn.Linear(128, 8))
        self.head = nn.Linear(64, 50, bias=False)
        self.tied = nn.Linear(64, 50, bias=False)
        self.tied.weight = self.table.weight


def build(net: nn.Module, **kwargs) -> torch.optim.Optimizer:
    return Optim(partial(Muon, lr=0.1), hidden=Hidden(), **kwargs).build(net)


@pytest.mark.parametrize("shape", [(64, 128), (32, 300), (300, 32)])
def test_singular_values_become_about_one(shape) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape) * torch.logspace(-1, 0, shape[1])
    found = torch.linalg.svdvals(orthogonal(matrix[None])[0])
    assert found.min() > 0.5 and found.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    step = orthogonal(matrix[None])[0]
    cosine = (step * (u @ v)).sum() / (u @ v).norm() / step.norm()
    assert cosine > 0.97, "its directions are the matrix's own"


def test_what_is_inside_the_net() -> None:
    net = Net()
    hidden = Hidden()([net])
    assert hidden == {net.body[0].weight, net.body[1].weight}  # body[2] has 8 rows


def test_a_step_has_the_size_of_adamw_and_orthogonal_directions() -> None:
    torch.manual_seed(0)
    net = Net()
    optimizer = build(net)
    before = net.body[0].weight.detach().clone()
    for p in net.parameters():
        p.grad = torch.randn_like(p) * 1e-3
    optimizer.step()
    step = (net.body[0].weight - before).detach()
    size = step.square().mean().sqrt() / (0.1 * 0.2)
    assert 0.7 < size < 1.1, "as singular values between 0.7 and 1.2 have it"
    values = torch.linalg.svdvals(step.flatten(1))
    assert values.max() / values.min() < 2.5, "the gradient's own spread is 2 to 3 times that"


def test_the_rest_is_adamw_bit_for_bit() -> None:
    torch.manual_seed(0)
    mine, theirs = Net(), None
    theirs = copy.deepcopy(mine)
    optimizer = build(mine, weight_decay=0.1)
    plain = Optim(partial(torch.optim.AdamW, lr=0.1, betas=(0.9, 0.99)), weight_decay=0.1)
    reference = plain.build(theirs)
    inside = Hidden()([mine])
    for i in range(3):
        torch.manual_seed(i)
        for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        optimizer.step()
        reference.step()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(p, q) != (p in inside)
        assert p.grad is not None, "the gradient stays for who looks at it"


def test_matrices_step_as_torchs_own_muon_does() -> None:
    """Several of one shape, which are taken at once, and one that lies across."""
    torch.manual_seed(0)
    mine = nn.Sequential(*(nn.Linear(96, 40, bias=False) for _ in range(3)), nn.Linear(40, 96))
    ours = [layer.weight for layer in mine]
    start = [p.detach().clone() for p in ours]
    theirs = [nn.Parameter(p.clone()) for p in start]
    optimizer = Optim(partial(Muon, lr=0.02), hidden=Hidden(), weight_decay=0.1).build(mine)
    reference = torch.optim.Muon(
        theirs, lr=0.02, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(4):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape)
            q.grad = p.grad.clone()
        optimizer.step()
        reference.step()
    for p, q, at in zip(ours, theirs, start, strict=True):
        print((p - q).norm() / (q - at).norm())
        assert (p - q).norm() < 1e-5 * (q - at).norm()


def test_its_state_is_all_that_a_resume_needs() -> None:
    torch.manual_seed(0)
    net = Net()
    optimizer = build(net)
    grads = [[torch.randn_like(p) for p in net.parameters()] for _ in range(4)]

    def steps(net, optimizer, some) -> None:
        for row in some:
            for p, g in zip(net.parameters(), row, strict=True):
                p.grad = g.clone()
            optimizer.step()

    steps(net, optimizer, grads[:2])
    other = copy.deepcopy(net)
    again = build(other)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(net, optimizer, grads[2:])
    steps(other, again, grads[2:])
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), other.parameters(), strict=True))


def test_a_name_is_no_optimiser() -> None:
    with pytest.raises(ValueError, match=r"optim\.optimizer=sgd: .*_target_=torch\.optim\.SGD"):
        Optim("sgd")  # type: ignore[arg-type]


def test_only_matrices_decay_and_what_is_fixed_is_left_out() -> None:
    net = Net()
    net.first.requires_grad_(False)
    groups = Optim(partial(torch.optim.SGD, lr=0.1), weight_decay=0.3).build(net).param_groups
    found = {p: g["weight_decay"] for g in groups for p in g["params"]}
    assert found == {p: 0.3 if p.ndim > 1 else 0.0 for p in net.parameters() if p.requires_grad}
    assert all(g["base_lr"] == 0.1 for g in groups)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"decay": "cosine"}, "needs to know its end"),
        ({"decay": "stairs"}, "optim.decay='stairs'"),
        ({"final": 1.5}, "optim.final=1.5: at least 0, at most 1"),
        ({"warmup": -1}, "optim.warmup=-1"),
    ],
)
def test_a_law_that_cannot_be_is_refused(words, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Optim(partial(torch.optim.SGD, lr=0.1), **words)


def test_a_setting_without_effect_is_refused() -> None:
    with pytest.raises(ValueError, match="write optim=muon"):
        Optim(partial(torch.optim.AdamW, lr=0.1), hidden=Hidden())
    with pytest.raises(ValueError, match="write optim=muon"):
        Optim(partial(Muon, lr=0.1))


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("exp_avg", torch.zeros(3, 2), True),
        ("exp_avg", torch.zeros(2, 3), False),
        ("exp_avg", torch.zeros(1), False),
        ("momentum", torch.zeros(6), False),
        ("step", torch.tensor(4.0), True),
        ("step", torch.tensor(-1.0), False),
        ("row_var", torch.zeros(3, 1), True),
        ("row_var", torch.zeros(3, 5), False),
        ("exp_avg", torch.zeros(3, 2, dtype=torch.int64), False),
        ("lr", 0.1, True),
        ("lr", "x", False),
    ],
)
def test_a_saved_state_fits_its_parameter_or_is_refused(name: str, value, fits: bool) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(3, 2))], lr=0.1)
    held = {"state": {0: {name: value}}, "param_groups": [{"params": [0]}]}
    if fits:
        assert checked_state(optimizer, held)["state"] == held["state"]
    else:
        with pytest.raises(ValueError, match="does not fit its parameter"):
            checked_state(optimizer, held)


def test_a_rate_that_falls_by_steps() -> None:
    """PyTorch's MultiStepLR is the reference."""
    made = Optim(partial(torch.optim.SGD, lr=1.0), decay="steps", milestones=[30, 50], drop=0.1)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[3, 5], gamma=0.1)
    for step in range(8):
        assert made.factor(10 * step) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    for wrong in ({"decay": "steps"}, {"milestones": [3]}, {"decay": "cosine", "milestones": [3]}):
        with pytest.raises(ValueError, match="milestones"):
            Optim(partial(torch.optim.SGD, lr=1.0), **{"horizon": 9, **wrong})
