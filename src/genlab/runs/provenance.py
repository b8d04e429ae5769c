"""Where a result comes from: command, code, versions, machine, data."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from genlab.runs.redact import redact

PACKAGES = [
    "genlab",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "numpy",
    "scikit-learn",
    "wandb",
]


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
    import torch

    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        machine["gpu"] = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return redact(
        {
            "command": shlex.join(["genlab", "train", *overrides]),
            "started": time.time(),
            "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "git": {
                "commit": _git("rev-parse", "HEAD"),
                "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
            },
            "versions": _versions(),
            "machine": machine,
            "python": sys.version.split()[0],
            **more,
        }
    )
