"""The table at the end of a run: the figures, where to look, what to type next."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from genlab.runs.folder.layout import read_json
from genlab.runs.folder.provenance import command_again
from genlab.runs.say.terminal import say
from genlab.shown import duration, figure, one_line

FINDINGS = 8  # of the doctor's that are repeated at the end


def print_summary(run: Path, report: Path | None, trust: Sequence[str] = ()) -> None:
    """To stderr, in the terminal's width (100 columns where it is none)."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from genlab.metrics.figures import measured
    from genlab.rows import read_rows

    rows, provenance, evaluation = (
        read_rows(run / "metrics.jsonl"), read_json(run / "provenance.json"),
        read_json(run / "evaluation.json"),
    )  # fmt: skip
    last = {k: v for r in rows for k, v in r.items()}
    # of weights that have learnt on since, they would stand under another number of examples
    ours = evaluation.get("examples") == last.get("examples")
    found = measured(evaluation) if ours else []
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 100, highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("")
    bounds = any(m.interval for m in found)
    for heading in ("value", *(["95 % interval"] if bounds else []), "real data"):
        table.add_column(heading, justify="right")

    def add(name: str, value: str, between: str = "", floor: str = "") -> None:
        cells = [name, value, *([between] if bounds else []), floor]
        table.add_row(*(Text(one_line(c)) for c in cells))

    if "examples" in last:
        add("examples seen", f"{last['examples']:,}")
        add("time", duration(last.get("seconds")))
    for key in ("train/loss", "val/loss"):
        if key in last:
            add(key, figure(last[key]))
    for m in found:
        add(m.title, figure(m.value), m.between, "" if m.floor is None else figure(m.floor))
    console.print(table)
    for row in [row for row in rows if row["kind"] == "finding"][:FINDINGS]:
        say(f"  found    {one_line(row.get('cause'))}: {one_line(row.get('evidence'))}")
    for name, text in (
        *places(run, report).items(),
        *commands(run, provenance, found, trust).items(),
    ):
        say(f"  {name:8} {text}")


def places(run: Path, report: Path | None) -> dict[str, str]:
    """Where the run's files are, those that are there."""
    drawn = [*(run / "evaluation").glob("samples.*"), *sorted((run / "samples").glob("0*"))[::-1]]
    drawn.sort(key=lambda path: path.suffix != ".png")  # what lies beside a picture comes after
    there = {
        "report": report,
        "samples": next(iter(drawn), None),
        "weights": run / "checkpoints" if any((run / "checkpoints").glob("*.ckpt")) else None,
    }
    found = {name: str(place) for name, place in there.items() if place and place.exists()}
    return found if "weights" in found else {**found, "weights": "none: callbacks.checkpoint=null"}


def commands(run: Path, provenance: dict, found: list, trust: Sequence[str] = ()) -> dict[str, str]:
    """What can be typed next: draw more, measure, run it again."""
    shown = {}
    if any((run / "checkpoints").glob("*.ckpt")):
        shown["draw"] = again("sample", run, trust)
        if not found:
            shown["measure"] = again("evaluate", run, trust)
    command = command_again(provenance) or ""
    if command.split()[:2] == ["genlab", "train"] and one_line(command) == command:  # not foreign
        shown["again"] = command
    return shown


def again(command: str, run: Path, trust: Sequence[str] = ()) -> str:
    """A command on a run, as a shell takes it: blanks quoted, trust repeated, its folder named."""
    from genlab.runs.gate.classes import folder_of

    words = ["genlab", command, f"run={run}"]
    words += [f"trust=[{','.join(trust)}]"] if trust else []
    places = {folder for package in trust if (folder := folder_of(package))}
    places -= {os.getcwd()} if places else set()  # it may be gone
    path = f"PYTHONPATH={shlex.quote(os.pathsep.join(sorted(places)))} " if places else ""
    return path + shlex.join(words)
