"""Several processes: one that dies or hangs ends all, none is left behind, and a resume works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from record import record
from running import genlab

COMMAND = [
    "train", "trainer.threads=1", "trainer.precision=32-true",
    "logger=none", "evaluate=false",
    "net.width=8", "data.batch_size=16", "budget.examples=200_000", "look_every=100_000",
    "save_every=1_600", "callbacks.look.num=4", "callbacks.ledger.log_every=1",
]  # fmt: skip

SHARDED = [
    "trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=2", "net=mlp", "net.depth=1",
]  # fmt: skip


def workers_of(run: Path) -> list[int]:
    """The processes that train in a run's folder, by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if b"genlab.runs.devices.worker" in arguments and str(run).encode() in arguments:
                variables = (folder / "environ").read_bytes().split(b"\0")
                rank = next(v for v in variables if v.startswith(b"LOCAL_RANK="))
                if state != "Z":
                    found[int(rank.partition(b"=")[2])] = int(folder.name)
        except OSError:
            continue
    return [found[r] for r in sorted(found)]


def started(outputs: Path, *more: str) -> tuple[subprocess.Popen, Path]:
    """A run of two processes that has saved once."""
    env = {**os.environ, "GENLAB_OUTPUTS": str(outputs), "OMP_NUM_THREADS": "1"}
    words = [*([] if "trainer=fsdp" in more else ["trainer=ddp_cpu"]), *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "genlab.cli", *COMMAND, *words],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (saved := list(outputs.rglob("examples=*.ckpt"))):
        assert time.monotonic() < deadline and process.poll() is None, "training did not start"
        time.sleep(0.05)
    return process, saved[0].parent.parent


def gone_after(process: subprocess.Popen, run: Path, limit: float) -> tuple[float, str]:
    began = time.monotonic()
    _, stderr = process.communicate(timeout=limit)
    assert not workers_of(run), "a process was left behind"
    return time.monotonic() - began, stderr


def goes_on(run: Path) -> None:
    before = sorted((run / "checkpoints").glob("*.ckpt"))[-1]
    done = int(before.stem.partition("=")[2])
    more = genlab("train", f"resume={run}", f"budget.examples={done + 3_200}", timeout=120)
    assert more.returncode == 0, more.stderr


@pytest.mark.faults
@pytest.mark.parametrize("trainer", ["ddp_cpu", "fsdp"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_dead_rank_ends_all(rank: int, trainer: str, tmp_path: Path) -> None:
    process, run = started(tmp_path, *SHARDED * (trainer == "fsdp"))
    os.kill(workers_of(run)[rank], signal.SIGKILL)
    seconds, _ = gone_after(process, run, 60)
    assert process.returncode == 137
    goes_on(run)
    ranks = "2" if trainer == "ddp_cpu" else "2 (fsdp)"
    what = f"rank {rank} of {ranks} killed: all end within 60 s, resume works"
    record(what, 1, 1, f"{seconds:.1f} s")


@pytest.mark.faults
@pytest.mark.parametrize("rank", [0, 1])
def test_a_hung_rank_ends_all_at_the_timeout(rank: int, tmp_path: Path) -> None:
    process, run = started(tmp_path, "trainer.timeout_minutes=0.25")
    os.kill(workers_of(run)[rank], signal.SIGSTOP)
    seconds, _ = gone_after(process, run, 15 + 60)
    assert process.returncode not in (0, None)
    record(f"rank {rank} of 2 hangs: all end at the timeout (15 s)", 1, 1, f"{seconds:.1f} s")


@pytest.mark.faults
def test_a_killed_launcher_leaves_no_orphan(tmp_path: Path) -> None:
    process, run = started(tmp_path)
    assert len(workers_of(run)) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while workers_of(run) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not workers_of(run)
    record("the launcher of 2 ranks killed: no orphan", 1, 1)


@pytest.mark.faults
@pytest.mark.parametrize("trainer", ["ddp_cpu", "fsdp"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_launcher_saves(
    number: int, code: int, trainer: str, tmp_path: Path
) -> None:
    process, run = started(tmp_path, *SHARDED * (trainer == "fsdp"))
    before = max((run / "checkpoints").glob("*.ckpt"))
    process.send_signal(number)
    seconds, stderr = gone_after(process, run, 60)
    assert process.returncode == code, stderr
    assert max((run / "checkpoints").glob("*.ckpt")) > before and "Traceback" not in stderr
    if trainer == "fsdp":
        goes_on(run)
    ranks = "2 ranks" if trainer == "ddp_cpu" else "2 ranks (fsdp)"
    what = f"signal {int(number)} to the launcher of {ranks}: saved, {code}"
    record(what, 1, 1, f"{seconds:.1f} s")
