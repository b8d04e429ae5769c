"""Several processes that somebody else started: torchrun, and srun's tasks (their environment)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from record import record
from running import TINY, fit, losses
from test_runs import FAMILIES

from genlab.rows import read_rows

pytestmark = pytest.mark.faults
WORDS = [
    *[o for o in TINY if o != "trainer=cpu"], *FAMILIES["vae"], "trainer=ddp_cpu",
    "evaluate=true", "metric.num_samples=16", "metric.pairs=2",
]  # fmt: skip
GENLAB = [sys.executable, "-m", "genlab.cli", "train"]


def free_port() -> str:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def tasks(outputs: Path, words: list[str], **more: str) -> list[subprocess.Popen]:
    """Two tasks of srun's on one node, as far as their environment goes."""
    port, found = free_port(), []
    for rank in range(2):
        env = {
            **os.environ, "GENLAB_OUTPUTS": str(outputs), "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_PROCID": str(rank),
            "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0", "SLURM_NNODES": "1",
            "SLURM_NTASKS_PER_NODE": "2", "SLURM_STEP_ID": "0", "SLURM_NODELIST": "localhost",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **more,
        }  # fmt: skip
        found.append(
            subprocess.Popen([*GENLAB, *words], env=env, stderr=subprocess.PIPE, text=True)
        )
    return found


def end(processes: list[subprocess.Popen], code: int = 0) -> list[str]:
    said = [p.communicate(timeout=200)[1] for p in processes]
    assert [p.returncode for p in processes] == [code] * len(processes), said
    return said


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> list[float]:
    return losses(fit(FAMILIES["vae"], tmp_path_factory.mktemp("whole") / "run"))


def batches(run: Path) -> list[int]:
    return [r["batches"] for r in read_rows(run / "metrics.jsonl") if r["kind"] == "train"]


def test_tasks_of_slurm_share_a_folder_and_go_on_when_queued_again(whole, tmp_path) -> None:
    end(tasks(tmp_path, WORDS))
    (config,) = tmp_path.rglob("config.yaml")
    run = config.parent
    assert run.name == "slurm_4711_0" and (run / "evaluation.json").is_file()
    assert losses(run) == pytest.approx(whole, rel=1e-3)
    said = end(tasks(tmp_path, WORDS, SLURM_RESTART_COUNT="1"))
    assert "is finished" in said[0]
    end(tasks(tmp_path, [f"resume={run}", "budget.examples=512"], SLURM_JOB_ID="4712"))
    assert batches(run) == list(range(1, 33)) and len(list(tmp_path.rglob("config.yaml"))) == 1
    record("two tasks with Slurm's environment: one folder, queued again, resumed", 3, 3)


def test_a_signal_to_all_tasks_saves_once(tmp_path) -> None:
    words = [*WORDS, "budget.examples=200_000", "look_every=100_000", "save_every=100_000"]
    started = tasks(tmp_path, words)
    deadline = time.monotonic() + 100
    while not any(batches(p.parent) for p in tmp_path.rglob("metrics.jsonl")):
        assert time.monotonic() < deadline and started[0].poll() is None
        time.sleep(0.05)
    for process in started:
        process.send_signal(signal.SIGTERM)
    end(started, 143)
    again = tasks(tmp_path, words, SLURM_RESTART_COUNT="1")
    (run,) = (p.parent for p in tmp_path.rglob("config.yaml"))
    before = max(batches(run))
    while max(batches(run)) <= before:
        assert time.monotonic() < deadline + 60 and again[0].poll() is None
        time.sleep(0.05)
    for process in again:
        process.send_signal(signal.SIGTERM)
    end(again, 143)
    rows = batches(run)
    assert rows == list(range(1, len(rows) + 1))
    record("SIGTERM to two tasks with Slurm's environment, then queued again", 1, 1)


def test_a_mistake_is_told_and_nobody_waits(tmp_path) -> None:
    began = time.monotonic()
    end(tasks(tmp_path, [*WORDS, "data.batch_size=0"]), 2)
    assert time.monotonic() - began < 30 and not list(tmp_path.rglob("config.yaml"))


def test_torchrun(whole, tmp_path) -> None:
    env = {**os.environ, "GENLAB_OUTPUTS": str(tmp_path)}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone",
                "--nproc-per-node", "2", "-m", "genlab.cli", "train"]  # fmt: skip
    done = subprocess.run(
        [*torchrun, *WORDS], env=env, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    (config,) = tmp_path.rglob("config.yaml")
    assert losses(config.parent) == pytest.approx(whole, rel=1e-3)
    assert (config.parent / "evaluation.json").is_file()
    record("torchrun with two processes: one folder, the curve of one process", 1, 1)
