"""Processes that srun or torchrun started: which of them this is, and the run folder they share.

The first writes the folder; the others wait until it has said how the run starts, then train in it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from genlab.runs.folder.layout import read_json, write_json
from genlab.runs.gate.files import folder_name
from genlab.runs.say.errors import UserError

PATIENCE = 120.0  # seconds that the others wait for the first


def started_outside() -> bool:
    """Whether a launcher of several processes started this one."""
    return "TORCHELASTIC_RUN_ID" in os.environ or int(os.environ.get("SLURM_NTASKS", 1)) > 1


def rank_here() -> int:
    """This process's number among all of the run."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["RANK"])
    if started_outside():
        return int(os.environ.get("SLURM_PROCID", 0))
    return int(os.environ.get("LOCAL_RANK", 0))  # one of genlab's own


def shared_name() -> str | None:
    """The run folder's name, the same in all processes of one start and in a queue's restart."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        name = env["TORCHELASTIC_RUN_ID"]
        if name == "none":  # it was given none: torchrun itself is this process's parent
            name = f"{env.get('MASTER_PORT', 0)}_{os.getppid()}"
        return folder_name(f"torchrun_{name}")
    if started_outside():
        return folder_name(f"slurm_{env.get('SLURM_JOB_ID', 0)}_{env.get('SLURM_STEP_ID', 0)}")
    return None


def _this_start() -> list[str | None]:
    again = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    return [shared_name(), *(os.environ.get(name, "0") for name in again)]


def announce(run: Path, *, resume: bool) -> None:
    """The first process: say that the folder is written, and whether the run resumes."""
    if started_outside():
        write_json(run / ".start", {"start": _this_start(), "resume": resume})


def follow(run: Path, patience: float = PATIENCE) -> bool:
    """The others: wait for `announce`; whether the run resumes."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        said = read_json(run / ".start")
        if said.get("start") == _this_start():
            return bool(said.get("resume"))
        time.sleep(0.1)
    raise UserError(
        f"{run}: the first process of the run has not begun it within {patience:.0f} s; its own"
        " message says why. All processes must see the same folder ($GENLAB_OUTPUTS)"
    )
