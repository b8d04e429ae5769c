"""Signals and dead processes: a run is saved, ends with its code, and goes on bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import genlab, genlab_here, valid_checkpoints
from test_runs import parts

pytestmark = pytest.mark.whole

COMMAND = [
    "train", "trainer=cpu", "trainer.threads=1", "trainer.precision=32-true",
    "logger=none", "evaluate=false", "net=mlp", "net.width=32", "data.val_examples=64",
    "data.batch_size=16", "budget.examples=9_600", "look_every=4_800", "save_every=640",
    "callbacks.look.num=4", "callbacks.ledger.log_every=1",
]  # fmt: skip


def start(outputs: Path, *more: str) -> subprocess.Popen:
    env = {**os.environ, "GENLAB_OUTPUTS": str(outputs)}
    return subprocess.Popen(
        [sys.executable, "-m", "genlab.cli", *COMMAND, *more],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def when_training(outputs: Path, rows: int) -> Path:
    """Wait until the ledger has so many rows; gives the run folder."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in outputs.rglob("metrics.jsonl"):
            if path.read_text().count('"train"') >= rows:
                return path.parent
        time.sleep(0.02)
    raise AssertionError("training did not start")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, str]:
    outputs = tmp_path_factory.mktemp("whole")
    done = genlab_here(*COMMAND, f"hydra.run.dir={outputs / 'run'}")
    assert done.returncode == 0, done.stderr
    return parts(outputs / "run")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.faults),
        pytest.param(signal.SIGUSR1, 138, marks=pytest.mark.faults),
    ],
)
def test_a_signal_saves_and_the_run_goes_on_bit_for_bit(number, code, tmp_path, whole) -> None:
    process = start(tmp_path)
    run = when_training(tmp_path, 25)
    sent = time.monotonic()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert time.monotonic() - sent < 10
    assert "Traceback" not in stderr
    assert "saved after" in stderr and f"genlab train resume={run}" in stderr
    done = genlab_here("train", f"resume={run}")
    assert done.returncode == 0, done.stderr
    assert parts(run) == whole


def test_asked_twice_it_ends_at_once_and_says_what_there_is(tmp_path) -> None:
    """The first Ctrl-C is answered; the second does not wait for the batch, nor save."""
    long = ("budget.examples", "save_every", "look_every")
    process = start(
        tmp_path, "data=ring", "data.batch_size=60_000", *(f"{k}=100_000_000" for k in long)
    )
    run = when_training(tmp_path, 1)
    process.send_signal(signal.SIGINT)
    while "stopping" not in (line := process.stderr.readline()):
        assert line, "nothing was said"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert f"nothing of {run} was saved" in stderr and "Traceback" not in stderr


@pytest.mark.faults
def test_kill_9_loses_at_most_one_save(tmp_path, whole) -> None:
    process = start(tmp_path)
    run = when_training(tmp_path, 60)
    process.kill()
    process.wait()
    assert not valid_checkpoints(run)[1]
    done = genlab_here("train", f"resume={run}")
    assert done.returncode == 0, done.stderr
    assert parts(run) == whole


@pytest.mark.faults
def test_two_writers_in_one_folder_are_refused(tmp_path) -> None:
    process = start(tmp_path, "budget.examples=400_000")
    try:
        run = when_training(tmp_path, 25)
        done = genlab("train", f"resume={run}")
        assert done.returncode == 2 and f"process {process.pid}" in done.stderr, done.stderr
    finally:
        process.kill()
        process.wait()
    done = genlab("train", f"resume={run}", "budget.examples=10_000")
    assert done.returncode == 0, done.stderr  # the dead one's lock is free
