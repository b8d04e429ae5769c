"""What it runs on: the processor, its memory, the code's commit, the libraries' versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ["genlab", "torch", "pytorch-lightning", "hydra-core", "omegaconf", "numpy",
            "scikit-learn", "wandb"]  # fmt: skip


def memory() -> float:
    """Bytes of memory that this machine, or the container it runs in, has; inf where unknown."""
    there = _pages("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # "max" is no number
        there = min(there, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return there


def free_memory() -> float:
    """Bytes of memory that nobody uses now; inf where unknown."""
    return _pages("SC_AVPHYS_PAGES")


def _pages(name: str) -> float:
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return float("inf")


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def surroundings() -> dict[str, Any]:
    """Code, versions and machine, as plain data."""
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
    return {"git": git, "versions": versions(), "machine": machine}


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _git(*args: str) -> str:
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *args], capture_output=True, text=True, timeout=5, check=True
        )
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
