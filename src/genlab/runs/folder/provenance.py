"""Where a result comes from: command, code, versions, machine, data."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Any

from genlab.machine import surroundings
from genlab.runs.say.secrets import redact

COMMAND = 20_000  # characters of a command that are read: shlex takes their square


def provenance(overrides: list[str], **more: Any) -> dict[str, Any]:
    """Plain data for provenance.json; `more` adds what the run knows (parameters, fingerprint)."""
    return redact(
        {
            "command": _command(overrides),
            "started": time.time(),
            "time": _now(),
            **surroundings(),
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
    changed = {k: v for k, v in redact(surroundings()).items() if known.get(k) != v}
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
    try:
        words = shlex.split(command[:COMMAND])
    except ValueError:  # foreign, or torn
        return None
    kept = [w for w in words if w.partition("=")[0].lstrip("+") not in later]
    return shlex.join([*kept, *later.values()])


def given(entry: dict[str, Any]) -> list[str]:
    """The overrides of an entry's command, without its `resume=`."""
    try:
        words = shlex.split(str(entry.get("command", ""))[:COMMAND])[2:]
    except ValueError:  # foreign, or torn
        return []
    words = words[2:] if words[:1] == ["--config-dir"] else words
    return [w for w in words if not w.startswith("resume=")]


def _command(overrides: list[str]) -> str:
    own = os.environ.get("GENLAB_CONFIG_DIR")  # of this command, set by it
    return shlex.join(["genlab", "train", *(["--config-dir", own] if own else []), *overrides])


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")
