"""`genlab list runs`: the runs below outputs/, the newest first: date, state and findings, figure.

Read: `read_line` looks at a run's small files and at the end of its ledger alone, so that thousands
of runs cost little: what an earlier row said (a loss that is not in the last rows) is not found.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.metrics.figures import headlines, measured
from genlab.rows import parse
from genlab.runs.folder.layout import outputs, started
from genlab.runs.page.record import find_cells, signs_in
from genlab.runs.say.errors import UserError
from genlab.shown import cut, figure, number, one_line, spaced
from genlab.views.page import inside

MOST, ALIVE = 50, 120  # runs that are shown; seconds in which a run that runs writes a row
TAIL, SMALL = 2**16, 2**20  # bytes of a ledger's end; of evaluation.json and provenance.json


@dataclass
class RunLine:
    """What the list shows of a run."""

    name: str
    state: str
    figure: str
    date: str
    findings: list[str]  # the signs of failure that the doctor found


def print_runs() -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = sorted(find_cells(outputs()), key=started, reverse=True)
    if not found:
        raise UserError(f"there is no run under {outputs()}/ yet: start one with `genlab train`")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    for run in found[:MOST]:
        line = read_line(run)
        state = ", ".join([line.state, *map(spaced, line.findings)])
        shown = (line.date, state, line.figure, line.name)
        table.add_row(*(Text(cut(one_line(text), 200)) for text in shown))
    console = Console()
    console = console if console.is_terminal else Console(width=200)
    console.print(table)
    if len(found) > MOST:
        console.print(f"\n{len(found) - MOST:,} older ones are not shown", highlight=False)


def read_line(run: Path) -> RunLine:
    """A run's line, whatever its files hold; what they do not say is left empty."""
    rows = last_rows(run)
    evaluation, provenance = (_json(run, f"{n}.json") for n in ("evaluation", "provenance"))
    first = next(iter(headlines(measured(evaluation))), None)
    told = f"{spaced(first.name)} {figure(first.value)}" if first else ""
    losses = [v for row in rows if (v := number(row.get("val/loss"))) is not None]
    if not told and losses:
        told = f"validation loss {figure(losses[-1])}"
    date = str(provenance.get("time", ""))[:16]
    state = state_of(rows)
    state = "running" if state == "unfinished" and is_alive(run) else state
    return RunLine(str(run), state, told, date, signs_in(rows))


def is_alive(run: Path) -> bool:
    """Whether the ledger was written a short while ago."""
    try:
        return time.time() - (run / "metrics.jsonl").lstat().st_mtime < ALIVE
    except OSError:
        return False


def state_of(rows: list[dict[str, Any]]) -> str:
    """finished, pruned, failed, unfinished or not started."""
    state = "not started"
    for row in rows:
        if row["kind"] in ("train", "look"):
            state = "unfinished"
        elif row["kind"] == "end":
            state = str(row.get("state") or "finished")
        elif row["kind"] == "failed":
            state = "failed"
    return state


def last_rows(run: Path) -> list[dict[str, Any]]:
    """The whole rows in the last bytes of a run's ledger."""
    data = _read(run, "metrics.jsonl", TAIL, end=True)
    found = (parse(line) for line in data.split(b"\n") if line.strip())
    return [row for row in found if row is not None]


def _json(run: Path, name: str) -> dict[str, Any]:
    try:
        data = json.loads(_read(run, name, SMALL) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _read(run: Path, name: str, most: int, *, end: bool = False) -> bytes:
    """The first bytes of a run's file, or its last; none where a link leads out of the run."""
    if (path := inside(run, run / name)) is None:
        return b""
    try:
        with path.open("rb") as f:
            if end:
                f.seek(max(0, path.stat().st_size - most))
            return f.read(most)
    except OSError:
        return b""
