"""The table at the end of a run: the figures, and where to look."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from genlab.runs.say.shown import plain, visible
from genlab.runs.say.terminal import say


def print_summary(run: Path, report: Path | None, trust: Sequence[str] = ()) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from genlab.rows import read_rows

    console = Console(stderr=True, width=None if sys.stderr.isatty() else 110)
    rows = read_rows(run / "metrics.jsonl")
    table = Table(box=None, show_header=True, padding=(0, 2))
    for heading in ("", "value", "real held-out data"):
        table.add_column(heading, justify="left" if not heading else "right")
    last = {k: v for r in rows for k, v in r.items()}
    if rows:
        table.add_row("examples seen", f"{last['examples']:,}", "")
    for key in ("train/loss", "val/loss"):
        if key in last:
            table.add_row(key, f"{last[key]:.4f}", "")
    path = run / "evaluation.json"
    if path.is_file():
        found = json.loads(path.read_text())
        for name, value in found["metrics"].items():
            floor = found["floor"].get(name)
            table.add_row(
                Text(visible(plain(name))), f"{value:.4g}", "" if floor is None else f"{floor:.4g}"
            )
    console.print(table)
    looks = sorted((run / "samples").glob("[0-9]*.*")) if (run / "samples").is_dir() else []
    places = {
        "report": report,
        "samples": looks[-1] if looks else None,
        "weights": run / "checkpoints",
    }
    for name, place in places.items():
        if place is not None and place.exists():
            say(f"  {name:8} {place}")
    if any((run / "checkpoints").glob("*.ckpt")):
        say(f"  {'again':8} {again('sample', run, trust)}")
    else:
        say("  no weights were kept: callbacks.checkpoint is null")


def again(command: str, run: Path, trust: Sequence[str] = ()) -> str:
    """A command on a run, as a shell takes it: blanks quoted, trust repeated, its folder named."""
    from genlab.runs.gate.classes import folder_of

    words = ["genlab", command, f"run={run}"]
    words += [f"trust=[{','.join(trust)}]"] if trust else []
    places = {folder for package in trust if (folder := folder_of(package))} - {os.getcwd()}
    path = f"PYTHONPATH={shlex.quote(os.pathsep.join(sorted(places)))} " if places else ""
    return path + shlex.join(words)
