"""What a run folder says, read without trusting it: files may be missing, torn or foreign.

Read: `read_record` fills a `Record`, and never fails; what could not be read stands in
`Record.problems`. Shown by write.py; views/page.py reads samples.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from genlab.rows import LINE, LINES, NOT_VALUES, body
from genlab.shown import number
from genlab.views.page import SHOWN, TEXT_BYTES, inside

ORDER = list(SHOWN)  # which of two files with one name is shown
MARKS = ("metrics.jsonl", "provenance.json", "overrides.yaml", "evaluation.json")
# bytes of a ledger; lines that are no rows, after which the rest is left; names that are kept
READ, TORN, SERIES = 2**26, 10_000, 10_000
LONG, FEW, FINDINGS = 1_000, 8, 40  # letters of a finding's text, its remedies; findings of a run
SIGN, SIGNS = 60, 12  # letters of a sign's name; signs of a run that a table names


@dataclass
class Told:
    """A failure that the doctor found (callbacks/doctor.py), as the ledger has it."""

    cause: str
    evidence: str
    remedies: list[str]
    examples: int | None


@dataclass
class Record:
    """One run. `series[name]` is a sorted list of (examples seen, value), finite values alone."""

    path: Path
    name: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    config: str = ""
    overrides: list[str] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    looks: dict[int, Path] = field(default_factory=dict)
    examples: int | None = None
    seconds: float | None = None
    state: str = "not started"
    error: str = ""
    not_finite: int = 0
    problems: list[str] = field(default_factory=list)
    findings: list[Told] = field(default_factory=list)

    @property
    def budget(self) -> int | None:
        budget = self.settings.get("budget")
        value = number(budget.get("examples")) if isinstance(budget, dict) else None
        return int(value) if value is not None and math.isfinite(value) else None

    @property
    def date(self) -> str:
        if self.provenance.get("time"):
            return str(self.provenance["time"])
        began = number(self.provenance.get("started"))
        try:
            return time.strftime("%Y-%m-%d %H:%M", time.localtime(began)) if began else ""
        except (OverflowError, ValueError, OSError):
            return ""

    def last(self, name: str) -> float | None:
        return self.series[name][-1][1] if self.series.get(name) else None

    def best(self, name: str) -> tuple[float, float] | None:
        """The lowest value of a series as (value, examples seen then)."""
        return min(((y, x) for x, y in self.series.get(name, ())), default=None)


def is_run(path: Path) -> bool:
    return any((path / mark).is_file() for mark in (*MARKS, "config.yaml"))


def find_cells(sweep: Path) -> list[Path]:
    """Run folders below `sweep` (none within another one), 2 before 10."""
    found = []
    for folder, names, _ in os.walk(sweep):
        names[:] = [n for n in names if not n.startswith(".")]
        if Path(folder) != sweep and is_run(Path(folder)):
            found.append(Path(folder))
            names.clear()
    return sorted(found, key=lambda p: natural(str(p.relative_to(sweep))))


def natural(text: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+|[0-9]+", text)
    return [(0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p) for p in parts]


def read_record(run: Path) -> Record:
    """Everything a report shows of a run, except the pictures themselves."""
    record = Record(run, name=run.resolve().name)
    record.config = _text(record, "config.yaml")
    record.settings = _mapping(record, "config.yaml", _yaml(record.config))
    if isinstance(record.settings.get("name"), str) and record.settings["name"].strip():
        record.name = record.settings["name"]
    overrides = _yaml(_text(record, "overrides.yaml"))
    if isinstance(overrides, list):
        record.overrides = [str(o) for o in overrides]
    elif overrides is not None:
        record.problems.append("overrides.yaml holds no list")
    for name in ("provenance", "evaluation"):
        text = _text(record, f"{name}.json")
        setattr(record, name, _mapping(record, f"{name}.json", _json(text) if text else None))
    _read_ledger(record)
    record.looks = find_looks(run)
    return record


def find_looks(run: Path) -> dict[int, Path]:
    """The files of a run's looks by examples seen."""
    folder, looks = run / "samples", {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if re.fullmatch(r"[0-9]{12}", path.stem) and path.suffix in SHOWN:  # others: by hand
            there = looks.setdefault(int(path.stem), path)
            looks[int(path.stem)] = min(there, path, key=lambda p: ORDER.index(p.suffix))
    return looks


def state_after(row: dict[str, Any], state: str, error: str) -> tuple[str, str]:
    """A run's state and error after one more row of its ledger: what a resumed run says holds."""
    if (kind := row.get("kind")) in ("train", "look", "end"):
        state, error = "finished" if kind == "end" else "unfinished", ""
    if isinstance(row.get("state"), str):
        state = row["state"]
    for key in ("error", "exception"):
        if isinstance(row.get(key), str):
            state, error = "failed", row[key]
    return state, error


def told(row: dict[str, Any]) -> Told | None:
    """The finding that a row of the ledger holds, in texts that fit a page; None for other rows."""
    if row.get("kind") != "finding":
        return None
    cause, evidence = (str(row.get(key, ""))[:LONG] for key in ("cause", "evidence"))
    tries, examples = row.get("try"), number(row.get("examples"))
    remedies = [str(word)[:LONG] for word in tries[:FEW]] if isinstance(tries, list) else []
    counted = examples is not None and math.isfinite(examples)
    return Told(cause, evidence, remedies, int(examples) if counted else None)


def signs_in(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The doctor's signs that rows of a ledger name, each once: found there, or in rows before."""
    found: dict[str, None] = {}
    for row in rows:
        names = row.get("findings")
        names = names if isinstance(names, list) else []
        if row.get("kind") == "finding":
            names = [*names, row.get("sign")]
        found |= dict.fromkeys(name[:SIGN] for name in names[:FINDINGS] if isinstance(name, str))
    return list(found)[:SIGNS]


def _read_ledger(record: Record) -> None:
    path, torn = inside(record.path, record.path / "metrics.jsonl"), 0
    values: dict[str, dict[float, float]] = {}
    if path is None:
        record.problems.append("metrics.jsonl is missing: nothing was logged")
        return
    try:
        with path.open("rb") as file:
            torn = _read_rows(record, file, values)
    except OSError as error:
        record.problems.append(f"metrics.jsonl: {error.strerror}")
        return
    record.series = {name: sorted(points.items()) for name, points in values.items()}
    if torn:
        record.problems.append(f"metrics.jsonl: {torn} torn line{'s' if torn > 1 else ''} left out")
    if record.not_finite:
        record.problems.append(f"{record.not_finite} logged values are not finite and left out")


def _read_rows(record: Record, file: BinaryIO, values: dict[str, dict[float, float]]) -> int:
    """Note what the rows say; gives the number of lines that are no rows."""
    torn = num = 0
    while line := file.readline(LINE):
        num += 1
        if file.tell() > READ or num > LINES or torn > TORN:
            record.problems.append(f"metrics.jsonl: read to line {num:,}")
            break
        if not line.strip():
            continue
        row = _json(body(line))
        if not isinstance(row, dict):
            torn += 1
            continue
        examples = number(row.get("examples"))
        record.state, record.error = state_after(row, record.state, record.error)
        if (found := told(row)) is not None and len(record.findings) < FINDINGS:
            record.findings.append(found)
        if examples is None or not math.isfinite(examples):
            continue
        record.examples = max(int(examples), record.examples or 0)
        if (seconds := number(row.get("seconds"))) is not None and math.isfinite(seconds):
            record.seconds = max(seconds, record.seconds or 0.0)
        for name, value in row.items():
            value = None if name in NOT_VALUES else number(value)
            if name not in values and len(values) >= SERIES:
                continue
            if value is not None and math.isfinite(value):
                values.setdefault(name, {})[examples] = value  # a resumed run's later row counts
            elif value is not None:
                record.not_finite += 1
    return torn


def _text(record: Record, name: str) -> str:
    path = inside(record.path, record.path / name)
    if path is None:
        if name != "evaluation.json":  # of a run that is not measured yet: nothing is wrong
            record.problems.append(f"{name} is missing")
        return ""
    try:
        with path.open("rb") as f:
            text = f.read(TEXT_BYTES).decode("utf-8", "replace")
    except OSError as error:
        record.problems.append(f"{name}: {error.strerror}")
        return ""
    if not text.strip():
        record.problems.append(f"{name} is empty")
    return text


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return ...


def _yaml(text: str) -> Any:
    from genlab.runs.gate.files import parse
    from genlab.runs.say.errors import UserError

    try:
        return parse(text, "") if text else None
    except UserError:
        return ...


def _mapping(record: Record, name: str, data: Any) -> dict[str, Any]:
    if isinstance(data, dict):
        return data
    if data is not None:
        record.problems.append(f"{name} could not be read: it holds no mapping")
    return {}
