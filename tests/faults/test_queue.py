"""A queue that takes a run's machine away and gives it back: submitit, on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from record import record
from running import valid_checkpoints
from test_runs import FAMILIES, parts

from genlab.rows import read_rows

pytestmark = pytest.mark.faults
SWEEP = [
    sys.executable, "-m", "genlab.cli", "train", "-m", *FAMILIES["vae"],
    "trainer.threads=1", "trainer.precision=32-true", "logger=none", "evaluate=false",
    "data.batch_size=16", "budget.examples=8_000", "look_every=2_000", "save_every=1_000",
    "callbacks.look.num=4", "callbacks.ledger.log_every=1",
]  # fmt: skip


def tasks(sweep: Path) -> list[int]:
    """The processes in which submitit runs a cell."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode().split("\0")
        except OSError:
            continue
        if "submitit.core._submit" in words and any(str(sweep) in w for w in words):
            found.append(int(entry.parent.name))
    return found


def batches(sweep: Path) -> int:
    found = [r for p in sweep.rglob("metrics.jsonl") for r in read_rows(p) if r["kind"] == "train"]
    return max((r["batches"] for r in found), default=0)


def until(sweep: Path, wanted: int) -> None:
    deadline = time.monotonic() + 90
    while batches(sweep) < wanted:
        assert time.monotonic() < deadline, f"at batch {batches(sweep)}"
        time.sleep(0.02)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_preempted_job_is_queued_again_and_goes_on_bit_for_bit(ranks: int, tmp_path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    sweep, plain = tmp_path / "sweep", tmp_path / "plain"
    more = ["trainer=ddp_cpu", "trainer.devices=2"] if ranks == 2 else ["trainer=cpu"]
    job = subprocess.Popen(
        [*SWEEP, *more, "hydra/launcher=submitit_local", f"hydra.sweep.dir={sweep}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if ranks == 1:
        until(sweep, 50)
        os.kill(tasks(sweep)[0], signal.SIGTERM)  # submitit lets it pass, and so does the run
    for at in (120, 300):
        until(sweep, at)
        (task,) = tasks(sweep)
        os.kill(task, signal.SIGUSR2)  # as Slurm before it takes a machine away
        while task in tasks(sweep):
            time.sleep(0.02)
        (run,) = sweep.glob("0_*")
        last = read_rows(run / "metrics.jsonl")[-1]["examples"]
        assert max(int(p.stem.partition("=")[2]) for p in valid_checkpoints(run)[0]) == last
    stderr = job.communicate(timeout=240)[1]
    assert job.returncode == 0, stderr
    rows = [r["batches"] for r in read_rows(run / "metrics.jsonl") if r["kind"] == "train"]
    assert rows == list(range(1, 501))
    subprocess.run([*SWEEP, *more, f"hydra.sweep.dir={plain}"], check=True, capture_output=True)
    assert parts(run) == parts(next(plain.glob("0_*")))
    record(f"submitit takes the machine away from {ranks} rank(s): queued again, bitwise", 2, 2)


def test_a_sweep_that_was_killed_goes_on_by_the_same_command(tmp_path: Path) -> None:
    sweep, plain = tmp_path / "sweep", tmp_path / "plain"
    words = [*SWEEP, "trainer=cpu", "seed=1,2"]
    job = subprocess.Popen([*words, f"hydra.sweep.dir={sweep}"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while not list(sweep.glob("1_*/checkpoints/*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    job.kill()
    job.wait()
    again = subprocess.run([*words, f"hydra.sweep.dir={sweep}"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("is finished") == 1, "the first cell was done"
    subprocess.run([*words, f"hydra.sweep.dir={plain}"], check=True, capture_output=True)
    for cell in sorted(p.name for p in plain.glob("[01]_*")):
        assert parts(sweep / cell) == parts(plain / cell)
    record("a killed sweep goes on by the same command, bitwise", 1, 1)
    other = subprocess.run(
        [*SWEEP, "trainer=cpu", "seed=3", f"hydra.sweep.dir={sweep}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.returncode == 2 and "holds a run already, with another" in other.stderr
