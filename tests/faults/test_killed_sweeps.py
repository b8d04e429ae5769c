"""Sweeps that are killed: the same command ends where an undisturbed one does, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from record import record
from test_runs import FAMILIES, parts

from genlab.rows import read_rows
from genlab.runs.sweeps.cells import read_cells

pytestmark = pytest.mark.faults
WORDS = [
    sys.executable, "-m", "genlab.cli", "train", "-m", *FAMILIES["vae"], "trainer=cpu",
    "trainer.threads=1", "trainer.precision=32-true", "logger=none", "evaluate=false",
    "data.batch_size=16", "budget.examples=6_400", "look_every=1_600", "save_every=200",
    "callbacks.look.num=4", "callbacks.ledger.log_every=1",
]  # fmt: skip
SWEEPS = {
    "grid": ["seed=1,2,3", "net.encoder.width=8,0,16"],
    "tpe": ["hydra/sweeper=tpe", "hydra.sweeper.trials=9", "hydra.sweeper.startup=3",
            "optim.optimizer.lr=interval(1e-4,1e-1)", "net.encoder.width=0,8,16"],
    "halving": ["callbacks=halving", "callbacks.look.num=4", "callbacks.ledger.log_every=1",
                "optim.optimizer.lr=1e-5,1e-2,1e-6,1e-3,1e-7,1e-4,3e-3,3e-5", "seed=1"],
}  # fmt: skip


def batches(sweep: Path) -> dict[str, list[int]]:
    """The batches of which each cell's ledger has a row, in order."""
    return {
        c.folder.name: [
            r["batches"] for r in read_rows(c.folder / "metrics.jsonl") if r["kind"] == "train"
        ]
        for c in read_cells(sweep)
    }


@pytest.mark.parametrize("name", SWEEPS)
def test_killed_ten_times_it_ends_as_undisturbed(name: str, tmp_path: Path) -> None:
    sweep, plain = tmp_path / "sweep", tmp_path / "plain"
    words = [*WORDS, *SWEEPS[name]]
    whole = subprocess.run([*words, f"hydra.sweep.dir={plain}"], capture_output=True, text=True)
    draws = random.Random(name)
    kills, log = 0, tmp_path / "log"
    for _ in range(40):
        with log.open("ab") as out:
            job = subprocess.Popen(
                [*words, f"hydra.sweep.dir={sweep}"], stdout=out, stderr=out, start_new_session=True
            )
            try:
                job.wait(timeout=2 + 2.5 * draws.random() if kills < 10 else 600)
            except subprocess.TimeoutExpired:
                os.killpg(job.pid, signal.SIGKILL)
                job.wait()
                kills += 1
                continue
        break
    assert job.returncode == whole.returncode, log.read_text()[-3000:]
    mine, theirs = read_cells(sweep), read_cells(plain)
    assert len(theirs) == 8 + (name != "halving")
    told = [(c.folder.name, c.words, c.state, c.reason) for c in mine]
    assert told == [(c.folder.name, c.words, c.state, c.reason) for c in theirs]
    keys = ("val/loss", "train/loss", "examples")
    for a, b in zip(mine, theirs):
        assert [a.figures.get(k) for k in keys] == [b.figures.get(k) for k in keys]
        if a.state == "finished":
            assert parts(a.folder) == parts(b.folder)
    assert batches(sweep) == batches(plain), "a row twice, or none"
    assert log.read_text().count("trained in") <= sum(c.state != "failed" for c in theirs) + 1
    states = {c.state for c in mine}
    assert states == ({"finished", "pruned"} if name == "halving" else {"finished", "failed"})
    record(f"a sweep ({name}) killed at random instants ends as undisturbed, bitwise", kills, kills)
    assert kills == 10
