"""Disks that are full, before and during a run: refused, or ended in one line; then it goes on."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import forked
import pytest
import torch
from record import record
from running import TINY, fit, genlab, valid_checkpoints
from test_runs import FAMILIES, parts

from genlab.runs.folder import layout as folder
from genlab.runs.folder.checkpoint import damage, newest, save
from genlab.runs.say.errors import UserError

WIDE = ["model=vae", "net.encoder.width=64", "net.decoder.width=64"]


def test_too_little_space_is_refused_before_training(tmp_path: Path, monkeypatch) -> None:
    usage = folder.shutil._ntuple_diskusage(10**9, 10**9 - 10**5, 10**5)
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"0 MiB free, \d+ MiB needed for checkpoints"):
        fit(FAMILIES["vae"], tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    record("too little free space: refused before training", 1, 1)


def test_the_estimate_is_that_of_the_file(tmp_path: Path) -> None:
    """The checkpoint that is written is at most what was reckoned with, and not far below."""
    from running import settled

    from genlab.runs.devices.memory import checkpoint_size
    from genlab.runs.settings.plan import Plan
    from genlab.runs.train import Training

    run = fit(WIDE, tmp_path / "run")
    _, model, trainer = Training(Plan(settled([*TINY, *WIDE])), run).assemble()
    reckoned = checkpoint_size(trainer, model)
    assert 0.8 < newest(run).stat().st_size / reckoned < 1.1


@pytest.mark.faults
def test_a_limit_on_file_sizes_ends_a_save_cleanly(tmp_path: Path) -> None:
    good, bad = (tmp_path / "checkpoints" / f"examples={i:012d}.ckpt" for i in (1, 2))
    save({"w": torch.zeros(1000)}, good)

    def work() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        try:
            save({"w": torch.zeros(100_000)}, bad)
        except OSError as error:
            return 7 if error.errno == 27 and str(bad) in str(error) else 8
        return 0

    assert forked.ended(forked.fork(work, tmp_path / "log")) == 7, (tmp_path / "log").read_text()
    assert newest(tmp_path) == good
    assert sorted(p.name for p in good.parent.iterdir()) == [good.name, good.name + ".sha256"]
    record("a save beyond the limit on file sizes", 1, 1, "the one before stays, nothing is left")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    if os.getuid() != 0:
        pytest.skip("needs root to mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], check=False)
    if made.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that takes all the space but `leave` bytes."""
    stat = os.statvfs(disk)
    filler = disk / "filler"
    with filler.open("ab") as f:
        f.write(b"\0" * max(0, stat.f_bavail * stat.f_frsize - leave))
    return filler


@pytest.mark.faults
def test_a_disk_that_fills_up_during_a_run(small_disk: Path, tmp_path: Path) -> None:
    words = [*WIDE, "budget.examples=1600", "save_every=80", "look_every=800"]
    train = [*forked.CHAIN, *words]
    whole = tmp_path / "whole"
    assert genlab("train", *train, f"hydra.run.dir={whole}").returncode == 0
    run = small_disk / "run"
    child = subprocess.Popen(
        [sys.executable, "-m", "genlab.cli", "train", *train, f"hydra.run.dir={run}"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list(run.glob("checkpoints/*.ckpt"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    filler = fill(small_disk, 100_000)
    told = child.communicate(timeout=120)[1]
    assert child.returncode == 1, told
    assert "Traceback" not in told
    lines = [x for x in told.splitlines() if "No space left on device" in x]
    assert len(lines) == 1 and str(run) in lines[0] and "free some space" in lines[0], told
    good, bad = valid_checkpoints(run)
    assert good and not bad and damage(good[0]) is None
    assert not list(run.rglob(".*.tmp"))
    # still full
    refused = genlab("train", f"resume={run}")
    assert refused.returncode == 2 and "needed for checkpoints" in refused.stderr
    filler.unlink()
    done = genlab("train", f"resume={run}")
    assert done.returncode == 0, done.stderr
    assert parts(run) == parts(whole)
    record(
        "a full disk during a run: one line, exit code 1, the last good checkpoint kept", 1, 1,
        "refused while it is full; bitwise once there is space",
    )  # fmt: skip
