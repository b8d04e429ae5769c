"""precision=auto: the quicker of two is chosen, and trying them leaves nothing behind."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from running import TINY, fit, settled
from test_runs import FAMILIES, digest, losses, parts

from genlab.runs.devices import precision
from genlab.runs.say.errors import UserError
from genlab.runs.settings.plan import Plan

pytestmark = pytest.mark.whole


def built(family: str):
    plan = Plan(settled([*TINY, *FAMILIES[family]]))
    data = plan.build("data")
    data.prepare()
    data.load()
    torch.manual_seed(0)
    return plan.build("model"), data.train_batch(0)


def held(model) -> str:
    """A digest of all parameters and buffers, also those that no checkpoint holds."""
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return digest({k: v.detach() for k, v in named.items()})


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
    [(1.0, 0.5, "bf16-mixed"), (1.0, 0.99, "32-true"), (1.0, 5.0, "32-true")],
)
def test_bf16_is_taken_where_it_saves_a_twentieth(monkeypatch, wide, narrow, chosen) -> None:
    model, batch = built("vae")
    clock, seen = ticks(monkeypatch, wide=wide, narrow=narrow)
    assert precision.chosen(precision.compared(model, batch, "cpu", clock=clock)) == chosen
    rounds = 1 if narrow < 2 else 0  # long steps are tried once; a hopeless one warms up only
    assert seen.count(True) == seen.count(False) == 1 + rounds


def test_each_is_really_tried(monkeypatch) -> None:
    """The step in bfloat16 is in bfloat16, and takes its time from the clock."""
    model, batch = built("vae")
    kinds = []
    model.decoder.register_forward_hook(lambda m, args, out: kinds.append(out.dtype))
    clock = itertools.count().__next__
    monkeypatch.setattr(precision, "LONGEST", 1000)
    precision.compared(model, batch, "cpu", clock=clock, pairs=2)
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
    assert precision.compared(model, batch, "cpu", pairs=1) > 0
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
        precision.compared(model, batch, "cpu")
    assert held(model) == before and model.training


def test_where_bfloat16_does_not_run_nothing_is_tried(monkeypatch) -> None:
    monkeypatch.setattr(precision, "step", None)
    ratio = precision.compared(torch.nn.Linear(1, 1), {}, "mps")
    assert ratio is None and precision.chosen(ratio) == "32-true"


def test_the_choice_is_made_once_and_kept(monkeypatch, tmp_path: Path) -> None:
    """A run trains in it, and is resumed in it, whatever another measuring would say."""
    ratios = iter([0.5])
    monkeypatch.setattr(precision, "compared", lambda *args: next(ratios))
    words = [*FAMILIES["vae"], "trainer.precision=auto"]
    run = fit([*words, "budget.examples=64"], tmp_path / "run")
    held = json.loads((run / "precision.json").read_text())
    assert held == {"precision": "bf16-mixed", "bf16_over_float32": 0.5}
    fit([*words, "budget.examples=256", "optim.horizon=256"], run, resume=True)
    assert losses(run)[:4] == losses(fit([*FAMILIES["vae"], "trainer.precision=bf16-mixed",
                                          "budget.examples=64"], tmp_path / "b"))  # fmt: skip
    assert len(losses(run)) == 16


def test_measuring_does_not_change_what_is_trained(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(precision, "GAIN", 0.0)  # float32, after real steps of both
    a = fit([*FAMILIES["gan"], "trainer.precision=auto", "budget.examples=64"], tmp_path / "a")
    b = fit([*FAMILIES["gan"], "budget.examples=64"], tmp_path / "b")
    assert losses(a) == losses(b) and parts(a)["state_dict"] == parts(b)["state_dict"]


def test_the_others_wait_for_the_first(monkeypatch, tmp_path: Path) -> None:
    trainer = {"accelerator": "cpu", "devices": 2, "accumulate": 1}
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(precision.ranks, "PATIENCE", 0.2)
    with pytest.raises(UserError, match="has not chosen"):
        precision.settled(tmp_path, trainer, None, None, trained=False)
    (tmp_path / "precision.json").write_text('{"precision": "bf16-mixed"}')
    assert precision.settled(tmp_path, trainer, None, None, trained=False) == "bf16-mixed"
    for damaged in ("", "[]", '{"precision": "64-true"}'):
        (tmp_path / "precision.json").write_text(damaged)
        with pytest.raises(UserError, match="damaged"):
            precision.settled(tmp_path, trainer, None, None, trained=True)


def test_an_older_run_continues_as_it_began(monkeypatch, tmp_path: Path) -> None:
    trainer = {"accelerator": "cpu", "devices": 1, "accumulate": 1}
    for fast, kept in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(precision, "fast_bf16", lambda accelerator, fast=fast: fast)
        assert precision.settled(tmp_path, trainer, None, None, trained=True) == kept
    assert not list(tmp_path.iterdir())
