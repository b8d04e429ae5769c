"""Signals at any instant, a closed terminal or pipe, two writers, a folder without the right."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
from record import record, share
from running import valid_checkpoints
from test_kills import number
from test_runs import FAMILIES, parts

from genlab.rows import read_rows
from genlab.runs.folder.checkpoint import newest

pytestmark = pytest.mark.faults
FAMILY = FAMILIES["vae"]
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 138}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[dict[str, str], float]:
    run, began = tmp_path_factory.mktemp("whole") / "run", time.monotonic()
    assert forked.ended(forked.start(run, FAMILY, log=run.parent / "log")) == 0
    return parts(run), time.monotonic() - began


@pytest.mark.parametrize("sent", CODES)
def test_a_signal_at_random_instants(sent: signal.Signals, whole, tmp_path: Path) -> None:
    """Each ends the run with its code, saved at the batch it was in; then it goes on."""
    expected, seconds = whole
    dice, signals, wanted, chains, slowest = random.Random(sent), 0, share(20), 0, 0.0
    mid_run = 0
    while signals < wanted:
        run, chains = tmp_path / str(chains) / "run", chains + 1
        run.parent.mkdir()
        log = run.parent / "log"
        while True:
            child = forked.start(run, FAMILY, log=log)
            if signals == wanted:
                assert forked.ended(child) == 0, log.read_text()[-2000:]
                break
            time.sleep(dice.uniform(0.02, 0.6 * seconds))
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                assert os.waitstatus_to_exitcode(status) == 0, log.read_text()[-2000:]
                break
            began = time.monotonic()
            os.kill(child, sent)
            code = forked.ended(child, 60)
            slowest = max(slowest, time.monotonic() - began)
            if code == 0:  # it was about to end, and did
                break
            # before the command has set itself up, the system ends it
            assert code in (CODES[sent], -sent), (code, log.read_text()[-2000:])
            signals += 1
            rows = read_rows(run / "metrics.jsonl")
            if any(r["kind"] == "train" for r in rows):
                last = max(r["examples"] for r in rows if r["kind"] == "train")
                assert number(newest(run)) == last, "it was not saved where it stopped"
                assert not valid_checkpoints(run)[1]
                mid_run += 1
        assert parts(run) == expected, log.read_text()[-2000:]
    assert "Traceback" not in "".join(p.read_text() for p in tmp_path.rglob("log"))
    assert slowest < 10
    record(
        f"{sent.name} at random instants", signals, signals,
        f"exit code {CODES[sent]}, {mid_run} of them while training, ended within {slowest:.1f} s",
    )  # fmt: skip


def process(run: Path, *, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "genlab.cli", "train", *forked.CHAIN, *FAMILY,
         f"hydra.run.dir={run}"],
        stdout=stdout, stderr=stderr,
    )  # fmt: skip


def test_a_closed_pipe_and_a_closed_terminal_do_not_end_a_run(whole, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    child = process(tmp_path / "run", stdout=writing, stderr=writing)
    os.close(writing)
    assert os.read(reading, 1)
    os.close(reading)  # as `| head -1` does
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGHUP)
    assert child.wait(120) == 0
    assert parts(tmp_path / "run") == whole[0]
    record("closed stdout and stderr, then SIGHUP: the run goes on", 1, 1)


def test_one_writer_a_folder(whole, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = forked.start(run, FAMILY, log=tmp_path / "first")
    while not (run / "metrics.jsonl").exists():
        time.sleep(0.02)
    began = time.monotonic()
    second = forked.command("train", f"resume={run}", log=tmp_path / "second")
    assert forked.ended(second) == 2
    took = time.monotonic() - began
    assert f"process {first}" in (tmp_path / "second").read_text() and took < 2
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert (run / ".lock").exists()  # a stale one, taken over
    assert forked.ended(forked.start(run, FAMILY, log=tmp_path / "third")) == 0
    assert parts(run) == whole[0]
    record("a second writer is refused, a dead one's lock taken over", 2, 2, f"{took:.1f} s")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv: root itself may write anywhere")
    sealed = Path("/tmp") / f"genlab_sealed_{os.getpid()}"
    sealed.mkdir(mode=0o555)
    sealed.chmod(0o555)
    words = [sys.executable, "-m", "genlab.cli", "train", *forked.CHAIN]
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    env = {**os.environ, "GENLAB_OUTPUTS": str(sealed / "o"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        if subprocess.run([*as_nobody, sys.executable, "-c", "import genlab"], env=env).returncode:
            pytest.skip("this environment cannot be read by another user")
        began = time.monotonic()
        done = subprocess.run([*as_nobody, *words], env=env, capture_output=True, text=True)
        took = time.monotonic() - began
    finally:
        sealed.rmdir()
    assert done.returncode == 2 and str(sealed) in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and took < 5
    record("an output folder that cannot be written is refused", 1, 1, f"{took:.1f} s")
