"""Every write, fsync, rename, open and unlink of one save fails or is killed in its turn."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import forked
import pytest
import torch
from record import record, share

from genlab.runs.folder.checkpoint import damage, newest, read, save

CALLS = ("write", "fsync", "rename", "openat", "unlink")
FAULTS = {"killed": "signal=SIGKILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
STATE = {"w": torch.arange(30_000.0), "of": 2}  # several buffers long
FAILED = 7  # the child's exit code where save raised OSError, as it should

pytestmark = pytest.mark.faults


def name(number: int) -> str:
    return f"examples={number:012d}.ckpt"


def saving(run: Path, inject: str, trace: Path) -> int:
    """The exit code of a child that saves a second checkpoint under strace."""
    reading, writing = os.pipe()

    def work() -> int:
        os.read(reading, 1)  # until strace is attached
        try:
            save(STATE, run / "checkpoints" / name(2))
        except OSError as error:
            return FAILED if name(2) in str(error) else 8
        return 0

    child = forked.fork(work, run / "log")
    calls = inject.partition(":")[0] if inject else ",".join(CALLS)
    command = ["strace", "-f", "-p", str(child), "-o", str(trace), "-e", f"trace={calls}"]
    # only what the save does to its folder counts: `when` is the N-th of these
    folder = run / "checkpoints"
    for path in paths(folder, child):
        command += ["-P", str(path)]
    if inject:
        command += ["-e", f"inject={inject}"]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = tracer.stderr.readline()
    if "attached" not in line:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.skip(f"strace cannot attach here: {line.strip()}")
    os.write(writing, b"x")
    code = forked.ended(child, 30)
    tracer.wait(10)
    tracer.stderr.close()
    os.close(reading)
    os.close(writing)
    return code


def paths(folder: Path, pid: int) -> list[Path]:
    data, text = name(2), name(2) + ".sha256"
    temporary = [folder / f".{n}.{pid}.tmp" for n in (data, text)]
    return [folder, folder / data, folder / text, *temporary]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    if shutil.which("strace") is None:
        pytest.skip("strace is missing")
    return tmp_path / "run"


def fresh(run: Path) -> None:
    shutil.rmtree(run, ignore_errors=True)
    save({**STATE, "of": 1}, run / "checkpoints" / name(1))


def test_every_call_of_a_save_may_fail(run: Path) -> None:
    fresh(run)
    trace = run.parent / "trace"
    assert saving(run, "", trace) == 0
    text = trace.read_text()
    counts = Counter(re.findall(r"^\d+\s+(\w+)\(", text, re.M))
    assert counts["write"] >= 3 and counts["fsync"] >= 3 and counts["rename"] == 2, text
    order = re.findall(r"^\d+\s+(fsync|rename)\(", text, re.M)
    assert order[0] == "fsync" and order[-2:] == ["rename", "fsync"], "data, name, folder"
    points = [(c, n, f) for c in CALLS for n in range(1, counts[c] + 1) for f in FAULTS]
    points = points[:: round(1 / min(1, share(100) / 100))]
    tally: Counter[str] = Counter()
    for call, n, fault in points:
        fresh(run)
        code = saving(run, f"{call}:{FAULTS[fault]}:when={n}", trace)
        at = f"{call} {n} {fault}: code {code}\n{trace.read_text()[-1500:]}"
        folder = run / "checkpoints"
        held = read(newest(run))
        assert held["of"] in (1, 2) and torch.equal(held["w"], STATE["w"]), at
        assert damage(folder / name(1)) is None, at
        second = folder / name(2)
        assert not second.exists() or damage(second) is None, at
        if fault == "killed":
            assert code == -signal.SIGKILL, at
        else:
            assert code in (0, FAILED), at  # 0: the call was not needed for the save
            assert code or damage(second) is None, at
            # a temporary file that cannot be unlinked is left to the next start
            assert call == "unlink" or not list(folder.glob(".*.tmp")), at
        tally[fault] += 1
    record(
        "every write, fsync, rename, open, unlink of one save: killed, EIO, ENOSPC",
        len(points), sum(tally.values()),
        ", ".join(f"{n} {c}" for c, n in counts.items()) + " in a save",
    )  # fmt: skip
