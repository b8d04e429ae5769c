"""On the GPU: every family trains, resumes to the bit, draws the same in any chunks; precisions,
the guard without waiting, torch.compile."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from running import fit, losses
from test_runs import FAMILIES, parts, stopped_at

import genlab as package
from genlab.callbacks.guard import Guard
from genlab.models.base import GenerativeModel
from genlab.rows import read_rows
from genlab.runs.folder.checkpoint import newest, read

pytestmark = pytest.mark.gpu
SHORT = ["budget.examples=64", "look_every=64", "save_every=64"]  # four batches
AT = 2  # the batch whose gradient is made NaN


@pytest.mark.parametrize("family", FAMILIES)
def test_it_trains_and_draws_the_same_in_any_chunks(family, device, here, tmp_path) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    run = fit([*FAMILIES[family], *here, *SHORT], tmp_path / "run")
    if device == "cuda":
        assert torch.cuda.max_memory_allocated() > before, "nothing was trained on the GPU"
    assert len(losses(run)) == 4 and all(map(math.isfinite, losses(run)))
    model = package.load(run).to(device)
    whole = model.sample(5, seed=3)
    chunks = torch.cat([model.sample(2, seed=3), model.sample(3, seed=3, first=2)])
    assert whole.device.type == device
    if model.takes == "tokens":
        assert torch.equal(whole, chunks)
    else:  # a kernel may be another for another number of examples
        torch.testing.assert_close(whole, chunks, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_resume_is_bitwise(family: str, here: list[str], tmp_path: Path) -> None:
    words = [*FAMILIES[family], *here, "trainer.deterministic=true", "budget.examples=128"]
    whole = fit(words, tmp_path / "whole")
    stopped_at(3, words, tmp_path / "broken")
    fit(words, tmp_path / "broken", resume=True)
    assert parts(tmp_path / "broken") == parts(whole)


@pytest.mark.parametrize("family", ["diffusion", "gpt", "gan"])
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_is_near_float32(family, precision, here, tmp_path) -> None:
    found = {}
    for name in ("32-true", precision):
        words = [*FAMILIES[family], *here, *SHORT, f"trainer.precision={name}"]
        found[name] = losses(run := fit(words, tmp_path / name))
        held = read(newest(run))["state_dict"]
        assert {v.dtype for v in held.values() if v.is_floating_point()} == {torch.float32}
    assert found[precision] != found["32-true"]
    # float16's scale is found by leaving out updates: only the first loss is of the same weights
    same = 1 if precision == "16-mixed" else 4
    assert found[precision][:same] == pytest.approx(found["32-true"][:same], rel=0.03)
    assert all(map(math.isfinite, found[precision]))


def test_the_guard_leaves_out_an_update_without_waiting(here, device, tmp_path, monkeypatch):
    """The optimiser's found_inf: one NaN gradient, one update left out, and the batch is named."""
    original, handles = GenerativeModel.on_train_batch_start, []

    def poisoned(model: GenerativeModel, batch, batch_idx: int) -> None:
        original(model, batch, batch_idx)
        while handles:
            handles.pop().remove()
        if model.clock.batches == AT:
            weight = next(p for p in model.parameters() if p.requires_grad)
            handles.append(weight.register_hook(lambda g: g * float("nan")))

    marked = []
    mark = Guard.mark
    monkeypatch.setattr(GenerativeModel, "on_train_batch_start", poisoned)
    monkeypatch.setattr(Guard, "mark", lambda *a: marked.append(1) or mark(*a))
    words = [*FAMILIES["diffusion"], *here, *SHORT, "callbacks.guard.not_finite=skip"]
    run = fit(words, tmp_path / "run")
    row = json.loads((run / "not_finite.jsonl").read_text())
    assert row["batch"] == AT and len(row["ids"]) == 16
    assert all(torch.isfinite(v).all() for v in read(newest(run))["state_dict"].values())
    assert len(marked) == (4 if device == "cuda" else 0)  # the CPU looks before every update


def test_compiled_training_is_near_the_eager_one(here: list[str], tmp_path: Path) -> None:
    words = [*FAMILIES["gpt"], "net.dropout=0", *here, *SHORT]
    eager = fit(words, tmp_path / "eager")
    compiled = fit([*words, "trainer.compile=true"], tmp_path / "compiled")
    assert losses(compiled) == pytest.approx(losses(eager), rel=1e-3)
    looks = [r for r in read_rows(compiled / "metrics.jsonl") if r["kind"] == "look"]
    assert looks[-1]["examples"] == 64
