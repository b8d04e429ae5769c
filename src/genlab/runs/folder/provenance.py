"""Where a result comes from: command, code, versions, machine, data."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from genlab.runs.say.secrets import redact

PACKAGES = ["genlab", "torch", "pytorch-lightning", "hydra-core", "omegaconf", "numpy",
            "scikit-learn", "wandb"]  # fmt: skip


def _git(*args: str) -> str:
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *args], capture_output=True, text=True, timeout=5, check=True
        )
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def provenance(overrides: list[str], **more: Any) -> dict[str, Any]:
    """Plain data for provenance.json; `more` adds what the run knows (parameters, fingerprint)."""
    return redact(
        {
            "command": _command(overrides),
            "started": time.time(),
            "time": _now(),
            **_surroundings(),
            **more,
        }
    )


def with_resume(before: dict[str, Any], overrides: list[str], run: Path, examples: int) -> dict:
    """`before` with the command that resumes the run, and what has changed since.

    `overrides` are all that the run was ever given; those in no earlier command are new.
    """
    resumed = before.get("resumed")  # of any type where the folder is foreign
    earlier = [e for e in resumed if isinstance(e, dict)] if isinstance(resumed, list) else []
    new = overrides[sum(len(given(e)) for e in [before, *earlier]) :]
    known: dict[str, Any] = {}
    for entry in [before, *earlier]:
        known |= entry
    changed = {k: v for k, v in redact(_surroundings()).items() if known.get(k) != v}
    entry = {"command": _command([f"resume={run}", *new]), "time": _now(), "examples": examples}
    return before | {"resumed": [*earlier, redact(entry | changed)]}


def command_again(provenance: dict[str, Any]) -> str | None:
    """One command with all that a run was given: what a resume changed stands in its place."""
    command, resumed = provenance.get("command"), provenance.get("resumed")
    if not isinstance(command, str):
        return None
    earlier = [e for e in resumed if isinstance(e, dict)] if isinstance(resumed, list) else []
    later = {w.partition("=")[0]: w for e in earlier for w in given(e)}
    if not later:
        return command
    kept = [w for w in shlex.split(command) if w.partition("=")[0].lstrip("+") not in later]
    return shlex.join([*kept, *later.values()])


def given(entry: dict[str, Any]) -> list[str]:
    """The overrides of an entry's command, without its `resume=`."""
    try:
        words = shlex.split(str(entry.get("command", "")))[2:]
    except ValueError:  # foreign, or torn
        return []
    words = words[2:] if words[:1] == ["--config-dir"] else words
    return [w for w in words if not w.startswith("resume=")]


def _command(overrides: list[str]) -> str:
    own = os.environ.get("GENLAB_CONFIG_DIR")  # of this command, set by it
    return shlex.join(["genlab", "train", *(["--config-dir", own] if own else []), *overrides])


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")


def _surroundings() -> dict[str, Any]:
    """Code, versions and machine."""
    import torch

    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        machine["gpu"] = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    git = {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }
    return {"git": git, "versions": _versions(), "machine": machine}
