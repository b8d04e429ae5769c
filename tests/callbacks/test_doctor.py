"""Each failure is made in a small run, and found with its cause."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from made import documents
from pytorch_lightning import Callback
from running import fit, settled
from test_runs import FAMILIES, parts, stopped_at

from genlab.callbacks.doctor import Doctor, undisturbed
from genlab.callbacks.guard import NotFinite
from genlab.callbacks.signs.base import Finding, Past, Sign
from genlab.data.toy import Toy2D
from genlab.models.base import GenerativeModel
from genlab.rows import read_rows
from genlab.runs.live.answers import Board
from genlab.runs.page.record import read_record
from genlab.runs.page.write import write_report
from genlab.runs.say.summary import print_summary

SMALL = [
    "data.batch_size=64",
    "data.val_examples=128",
    "callbacks.look.num=64",
    "save_every=1_000_000",
]
WIDTHS = ["net.generator.width=32", "net.discriminator.width=32"]
RING = ["data=ring", "model=gan", *WIDTHS, *SMALL, "objective.r1_gamma=0",
        "+optim@model.optim_discriminator=gan", "callbacks.ledger.log_every=8"]  # fmt: skip
RATE = "model.optim_discriminator.optimizer.lr"
VAE_SMALL = ["model=vae", "net.encoder.width=8", "net.decoder.width=8", *SMALL]
AT_ONCE = "callbacks.doctor.signs.posterior_collapse.batches=20"
GRU = ["model=autoregressive", "data=text_file", "data.block=64", "net=gru", "net.width=32", *SMALL,
       "data.batch_size=32", "optim.warmup=0", "optim.optimizer.lr=3e-3"]  # fmt: skip


def findings(run: Path) -> dict[str, dict]:
    """By the sign's name; each stands once."""
    rows = [r for r in read_rows(run / "metrics.jsonl") if r["kind"] == "finding"]
    assert len({r["sign"] for r in rows}) == len(rows)
    return {r["sign"]: r for r in rows}


def compose_again(overrides: list[str], found: dict) -> None:
    """What is to be tried are settings that the run has; of a group that is replaced, no others."""
    for word in found["try"]:
        group, _ = word.split("=")
        settled([o for o in overrides if not o.startswith(f"{group}.")] + [word])


INJECTED = {
    "mode_collapse": [
        *RING, "optim.optimizer.lr=5e-3", f"{RATE}=1e-3", "callbacks=no_ema",
        "budget.examples=16_000", "look_every=4_000",
    ],
    "discriminator": [
        *RING, "optim.optimizer.lr=2e-5", f"{RATE}=2e-3", "budget.examples=12_800",
        "look_every=6_400",
    ],
    "posterior_collapse": [
        *VAE_SMALL, "objective.beta=1000", "budget.examples=2_560", "look_every=1_280", AT_ONCE,
    ],
    "dead_codes": [
        "model=vqvae", "net.encoder.width=8", "net.decoder.width=8", "net.latent_map=[8,2,2]",
        "net.codes=[4]", *SMALL, "data.batch_size=16", "objective.quantiser.vocab=128",
        "objective.quantiser.revive=0", "objective.beta=0", "optim.optimizer.lr=1e-2",
        "budget.examples=4_160", "look_every=4_160", "callbacks.look.num=4",
        "callbacks.doctor.signs.dead_codes.batches=250",
    ],
    "overfitting": [
        *VAE_SMALL, "data.limit=16", "data.batch_size=16", "net.encoder.width=16",
        "net.decoder.width=16", "optim.optimizer.lr=3e-3", "budget.examples=2_400",
        "look_every=480", "callbacks.ledger.log_every=5", "callbacks.look.num=8",
    ],
    "repetition": [*GRU, "sampler=greedy", "budget.examples=3_200", "look_every=1_600"],
}  # fmt: skip
SAYS = {  # of the evidence
    "mode_collapse": "64 samples show [1-4] of the 8 modes that held-out ones show",
    "discriminator": "logits of real and drawn examples lie [0-9.]+ apart",
    "posterior_collapse": "the KL is 0.0[0-9]+ nats an example, 0 of 32 latents are active",
    "dead_codes": "of 128 codes .128 if all were as likely., perplexity [0-9.]+$",
    "overfitting": "held-out loss rose from [0-9.]+ at [0-9,]+ .* training loss fell from",
    "repetition": "6[0-9] of 64 samples end in a loop",
}


def words_of(sign: str, folder: Path) -> list[str]:
    words = INJECTED[sign]
    if "data=text_file" in words:
        (folder / "t.txt").write_text("\n\n".join(documents(40)))
        words = [*words, f"data.path={folder / 't.txt'}"]
    return words


