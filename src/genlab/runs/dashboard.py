"""Weights & Biases, made harmless: offline unless asked, never waited for, never fatal."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

PATIENCE = 3.0  # seconds to wait for the server before going on offline


def prepare_wandb(node: dict[str, Any], run: Path) -> dict[str, Any] | None:
    """Logger settings that cannot hang: online only if the server answers; None: leave out."""
    if importlib.util.find_spec("wandb") is None:
        print(
            "genlab: wandb is not installed: metrics.jsonl and report.html alone", file=sys.stderr
        )
        return None
    mode = os.environ.get("WANDB_MODE") if node["mode"] == "offline" else node["mode"]
    # the logger itself leaves the old word in the environment, which the next cell of a sweep reads
    mode = {None: "offline", "dryrun": "offline", "run": "online"}.get(mode, mode)
    if mode not in ("offline", "online", "disabled"):
        raise ValueError(f"logger.wandb.mode={mode!r}: allowed are offline, online, disabled")
    if mode == "disabled":
        return None
    if mode == "online" and (problem := _unreachable()):
        print(
            f"genlab: wandb goes on offline ({problem}); `wandb sync` sends it later",
            file=sys.stderr,
        )
        mode = "offline"
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_CONSOLE", "off")
    os.environ.setdefault("WANDB_INIT_TIMEOUT", "5")
    return {**node, "mode": mode, "save_dir": str(run), "offline": mode == "offline"}


def _unreachable() -> str | None:
    url = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    if not os.environ.get("WANDB_API_KEY") and not (Path.home() / ".netrc").exists():
        return "no key: set WANDB_API_KEY or run `wandb login`"
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
        socket.create_connection((url.hostname or "", port), timeout=PATIENCE).close()
    except OSError as error:
        return f"{url.hostname} does not answer: {error}"
    return None
