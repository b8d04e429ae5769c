"""Odd names of run folders, working folders that go away, and disks that cannot lock or sync."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import fit, genlab_here

from genlab.rows import read_rows
from genlab.runs.folder.checkpoint import newest, read

pytestmark = pytest.mark.whole

WORDS = ["data=ring", "model=diffusion", "net=mlp", "net.width=8", "budget.examples=32",
         "data.batch_size=16"]  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return fit(["data=ring", "model=diffusion", "net=mlp", "net.width=8"],
               tmp_path_factory.mktemp("base") / "run")  # fmt: skip


NAMES = [
    "a=b", "[x]", "ünïcode", "a,b", "it's", 'say "x"', "a#b", "{x}", "a b", "a\\b", "$x", "(x)",
    "a:b", "~x", "-x", "a;b", "%x", "a&b", "*", "a\\'b", "null", "1e3", "true",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_run_folder_may_be_called_anything(name: str, base: Path, tmp_path: Path) -> None:
    """Every command takes its path as it is, and each command that is printed takes it again."""
    run = shutil.copytree(base, tmp_path / name)
    (run / "config.yaml.sha256").unlink(missing_ok=True)
    told = genlab_here("train", f"resume={run}", "budget.examples=272")
    assert told.returncode == 0, told.stderr
    for words in (
        ["sample", f"run={run}", "num=1"],
        ["report", str(run)],
        ["export", f"run={run}", f"to={run}_out"],
        ["check", *WORDS, f"init_from={run}"],
    ):
        done = genlab_here(*words)
        assert done.returncode == 0, (words, done.stderr)
    printed = re.findall(
        r"^ +(?:draw|measure|again) +genlab (.*)$", told.stderr + told.stdout, re.M
    )
    assert len(printed) == 3, told.stdout
    draw = next(shlex.split(line) for line in printed if line.startswith("sample"))
    assert draw == ["sample", f"run={run}"]
    assert genlab_here(*draw, "num=1").returncode == 0


def test_an_interpolation_in_a_folders_name_is_one_line(base: Path, tmp_path: Path) -> None:
    run = shutil.copytree(base, tmp_path / "${x}")
    done = genlab_here("train", f"resume={run}", "budget.examples=272")
    assert done.returncode == 2 and "rename the folder" in done.stderr, done.stderr


def test_a_working_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    code = "import os, sys; os.rmdir(os.getcwd()); from genlab.cli import main; main(sys.argv[1:])"
    for words in (["train", *WORDS], ["check"], ["sample", "run=x"]):
        gone = tmp_path / "gone"
        gone.mkdir()
        done = subprocess.run([sys.executable, "-c", code, *words], cwd=gone, capture_output=True,
                              text=True, check=False, timeout=60)  # fmt: skip
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.faults
def test_a_working_folder_that_goes_away_costs_nothing(tmp_path: Path) -> None:
    """A run whose outputs lie elsewhere goes on to its report."""
    here, run = tmp_path / "here", tmp_path / "run"
    here.mkdir()
    words = [
        *WORDS,
        "budget.examples=40_000",
        "trainer=cpu",
        "evaluate=false",
        "data.batch_size=16",
    ]
    child = subprocess.Popen(
        [sys.executable, "-m", "genlab.cli", "train", *words, f"hydra.run.dir={run}"],
        cwd=here, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not read_rows(run / "metrics.jsonl") and child.poll() is None:
        time.sleep(0.05)
    shutil.rmtree(here)
    _, said = child.communicate(timeout=120)
    assert child.returncode == 0 and "Traceback" not in said, said
    assert read(newest(run))["clock"]["examples"] == 40_000 and (run / "report.html").is_file()


def test_a_disk_that_cannot_sync_folders_is_lived_with(base, tmp_path, monkeypatch) -> None:
    """Some network disks answer fsync of a folder with EINVAL."""
    real = os.fsync

    def fsync(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    done = genlab_here("train", f"resume={shutil.copytree(base, tmp_path / 'run')}",
                       "budget.examples=272")  # fmt: skip
    assert done.returncode == 0, done.stderr
    monkeypatch.undo()
    assert read(newest(tmp_path / "run"))["clock"]["examples"] == 272

    def broken(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)  # any other error is one
    done = genlab_here("train", f"resume={tmp_path / 'run'}", "budget.examples=288")
    assert done.returncode != 0


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_that_cannot_lock_is_lived_with(code, base, tmp_path, monkeypatch) -> None:
    import fcntl

    def flock(*args) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    run = shutil.copytree(base, tmp_path / "run")
    done = genlab_here("train", f"resume={run}", "budget.examples=272")
    assert done.returncode == 0, done.stderr
    # filelock itself takes a lock file where the call is not there at all
    assert ("cannot be locked" in done.stderr) == (code != errno.ENOSYS)
