"""Inside Slurm: an array of cells, jobs that die, are requeued, lose a node; a run on two nodes.

`make slurm` starts a Slurm of two nodes on this machine (scripts/slurm_here.sh) and runs these.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from record import record
from running import losses
from test_runs import FAMILIES, parts

from genlab.rows import read_rows
from genlab.runs.sweeps.cells import read_cells

pytestmark = pytest.mark.slurm
RECIPE = [
    *FAMILIES["vae"], "trainer.threads=1", "trainer.precision=32-true", "logger=none",
    "evaluate=false", "data.batch_size=16", "budget.examples=8_000", "look_every=2_000",
    "save_every=1_000", "callbacks.look.num=4", "callbacks.ledger.log_every=1",
]  # fmt: skip
GENLAB = [sys.executable, "-m", "genlab.cli", "train"]
SWEEP = [*GENLAB, "-m", *RECIPE, "trainer=cpu", "seed=1,2"]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> None:
    if not os.environ.get("SLURM_CONF"):
        pytest.skip("no Slurm: make slurm starts one (SLURM_CONF)")
    control("update", "nodename=n1,n2", "state=resume")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sweep without Slurm."""
    sweep = tmp_path_factory.mktemp("plain")
    subprocess.run([*SWEEP, f"hydra.sweep.dir={sweep}"], check=True, capture_output=True)
    return sweep


def control(*words: str) -> None:
    subprocess.run(["scontrol", *words], check=False, capture_output=True)


def started(sweep: Path) -> subprocess.Popen:
    log = (sweep.parent / "log").open("ab")
    words = [*SWEEP, "hydra/launcher=slurm", f"hydra.sweep.dir={sweep}"]
    return subprocess.Popen(words, stdout=log, stderr=log)


def until(sweep: Path, cell: int, batches: int) -> None:
    """Until this cell's ledger has so many batches."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for ledger in sweep.glob(f"{cell}_*/metrics.jsonl"):
            if max((r.get("batches", 0) for r in read_rows(ledger)), default=0) >= batches:
                return
        time.sleep(0.05)
    raise AssertionError((sweep.parent / "log").read_text()[-2000:])


def jobs() -> dict[str, str]:
    """The jobs that run, and on which node."""
    done = subprocess.run(
        ["squeue", "--noheader", "--array", "--states=running", "--format=%i %N"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split() for line in done.stdout.splitlines())


def job_of(cell: int) -> str:
    """The running job of a cell: its number is the array's index."""
    return next(job for job in jobs() if job.endswith(f"_{cell}"))


def processes_of(sweep: Path, cell: int) -> list[int]:
    """The Python processes of a cell's job on this machine."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, env = ((entry / n).read_bytes() for n in ("cmdline", "environ"))
        except OSError:
            continue
        task = f"SLURM_ARRAY_TASK_ID={cell}\0".encode()
        if b"submitit.core._submit" in words and str(sweep).encode() in words and task in env:
            found.append(int(entry.name))
    assert found
    return found


def ended(job: subprocess.Popen, sweep: Path, timeout: float = 240) -> int:
    try:
        return job.wait(timeout)
    finally:
        job.kill()


def same(sweep: Path, plain: Path) -> None:
    cells = read_cells(sweep)
    assert [c.state for c in cells] == ["finished", "finished"]
    for mine, theirs in zip(cells, read_cells(plain)):
        assert parts(mine.folder) == parts(theirs.folder)


def test_an_array_of_cells_ends_as_without_slurm(plain: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    assert ended(started(sweep), sweep) == 0
    same(sweep, plain)
    assert "sacct" not in (tmp_path / "log").read_text(), "a terminal full of warnings"
    record("an array of Slurm jobs: cells as without Slurm, bitwise", 2, 2)


def test_a_job_that_dies_is_told_and_its_cell_run_again(plain: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    job = started(sweep)
    until(sweep, 0, 40)
    for process in processes_of(sweep, 0):  # as where the memory does not suffice
        os.kill(process, signal.SIGKILL)
    assert ended(job, sweep) == 1, "the sweep does not wait for ever"
    said = (tmp_path / "log").read_text()
    states = [c.state for c in read_cells(sweep)]
    assert states == ["failed", "finished"] and "ended without a result" in said, said[-2000:]
    assert ended(started(sweep), sweep) == 0
    same(sweep, plain)
    record("a Slurm job that dies: the sweep tells it, and the same command ends bitwise", 1, 1)


@pytest.mark.parametrize("how", ["requeue", "node"])
def test_what_slurm_takes_away_and_gives_back_goes_on_bit_for_bit(
    how: str, plain: Path, tmp_path: Path
) -> None:
    sweep = tmp_path / "s"
    job = started(sweep)
    until(sweep, 0, 120)
    array = job_of(0)
    node = jobs()[array]
    if how == "requeue":
        control("requeue", array)
    else:
        control("update", f"nodename={node}", "state=down", "reason=test")
    try:
        time.sleep(3)
        if how == "node":
            control("update", f"nodename={node}", "state=resume")
        code = ended(job, sweep)
    finally:
        control("update", "nodename=n1,n2", "state=resume")
    assert code == 0, (tmp_path / "log").read_text()[-2000:]
    same(sweep, plain)
    record(f"Slurm takes a job away ({how}) and starts it again: bitwise", 1, 1)


def test_a_run_on_two_nodes_is_one_on_two_processes(tmp_path: Path) -> None:
    words = [*RECIPE, "seed=3", "budget.examples=1_600"]
    script = tmp_path / "job.sh"
    train = " ".join(f"'{w}'" for w in [*GENLAB, *words, "trainer=slurm", "trainer.accelerator=cpu",
                                        "trainer.devices=1"])  # fmt: skip
    script.write_text(f"#!/bin/sh\nexport GENLAB_OUTPUTS={tmp_path}/out\nsrun {train}\n")
    done = subprocess.run(
        ["sbatch", "--wait", "--nodes=2", "--ntasks-per-node=1", f"--output={tmp_path}/job.log",
         str(script)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    log = (tmp_path / "job.log").read_text()
    assert done.returncode == 0, done.stderr + log
    (run,) = (tmp_path / "out").glob("*/slurm_*")
    local = tmp_path / "local"
    subprocess.run(
        [*GENLAB, *words, "trainer=ddp_cpu", f"hydra.run.dir={local}"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert losses(run) == losses(local) and parts(run) == parts(local)
    record("a run on two Slurm nodes is one on two processes, bitwise", 1, 1)