@pytest.mark.whole
@pytest.mark.parametrize("sign", INJECTED)
def test_a_failure_is_found_by_its_evidence_and_no_other(sign, tmp_path, capsys) -> None:
    words = words_of(sign, tmp_path)
    run = fit(words, tmp_path / "run")
    found = findings(run)
    assert list(found) == [sign]
    assert re.search(SAYS[sign], found[sign]["evidence"]), found
    compose_again(words, found[sign])
    lines = [x for x in capsys.readouterr().err.splitlines() if "genlab: doctor:" in x]
    assert len(lines) == 1 and found[sign]["evidence"] in lines[0]
    assert found[sign]["try"][0] in lines[0]


# --- where a value that is not finite comes from --------------------------------------------------

AT = 9  # the batch that goes wrong


@pytest.fixture
def at_batch(monkeypatch: pytest.MonkeyPatch):
    """Calls a function with the model before batch AT."""

    def set_up(act) -> None:
        original = GenerativeModel.on_train_batch_start

        def hooked(model, batch, batch_idx: int) -> None:
            original(model, batch, batch_idx)
            if model.clock.batches == AT:
                act(model)

        monkeypatch.setattr(GenerativeModel, "on_train_batch_start", hooked)

    return set_up


class Overflows(torch.autograd.Function):
    """The identity, whose gradient is infinite."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float("inf")


def weight(model) -> None:
    with torch.no_grad():
        model.net.blocks[1].up.weight[0, 0] = float("inf")


def layer(model) -> None:
    model.net.blocks[1].up.forward = lambda x: torch.full_like(x, 1e30) * 1e30


def gradient(model) -> None:
    layer = model.net.blocks[1].up
    forward = layer.forward
    layer.forward = lambda x: Overflows.apply(forward(x))


def formula(model) -> None:
    loss = model.objective.loss
    model.objective.loss = lambda *rest: loss(*rest) / 0


ORIGINS = {
    "weight": (weight, "a weight is not finite", "net.blocks.1.up.weight"),
    "layer": (layer, "a layer gives a value that is not finite", "net.blocks.1.up .* within"),
    "gradient": (gradient, "a layer's gradient is not finite", "net.blocks.1.up.*what comes back"),
    "formula": (formula, "the loss's formula gives a value that is not finite", "loss, though"),
}
MLP = ["data=ring", "net=mlp", "net.width=16", "sampler.num_steps=2", "callbacks.look.num=1"]


@pytest.mark.parametrize("kind", ORIGINS)
def test_where_a_value_that_is_not_finite_comes_from(kind, tmp_path, at_batch) -> None:
    act, cause, evidence = ORIGINS[kind]
    at_batch(act)
    with pytest.raises(NotFinite):
        fit(MLP, tmp_path / "run")
    found = findings(tmp_path / "run")["not_finite"]
    assert found["cause"] == cause and f"batch {AT}" in found["evidence"]
    assert re.search(evidence, found["evidence"]), found
    compose_again(MLP, found)


def test_a_batch_that_is_not_finite_is_named_with_its_examples(tmp_path, monkeypatch) -> None:
    original = Toy2D.fresh

    def fresh(data, k: int):
        batch = original(data, k)
        if k == AT:
            batch["x"][3, 1] = float("nan")
        return batch

    monkeypatch.setattr(Toy2D, "fresh", fresh)
    with pytest.raises(NotFinite):
        fit(MLP, tmp_path / "run")
    found = findings(tmp_path / "run")["not_finite"]
    assert found["cause"] == "the batch itself is not finite"
    assert f"x of training examples {AT * 16 + 3}" in found["evidence"]


@pytest.mark.whole
def test_a_run_that_skips_the_batch_goes_on_as_without_the_doctor(tmp_path, monkeypatch) -> None:
    """The batch is repeated within the run, whose weights, buffers and noise stay as they were."""
    original = GenerativeModel.on_train_batch_start
    handles: list = []

    def hooked(model, batch, batch_idx: int) -> None:
        original(model, batch, batch_idx)
        while handles:
            handles.pop().remove()
        if model.clock.batches == AT:
            parameter = next(p for n, p in model.named_parameters() if n.endswith("weight"))
            handles.append(parameter.register_hook(lambda g: g * float("nan")))

    monkeypatch.setattr(GenerativeModel, "on_train_batch_start", hooked)
    words = [*FAMILIES["vqvae"], "callbacks.guard.not_finite=skip", "budget.examples=192"]
    runs = {}
    for doctor in ("", "callbacks.doctor=null"):
        run = fit([*words, *([doctor] if doctor else [])], tmp_path / f"run{len(runs)}")
        runs[doctor] = {k: v for k, v in parts(run).items() if k != "ledger"}
        if not doctor:
            assert findings(run)["not_finite"]["cause"] == "a layer's gradient is not finite"
    assert runs[""] == runs["callbacks.doctor=null"]


# --- once, after a resume, and with signs of one's own --------------------------------------------


@pytest.mark.whole
def test_a_resumed_run_tells_what_one_that_never_stopped_tells(tmp_path) -> None:
    words = [*VAE_SMALL, "data.batch_size=16", "objective.beta=1000", "look_every=160",
             "callbacks.look.num=16", "budget.examples=640", AT_ONCE]  # fmt: skip
    whole = fit([*words, "save_every=320"], tmp_path / "whole")
    stopped_at(20, words, tmp_path / "run")
    fit([*words, "save_every=320"], tmp_path / "run", resume=True)
    assert parts(tmp_path / "run") == parts(whole)
    assert findings(whole)["posterior_collapse"]["examples"] == 320
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    at = next(i for i, r in enumerate(rows) if r["kind"] == "finding")
    assert not any("findings" in r for r in rows[: at + 1])
    assert all(r["findings"] == ["posterior_collapse"] for r in rows[at + 1 :]), "each row after"
    assert rows[at + 1 :] and [r.get("findings") for r in rows] == [
        r.get("findings") for r in read_rows(whole / "metrics.jsonl")
    ]


class Seen(Sign):
    """A user's own: told at the first look."""

    def judge(self, past: Past) -> Finding | None:
        look = past.trained[-1:] and past.trained[-1]
        return Finding("seen", f"drew {look['signs/own']:.0f}", ("seed=1",)) if look else None

    def measure(self, shown):
        torch.rand(3)  # may draw: the run's own noise does not change
        return {"own": float(len(shown.samples))}


