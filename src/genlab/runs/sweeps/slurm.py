"""A sweep's cells as jobs of Slurm: submitit's launcher, for clusters with or without accounting.

    genlab train -m seed=1,2,3 hydra/launcher=slurm hydra.launcher.partition=gpu

Where accounting is off, `sacct` knows no job, and submitit would wait for ever for one that died:
the queue is asked instead, and what it no longer knows is over. A cell whose job died without a
word is failed, with the reason; the others go on.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

from genlab.runs.sweeps.cells import note_failure, read_cells


class Lost(JobReturn):
    """What a job gives back that ended without a result."""

    def __init__(self, reason: str) -> None:
        super().__init__(status=JobStatus.COMPLETED, _return_value=1)
        self.reason = reason


class Slurm(SlurmLauncher):
    """As submitit's, but that a job which dies does not end, or hold up, the sweep."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        with patient():
            results = super().launch(job_overrides, initial_job_idx)
        assert self.config is not None
        cells = {cell.number: cell for cell in read_cells(Path(str(self.config.hydra.sweep.dir)))}
        for words, result in zip(job_overrides, results):
            found = re.search(r"hydra\.sweep\.subdir='(\d+)", " ".join(words))
            cell = cells.get(int(found[1])) if found else None
            if isinstance(result, Lost) and cell and cell.state not in ("finished", "failed"):
                own = [w for w in words if not w.startswith("hydra.")]
                note_failure(cell.folder, own, result.reason)
        return results


@contextmanager
def patient() -> Iterator[None]:
    """Within: jobs of submitit are asked for in the queue, and one that died is lost."""
    from submitit.core.utils import FailedJobError, UncompletedJobError
    from submitit.slurm import slurm

    class Queue(slurm.SlurmInfoWatcher):
        """Jobs by squeue: those that wait or run; another one is over."""

        def _make_command(self) -> list[str] | None:
            if not self._registered - self._finished:
                return None
            return ["squeue", "--me", "--noheader", "--array", "--format=%i|%T|%N"]

        def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
            text = string if isinstance(string, str) else string.decode()
            found = {job: {"JobID": job, "State": "OVER"} for job in self._registered}
            for line in text.splitlines():
                job, state, nodes = line.strip().split("|")
                found[job] = {"JobID": job, "State": state, "NodeList": nodes}
            return found

    class Job(slurm.SlurmJob):
        watcher = Queue(delay_s=15) if not accounted() else slurm.SlurmJob.watcher

        def results(self) -> list[Any]:
            try:
                return super().results()
            except (UncompletedJobError, FailedJobError) as error:
                last = (str(error).strip().splitlines() or ["it said nothing"])[-1]
                said = f"Slurm's job {self.job_id} ended without a result: {last[:300]}"
                return [Lost(said)]

    before = slurm.SlurmJob
    slurm.SlurmJob = slurm.SlurmExecutor.job_class = Job  # the first for arrays
    try:
        yield
    finally:
        slurm.SlurmJob = slurm.SlurmExecutor.job_class = before


def accounted() -> bool:
    """Whether this cluster keeps accounts, by which `sacct` knows what became of a job."""
    try:
        asked = subprocess.run(["sacct", "--noheader", "-X"], capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return asked.returncode == 0 and b"disabled" not in asked.stderr
