"""precision=auto: the quicker of two is chosen, and trying them leaves nothing behind."""

from __future__ import annotations

import itertools

import pytest
import torch
from running import TINY, settled
from test_runs import FAMILIES, digest

from genlab.runs.devices import precision
from genlab.runs.settings import compose


def built(family: str):
    settings = settled([*TINY, *FAMILIES[family]])
    data = compose.build(settings["data"], where="data")
    data.prepare()
    data.load()
    torch.manual_seed(0)
    return compose.build(settings["model"], where="model"), data.train_batch(0)


def held(model) -> str:
    return digest({k: v.detach() for k, v in precision.tensors(model).items()})


def ticks(monkeypatch: pytest.MonkeyPatch, *, wide: float, narrow: float):
    """A clock by which a step in float32 takes `wide` seconds, in bfloat16 `narrow`."""
    now, seen = [0.0], []

    def clock() -> float:
        return now[0]

    plain = precision.step

    def step(model, batch, *, bf16, clock):
        seconds = narrow if bf16 else wide
        now[0] += seconds
        seen.append(bf16)
        plain(model, batch, bf16=bf16, clock=clock)
        return seconds

    monkeypatch.setattr(precision, "step", step)
    return clock, seen


@pytest.mark.parametrize(
    ("wide", "narrow", "chosen"),
    [(1.0, 0.5, "bf16-mixed"), (1.0, 0.99, "32-true"), (1.0, 3.0, "32-true")],
)
def test_bf16_is_taken_where_it_saves_a_twentieth(monkeypatch, wide, narrow, chosen) -> None:
    model, batch = built("vae")
    clock, seen = ticks(monkeypatch, wide=wide, narrow=narrow)
    assert precision.choose(model, batch, "cpu", clock=clock) == chosen
    assert seen.count(True) == seen.count(False) == 1 + precision.PAIRS


def test_each_is_really_tried() -> None:
    """The step in bfloat16 is in bfloat16, and takes its time from the clock."""
    model, batch = built("vae")
    kinds = []
    model.decoder.register_forward_hook(lambda m, args, out: kinds.append(out.dtype))
    clock = itertools.count().__next__
    precision.choose(model, batch, "cpu", clock=clock, pairs=2)
    assert kinds == [torch.float32, torch.bfloat16] + 2 * [torch.bfloat16, torch.float32]


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_left_behind(family: str) -> None:
    """Weights, buffers, gradients, modes, clock, terms and generators are those of before."""
    model, batch = built(family)
    model.eval()
    first = next(model.parameters())
    first.grad = torch.ones_like(first)
    before = held(model)
    state, inputs = torch.get_rng_state(), digest(dict(batch))
    assert precision.choose(model, batch, "cpu", pairs=1) in ("bf16-mixed", "32-true")
    assert torch.equal(torch.get_rng_state(), state) and digest(dict(batch)) == inputs
    assert held(model) == before
    assert torch.equal(first.grad, torch.ones_like(first))
    assert all(p.grad is None for p in list(model.parameters())[1:])
    assert not model.training and not model.terms
    assert (model.clock.examples, model.clock.batches) == (0, 0)


def test_an_error_in_a_step_leaves_nothing_behind_either() -> None:
    model, batch = built("vae")
    before = held(model)
    model.objective.loss = None
    with pytest.raises(TypeError):
        precision.choose(model, batch, "cpu")
    assert held(model) == before and model.training


def test_where_bfloat16_does_not_run_nothing_is_tried(monkeypatch) -> None:
    monkeypatch.setattr(precision, "step", None)
    assert precision.choose(torch.nn.Linear(1, 1), {}, "mps") == "32-true"