class Faulty(Sign):
    def measure(self, shown):
        raise KeyError("mine")


def test_a_sign_of_ones_own_is_a_class_and_a_line(tmp_path, capsys) -> None:
    words = [*MLP, "callbacks.look.num=4", "trust=[test_doctor]",
             "+callbacks.doctor.signs.seen={_target_: test_doctor.Seen}"]  # fmt: skip
    mine = fit([*words, "+callbacks.doctor.signs.faulty={_target_: test_doctor.Faulty}"],
               tmp_path / "mine")  # fmt: skip
    assert findings(mine)["seen"]["evidence"] == "drew 4"
    told = capsys.readouterr().err
    assert told.count("doctor: seen") == 1
    assert told.count("callbacks.doctor.signs.faulty is asked no more: KeyError: 'mine'") == 1
    without = fit([*MLP, "callbacks.look.num=4", "callbacks.doctor=null"], tmp_path / "without")
    assert {k: v for k, v in parts(mine).items() if k != "ledger"} == {
        k: v for k, v in parts(without).items() if k != "ledger"
    }


def test_the_page_has_every_sign_and_its_own_one_works(tmp_path, monkeypatch) -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    signs = settled(MLP)["callbacks"]["doctor"]["signs"]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == set(signs)
    (tmp_path / "signs_of_page.py").write_text(re.search(r"```python\n(.*?)```", page, re.S)[1])
    monkeypatch.syspath_prepend(tmp_path)
    sign = importlib.import_module("signs_of_page").Blowup()
    assert sign.measure(SimpleNamespace(samples=torch.tensor([3.0, -101.0]))) == {"largest": 101}
    past = Past({}, over=True)
    for row in ({"kind": "look", "examples": 1}, {"kind": "signs", "signs/largest": 101.0}):
        past.add(row)
    assert sign.judge(past).evidence == "values to 101"
    assert sign.applies({"reconstruction"}) and not sign.applies({"loss"})


def test_what_a_sign_draws_is_not_the_runs() -> None:
    before = torch.get_rng_state()
    with undisturbed(SimpleNamespace(device=torch.device("cpu"))):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_no_sign_is_refused() -> None:
    with pytest.raises(ValueError, match=r"signs\.a: a Callback is no Sign"):
        Doctor(signs={"b": None, "a": Callback()})


def test_what_was_found_stands_in_the_report_the_board_and_the_summary(tmp_path, capsys) -> None:
    run = tmp_path / "run"
    run.mkdir()
    row = {"kind": "finding", "examples": 320, "batches": 20, "sign": "x", "cause": "dead <codes>",
           "evidence": "3 of 128", "try": ["objective.quantiser.revive=0.1"]}  # fmt: skip
    odd = {"kind": "finding", "examples": "?", "cause": ["a"], "try": "b"}  # a stranger's
    (run / "metrics.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(odd)}\n")
    first, second = read_record(run).findings
    assert (first.cause, first.examples, second.remedies) == ("dead <codes>", 320, [])
    page = write_report(run).read_text()
    assert "<b>dead &lt;codes&gt;</b> after 320 examples: 3 of 128." in page
    assert "Try <code>objective.quantiser.revive=0.1</code>" in page
    board = Board(tmp_path)
    board.index.read_all()
    (key,) = board.index.runs
    shown = board.answer("run", {"run": key})["findings"]
    assert shown[0] | {"remedies": 0} == {
        "cause": "dead <codes>", "evidence": "3 of 128", "remedies": 0, "examples": 320,
    }  # fmt: skip
    print_summary(run, None)
    assert "found    dead <codes>: 3 of 128" in capsys.readouterr().err
