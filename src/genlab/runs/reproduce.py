"""`genlab reproduce ROW ...`: train and measure as a paper did; did its number come out?

Read: `reproduce`, one row: a sweep over seeds in outputs/papers/ROW, which goes on where it was
stopped, then the paper's own measure of each cell. papers/ holds rows, verdicts and the table.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from genlab.runs.folder.layout import outputs, read_json
from genlab.runs.papers import table
from genlab.runs.papers.row import FAST, Claim, Row, names, read_row
from genlab.runs.papers.verdict import Obtained, obtained, record_of
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.say.terminal import say
from genlab.runs.settings.conf import conf_dir
from genlab.runs.settings.mistakes import read
from genlab.runs.sweeps.cells import Cell, read_cells, settings_of
from genlab.shown import number

SETS = {"all": lambda row: True, "fast": lambda row: row.fast}


def reproduce_command(words: list[str]) -> None:
    rows, asked = parse(words)
    to = Path(asked["to"]) if asked["to"] else outputs() / "papers"
    if not rows:
        print_rows(table.read(to))
        return
    if to.exists() and not to.is_dir():
        raise UserError(f"to={to}: it is a file; name a folder")
    known = {name: read_row(name) for name in names()}
    failed = False
    for row in rows:
        record = reproduce(row, asked["seeds"] or row.seeds)
        path = table.write(to, {row.name: record}, known)
        failed |= record["verdict"].startswith("failed")
        got = ", ".join(_told(c, record["obtained"].get(c.figure)) for c in row.claims)
        say(f"genlab: {row.name}: {got}: {record['verdict']}")
    say(f"  table    {path}\n  numbers  {path.with_suffix('.json')}")
    if failed:
        raise SystemExit(1)


def _told(claim: Claim, got: dict[str, Any] | None) -> str:
    came = "nothing came out" if got is None else f"{claim.written(got['mean'])} came out"
    return f"{claim.figure} {claim.text} was claimed, {came}"


def parse(words: Sequence[str]) -> tuple[list[Row], dict[str, Any]]:
    """The rows that are asked for, and the command's own settings."""
    settings = yaml.safe_load((conf_dir() / "reproduce.yaml").read_text())
    rows: list[Row] = []
    for word in words:
        key, equals, text = word.partition("=")
        if equals and key not in settings:
            raise UserError(f"{word}: `genlab reproduce` has no {key!r}{nearest(key, settings)}")
        if equals:
            settings[key] = text
        elif word in SETS:
            rows += [row for row in map(read_row, names()) if SETS[word](row)]
        else:
            rows.append(read_row(word))
    if settings["seeds"] is not None:
        if not settings["seeds"].isdecimal() or not 1 <= int(settings["seeds"]) <= 1000:
            raise UserError(f"seeds={settings['seeds']}: it must be a whole number from 1 on")
        settings["seeds"] = int(settings["seeds"])
    return list({row.name: row for row in rows}.values()), settings


def reproduce(row: Row, seeds: int) -> dict[str, Any]:
    """Train what is missing of a row, measure it, and give its record."""
    from genlab.machine import surroundings

    sweep = outputs() / "papers" / row.name
    say(f"genlab: {row.name}: {row.title}\n  claimed  {row.paper}; {row.place}")
    recipe = [*row.train, "evaluate=false"]
    words = [f"seed={','.join(map(str, range(seeds)))}", *recipe]
    line = [sys.executable, "-m", "genlab.cli", "train", "-m", *words, f"hydra.sweep.dir={sweep}"]
    run_whole(line)  # what it leaves is read below
    asked = [settings_of(as_hydra_writes([*recipe, f"seed={seed}"])) for seed in range(seeds)]
    # a row that was stated otherwise before has left cells of other settings
    cells = [c for c in read_cells(sweep) if c.state == "finished" and c.settings in asked]
    spent = 0.0
    for cell in cells:
        spent += cell.figures.get("seconds", 0.0) + measured(cell, row)
    found = {
        claim.figure: got
        for claim in row.claims
        if (got := values_of([c.folder for c in cells], claim.figure)) is not None
    }
    around = surroundings()
    where = {
        "machine": {k: around["machine"][k] for k in ("system", "cpu", "cores", "threads")},
        "versions": around["versions"],
        "commit": around["git"]["commit"],
        "dirty": around["git"]["dirty"],
        "date": time.strftime("%Y-%m-%d"),
    }
    return record_of(row, found, seeds=len(cells), minutes=spent / 60, where=where)


def as_hydra_writes(words: Sequence[str]) -> list[str]:
    """Overrides as a sweep leaves them in a cell's folder: false is False, 5_000 is 5000."""
    return [f"{o.get_key_element()}={o.get_value_element_as_str()}" for o in map(read, words)]


def run_whole(line: Sequence[str]) -> int:
    """Run a command, and give its exit code.

    A signal that ends this one is handed to it once, and its saving waited for. In a session of its
    own: a terminal's Ctrl-C reaches it from here alone.
    """
    child = subprocess.Popen(line, start_new_session=True)
    try:
        child.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        child.wait()
        raise
    if child.returncode == 128 + signal.SIGTERM:
        raise SystemExit(child.returncode)
    return child.returncode


def measured(cell: Cell, row: Row) -> float:
    """Measure a cell by the paper's protocol, unless it was; the seconds that it took."""
    from genlab.runs.evaluate import evaluate_asked

    if row.evaluate and not (cell.folder / "evaluation.json").is_file():
        evaluate_asked([f"run={cell.folder}", *row.evaluate, f"seed={cell.settings['seed']}"])
    return number(read_json(cell.folder / "evaluation.json").get("seconds")) or 0.0


def values_of(folders: Sequence[Path], name: str) -> Obtained | None:
    """A figure of each run: of its evaluation, or the lowest of its ledger's looks."""
    found, own = [], None
    for folder in folders:
        evaluation = read_json(folder / "evaluation.json")
        value = number((evaluation.get("metrics") or {}).get(name))
        own = (evaluation.get("interval") or {}).get(name)
        if value is None:
            from genlab.rows import read_rows

            looks = [number(r.get(name)) for r in read_rows(folder / "metrics.jsonl")]
            value = min((v for v in looks if v is not None), default=None)
        if value is None:
            return None
        found.append(value)
    return obtained(found, tuple(own) if own else None, name) if found else None


def print_rows(records: dict[str, Any]) -> None:
    """The rows, their claims, how long they take, and what came out where they were run."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("row", "family, data", "claimed", "minutes", "what came out"):
        shown.add_column(head, no_wrap=head == "row")
    for row in map(read_row, names()):
        claimed = "; ".join(f"{c.figure} {c.text}" for c in row.claims)
        record = records.get(row.name, {})
        minutes = row.minutes if row.minutes is not None else record.get("minutes")
        minutes = "?" if minutes is None else f"{minutes:g}"
        got = [(c, record.get("obtained", {}).get(c.figure)) for c in row.claims]
        means = "; ".join(c.written(o["mean"]) for c, o in got if o)
        came = ": ".join(text for text in (means, record.get("verdict", "")) if text)
        cells = (row.name, f"{row.family}, {row.kind}", claimed, minutes, came)
        shown.add_row(*(Text(str(c)) for c in cells))
    Console(width=None if sys.stdout.isatty() else 140).print(shown)
    print(
        f"\ngenlab reproduce ROW ... | fast (at most {FAST} minutes each) | all; seeds=1 for fewer"
    )
