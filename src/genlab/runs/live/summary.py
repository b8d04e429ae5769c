"""What a table needs of one run, read cheaply: the ends of files, and no settings but a few.

Read: `Summary.read` reads a run's small files and the end of its ledger, `Summary.follow` what was
added since. A folder may be foreign: everything is bounded, and what is missing is left out.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from genlab.metrics.figures import headlines, measured
from genlab.rows import NOT_VALUES
from genlab.runs.folder.layout import read_json
from genlab.runs.gate.files import parse
from genlab.runs.live.follow import Follower
from genlab.runs.page.record import signs_in, state_after
from genlab.runs.say.errors import UserError
from genlab.runs.sweeps.cells import settings_of
from genlab.shown import number
from genlab.views.page import inside

FILES = ("metrics.jsonl", "evaluation.json", "provenance.json", "config.yaml", "overrides.yaml")
TAIL, SMALL = 6_144, 200_000  # bytes of a ledger's end, and of a small file
NAMES, LONG = 200, 300  # figures or settings of one run; letters of a text
REASON = 1000  # letters of why a run failed, as its ledger has it
RECENT = 40  # rows by which the pace is told
SILENT = 180.0  # seconds without a row after which a run no longer counts as running
PARTS = ("model", "objective", "data")  # whose classes make losses comparable
TARGET = re.compile(r"^  _target_: (\S+)$", re.M)


class Summary:
    """One run. `version` is the cursor's value when it changed last; `text` its JSON."""

    def __init__(self, root: Path, where: str) -> None:
        self.path, self.where = root / where, where
        self.key = blake2b(os.fsencode(where), digest_size=6).hexdigest()
        self.version, self.text = 0, ""
        self.stamps: tuple[Any, ...] = ()
        self.read_once = False
        self._clear()
        self._told()

    def _clear(self) -> None:
        self._follower = Follower(self.path, tail=TAIL)
        self.name, self.state, self.reason = self.path.name, "not started", ""
        self.settings: dict[str, str] = {}
        self.small: dict[str, Any] = {}  # what the small files say, as it is sent
        self.figures: dict[str, list[float | None]] = {}  # value, low, high, floor
        self._forget_rows()

    def _forget_rows(self) -> None:
        self.state, self.reason = "not started", ""
        self.last: dict[str, float] = {}
        self.findings: list[str] = []  # the signs of failure that the doctor found
        self.examples = self.seconds = None
        self.recent: list[tuple[float, float]] = []  # (examples, seconds) of the last rows
        self.written = 0.0  # when the ledger was

    # --- reading ------------------------------------------------------------------------------

    def changed(self) -> tuple[bool, bool]:
        """Whether anything changed since it was read, and whether more than the ledger did."""
        before, self.stamps = self.stamps, tuple(_stamp(self.path / name) for name in FILES)
        return before != self.stamps, before[1:] != self.stamps[1:]

    def update(self, now: float) -> bool:
        """Read what changed; whether what is shown is another now."""
        changed, small = self.changed()
        if small or not self.read_once:
            self.read()
        elif changed:
            self.follow()
        self.read_once = True
        self._running(now)
        return self._told()

    def read(self) -> None:
        self._clear()
        text = self.small_text("config.yaml")
        found = blocks(text, ("name", "seed", "budget", "logger"))
        if isinstance(found.get("name"), str) and found["name"].strip():
            self.name = found["name"]
        targets = {part: TARGET.search(block(text, part)) for part in PARTS}
        words = plain_yaml(self.small_text("overrides.yaml"))
        words = [str(w) for w in words[:NAMES]] if isinstance(words, list) else []
        self.settings = {k[:LONG]: v[:LONG] for k, v in settings_of(words).items()}
        proof = self.small_json("provenance.json")
        budget = found.get("budget")
        budget = budget if isinstance(budget, dict) else {}
        self.small = {
            "seed": found.get("seed") if isinstance(found.get("seed"), int) else None,
            "budget": finite(budget.get("examples")),
            "minutes": finite(budget.get("minutes")),
            "tags": tags(found.get("logger")),
            "date": str(proof.get("time", ""))[:19],
            "started": finite(proof.get("started")),
            "parameters": finite(proof.get("parameters")),
            "data": str(proof.get("data_fingerprint", ""))[:16],
            "family": " ".join(m[1][:80] if m else "?" for m in targets.values()),
        }
        evaluation = measured(self.small_json("evaluation.json"))
        ahead = {m.name for m in headlines(evaluation)}
        for m in sorted(evaluation, key=lambda m: m.name not in ahead)[:NAMES]:
            if m.value is not None and math.isfinite(m.value):
                ends = m.interval or (None, None)
                self.figures[m.name[:LONG]] = [m.value, *ends, finite(m.floor)]
        self.small["headlines"] = [m.name[:LONG] for m in headlines(evaluation)]
        self.follow()

    def follow(self) -> None:
        anew, rows = self._follower.news()
        if anew:
            self._forget_rows()
        self._take(rows)
        self.reason = self.reason or self._follower.problem
        self.written = _stamp(self.path / "metrics.jsonl")[0] / 1e9

    def _take(self, rows: Sequence[dict[str, Any]]) -> None:
        """What rows of the ledger say; a later one holds."""
        latest: dict[str, Any] = {}
        self.findings = signs_in([{"findings": self.findings}, *rows])
        for row in rows:
            self.state, self.reason = state_after(row, self.state, self.reason)
            examples, seconds = finite(row.get("examples")), finite(row.get("seconds"))
            if examples is None:
                continue
            latest |= row
            self.examples = max(examples, self.examples or 0)
            if seconds is not None:
                self.seconds = max(seconds, self.seconds or 0)
                self.recent.append((examples, seconds))
        del self.recent[:-RECENT]
        self.state, self.reason = self.state[:40], self.reason[:REASON]
        for name, value in latest.items():
            value = None if name in NOT_VALUES or name.startswith("evaluate/") else finite(value)
            if value is not None and (name in self.last or len(self.last) < NAMES):
                self.last[name[:LONG]] = value

    def _running(self, now: float) -> None:
        """Rows of late are a running run; one that is silent was interrupted, or hangs."""
        if self.state in ("unfinished", "running", "silent"):
            gaps = [b - a for (_, a), (_, b) in zip(self.recent, self.recent[1:]) if b > a]
            patience = max(SILENT, 5 * max(gaps, default=0.0))
            self.state = "running" if now - self.written < patience else "silent"

    def small_text(self, name: str) -> str:
        """The beginning of a small file of the run; empty where there is none."""
        path = inside(self.path, self.path / name)
        with contextlib.suppress(OSError):
            if path is not None:
                with path.open("rb") as f:
                    return f.read(SMALL).decode("utf-8", "replace")
        return ""

    def small_json(self, name: str) -> dict[str, Any]:
        path = inside(self.path, self.path / name)
        return read_json(path) if path is not None else {}

    # --- what is sent -------------------------------------------------------------------------

    @property
    def left(self) -> float | None:
        """Seconds until the budget is spent, at the pace of the last rows; of a running run."""
        if self.state != "running":
            return None
        budget, minutes = self.small.get("budget"), self.small.get("minutes")
        found = []
        if budget and self.examples is not None and len(self.recent) > 1:
            (x0, t0), (x1, t1) = self.recent[0], self.recent[-1]
            if x1 > x0 and t1 > t0:
                found.append((budget - self.examples) / ((x1 - x0) / (t1 - t0)))
        if minutes and self.seconds is not None:
            found.append(60 * minutes - self.seconds)
        return max(0.0, min(found)) if found else None

    @property
    def group(self) -> str:
        """The folder that it lies in, relative to the board's: a sweep's, or an experiment's."""
        return os.path.dirname(self.where)

    def _told(self) -> bool:
        """Write `text`; whether it is another than before."""
        data: dict[str, Any] = {
            "key": self.key, "name": self.name[:LONG], "where": self.where[:LONG],
            "group": self.group[:LONG], "state": self.state if self.read_once else "",
        }  # fmt: skip
        if self.read_once:
            left = None if self.left is None else round(self.left, 1)
            data |= {
                "reason": self.reason, "settings": self.settings, "figures": self.figures,
                "last": self.last, "examples": self.examples, "seconds": self.seconds,
                "left": left, "findings": self.findings, **self.small,
            }  # fmt: skip
        text = json.dumps(data)
        changed, self.text = text != self.text, text
        return changed


def blocks(text: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """A few top-level entries of a YAML mapping, without parsing the rest of it."""
    found = plain_yaml("".join(block(text, key) for key in keys))
    return found if isinstance(found, dict) else {}


def block(text: str, key: str) -> str:
    """The lines of one top-level entry, as genlab writes them; empty where it is not there."""
    found = re.search(rf"^{key}:.*\n(?:[ -].*\n)*", text, re.M)
    return found[0] if found else ""


def tags(logger: Any) -> list[str]:
    """The tags that a logger was given."""
    nodes = logger.values() if isinstance(logger, dict) else ()
    found = [n.get("tags") for n in nodes if isinstance(n, dict)]
    return [str(t)[:40] for tags in found if isinstance(tags, list) for t in tags[:12]]


def finite(value: Any) -> float | None:
    value = number(value)
    return value if value is not None and math.isfinite(value) else None


def plain_yaml(text: str) -> Any:
    """YAML as plain data through the gate; None where it is none."""
    try:
        return parse(text, "") if text else None
    except UserError:
        return None


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino


def newest_first(where: str) -> tuple[str, str]:
    """What folders are ordered by before anything in them is read: the date in their names."""
    dates = re.findall(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", where)
    return (dates[-1] if dates else "", where)
