"""budget.minutes: the rate falls with the time, and the whole run keeps within it."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from running import fit, settled

from genlab.callbacks import budget, look  # noqa: F401 (Lightning's import is not what is timed)
from genlab.clock import warmup_decay
from genlab.rows import read_rows


def test_the_rate_falls_with_whichever_budget_is_further() -> None:
    law = dict(warmup=0, horizon=1000, decay="linear", final=0.1)
    assert warmup_decay(500, **law, spent=0.2) == pytest.approx(0.55)
    assert warmup_decay(500, **law, spent=0.9) == pytest.approx(0.19)
    assert warmup_decay(0, **law, spent=1.0) == pytest.approx(0.1)
    assert warmup_decay(500, warmup=0, horizon=None, decay="constant", final=0, spent=0.9) == 1


@pytest.mark.parametrize(
    ("looking", "sample", "limit"), [(0, 0, 60), (4, 0.5, 50), (20, 1, 30), (0, 100, 30)]
)
def test_the_minutes_hold_what_follows_training_up_to_half_of_them(
    looking: float, sample: float, limit: float, monkeypatch
) -> None:
    """10 samples, with a fifth to spare; 6 s of this command are over, 9 were before a resume."""
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: 106.0))
    ledger = SimpleNamespace(seconds_before=9.0)
    run = SimpleNamespace(look_seconds=looking, sample_seconds=sample, ledger=ledger)
    trainer = SimpleNamespace(run=run, world_size=1)
    callback = budget.Budget(1.0, began=100.0, num_samples=10)
    callback.on_train_start(trainer, None)
    assert callback.spent(trainer, None) == pytest.approx(15 / limit)


@pytest.mark.parametrize("family", ["diffusion", "gan"])
def test_the_rate_has_fallen_when_the_minutes_are_over(family: str, tmp_path: Path) -> None:
    words = ["data=ring", f"model={family}", "net=mlp" if family == "diffusion" else "net=mlp_gan",
             "budget.examples=100_000_000", "budget.minutes=0.07", "look_every=100_000_000",
             "save_every=100_000_000", "optim.decay=cosine"]  # fmt: skip
    began = time.monotonic()
    run = fit(words, tmp_path / "run")
    took = time.monotonic() - began
    rates = [r["train/lr"] for r in read_rows(run / "metrics.jsonl") if "train/lr" in r]
    highest = settled(words)["optim"]["optimizer"]["lr"]
    assert rates[-1] < 0.02 * highest, (highest, rates[-1])
    assert 3.2 < took < 10  # 4.2 s, and what a busy machine adds
