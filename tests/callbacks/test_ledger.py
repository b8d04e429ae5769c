"""The ledger's rows: how often, how fast, and how they go on after a resume."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from genlab.callbacks import ledger
from genlab.callbacks.ledger import Ledger
from genlab.rows import append, read_rows


class Model:
    """Counts its batches and adds up one term."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.clock, self.terms = SimpleNamespace(examples=0, batches=0), {}

    def step(self, loss: float) -> None:
        total, num = self.terms.get(("loss",), (torch.zeros(1), 0))
        self.terms[("loss",)] = total + loss, num + 1
        self.clock.batches += 1
        self.clock.examples += 8

    def flush(self) -> dict[str, float]:
        found = {k[0]: float(total) / num for k, (total, num) in self.terms.items()}
        self.terms = {}
        return found


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(ledger, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    return now


def begun(run: Path, model: Model, *, held=None, accumulate: int = 1) -> tuple[Ledger, object]:
    callback = Ledger(log_every=2)
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.5}])
    trainer = SimpleNamespace(
        run=SimpleNamespace(folder=run, guard=None, doctor=None, ended=""), is_global_zero=True,
        world_size=1, loggers=[],
        optimizers=[optimizer], accumulate_grad_batches=accumulate,
    )  # fmt: skip
    callback.setup(trainer, model, "fit")
    if held is not None:
        callback.on_load_checkpoint(trainer, model, {"ledger": held})
    callback.on_train_start(trainer, model)
    return callback, trainer


def test_a_row_every_so_many_batches_with_the_speed_since_the_last(tmp_path, clock) -> None:
    model = Model()
    callback, trainer = begun(tmp_path, model, accumulate=3)
    for i in range(15):  # parts: of 2 rows and a half
        model.step(float(i))
        clock.seconds += 1 if i < 6 else 0.5
        callback.on_train_batch_end(trainer, model, None, None, i)
    callback.on_train_end(trainer, model)
    rows = read_rows(tmp_path / "metrics.jsonl")
    assert [r["batches"] for r in rows] == [6, 12, 15, 15]
    assert [r.get("train/loss") for r in rows] == [2.5, 8.5, 13, None]
    assert [r.get("speed/examples_per_second") for r in rows] == [8, 16, None, None]
    assert rows[-1]["kind"] == "end" and rows[0]["train/lr"] == 0.5


def test_a_resumed_ledger_goes_on_where_it_was(tmp_path, clock) -> None:
    append(tmp_path / "metrics.jsonl", {"kind": "train", "batches": 2, "seconds": 40.0})
    model, held = Model(), {}
    callback, trainer = begun(tmp_path, model)
    model.step(1.0)
    callback._rows = 5
    callback.on_save_checkpoint(trainer, model, held)
    model = Model()
    callback, trainer = begun(tmp_path, model, held=held["ledger"])
    model.step(4.0)
    clock.seconds += 2
    callback.on_train_batch_end(trainer, model, None, None, 1)
    row = read_rows(tmp_path / "metrics.jsonl")[-1]
    assert row["train/loss"] == 2.5, "the batch from before the resume is in the mean"
    assert row["seconds"] == 42 and callback._rows == 6


def test_joules_go_on_after_a_resume_and_are_left_out_where_none_are_shown(
    tmp_path, clock, monkeypatch
) -> None:
    append(tmp_path / "metrics.jsonl", {"kind": "train", "batches": 2, "energy/joules": 40.0})
    monkeypatch.setattr(ledger, "Joules", lambda: SimpleNamespace(spent=lambda: 2.5))
    callback, trainer = begun(tmp_path, Model())
    callback.write(trainer, Model(), "look", {"val/loss": 1.0})
    assert read_rows(tmp_path / "metrics.jsonl")[-1]["energy/joules"] == 42.5
    monkeypatch.setattr(ledger, "Joules", lambda: SimpleNamespace(spent=lambda: None))
    callback, trainer = begun(tmp_path, Model())
    callback.write(trainer, Model(), "look", {"val/loss": 1.0})
    assert "energy/joules" not in read_rows(tmp_path / "metrics.jsonl")[-1]
