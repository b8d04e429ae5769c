"""Curves of chosen runs: thinned, over examples, seconds, FLOPs or energy, seeds as a band.

Read: `curves` is what the page asks for. Ledgers are read when a curve of theirs is asked for, and
from then on only what was added; a line that grows long is halved, so memory stays bounded.
"""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.metrics.seeds import t_interval
from genlab.rows import NOT_VALUES
from genlab.runs.live.follow import Follower
from genlab.runs.live.summary import LONG, Summary, finite
from genlab.runs.page.sweep import differences
from genlab.runs.sweeps.cells import SEED, seeds_together
from genlab.shown import cut
from genlab.views.curves import thin

POINTS, NAMES = 4_000, 300  # kept of a line, at most twice that; lines of a run
RUNS = 48  # whose ledgers are kept in memory, and that are drawn at once
GRID = 160  # places of a band
FIRST = ("val/loss", "train/loss")  # what is drawn where nothing is asked for
ENERGY = ("energy", "joule")  # of a logged figure that counts energy
Points = list[tuple[float, float]]


class Line:
    """One figure of one run: (examples, seconds, value); of many rows, several in one."""

    def __init__(self) -> None:
        self.columns = (array("d"), array("d"), array("d"))
        self.every, self._sums, self._num = 1, [0.0, 0.0, 0.0], 0

    def add(self, examples: float, seconds: float, value: float) -> None:
        xs = self.columns[0]
        while xs and xs[-1] >= examples:  # of a resumed run, what it says later holds
            for column in self.columns:
                column.pop()
            self._sums, self._num = [0.0, 0.0, 0.0], 0
        self._sums = [a + b for a, b in zip(self._sums, (examples, seconds, value))]
        self._num += 1
        if self._num == self.every:
            for column, total in zip(self.columns, self._sums):
                column.append(total / self.every)
            self._sums, self._num = [0.0, 0.0, 0.0], 0
            if len(xs) >= 2 * POINTS:
                self._halve()

    def _halve(self) -> None:
        self.every *= 2
        for column in self.columns:
            column[:] = array("d", [(a + b) / 2 for a, b in zip(column[::2], column[1::2])])


class Ledger:
    """All figures of one run's ledger, as far as it was read."""

    def __init__(self, run: Path) -> None:
        self._follower, self._lock = Follower(run), threading.Lock()
        self.lines: dict[str, Line] = {}

    def read(self) -> dict[str, Line]:
        with self._lock:
            while True:
                anew, rows = self._follower.news()
                if anew:
                    self.lines = {}
                for row in rows:
                    self._take(row)
                if not rows:
                    return self.lines

    def _take(self, row: dict[str, Any]) -> None:
        examples, seconds = finite(row.get("examples")), finite(row.get("seconds"))
        if examples is None:
            return
        for name, value in row.items():
            value = None if name in NOT_VALUES or name.startswith("evaluate/") else finite(value)
            if value is None or (name not in self.lines and len(self.lines) >= NAMES):
                continue
            seconds = math.nan if seconds is None else seconds
            self.lines.setdefault(name[:LONG], Line()).add(examples, seconds, value)


class Ledgers:
    """The ledgers that were asked for last."""

    def __init__(self) -> None:
        self._kept: dict[str, Ledger] = {}
        self._costs: dict[str, float | None] = {}
        self._lock = threading.Lock()

    def lines(self, run: Summary) -> dict[str, Line]:
        with self._lock:
            ledger = self._kept.pop(run.where, None) or Ledger(run.path)
            self._kept[run.where] = ledger
            while len(self._kept) > RUNS:
                del self._kept[next(iter(self._kept))]
        return ledger.read()

    def count(self, runs: Sequence[Summary]) -> None:
        """Count the FLOPs of runs whose count is not known yet, all in one other process."""
        if new := [run for run in runs if run.where not in self._costs]:
            self._costs |= zip((run.where for run in new), count_flops([r.path for r in new]))

    def points(self, run: Summary, name: str, over: str) -> Points:
        """(x, value) in the order of x; empty where the run has no such figure, or no such x."""
        found = self.lines(run)
        if name not in found:
            return []
        examples, seconds, values = found[name].columns
        places: Sequence[float] = {"examples": examples, "seconds": seconds}.get(over, ())
        if over == "flops" and (cost := self._costs.get(run.where)) is not None:
            places = [x * cost for x in examples]
        elif over in found:  # any figure that is logged and grows, as energy does
            clock = list(zip(found[over].columns[0], found[over].columns[2]))
            places = [between(clock, x) for x in examples]
        return sorted((x, y) for x, y in zip(places, values) if not math.isnan(x))


def between(clock: Points, at: float) -> float:
    from genlab.runs.compare import value_at

    found = value_at(clock, at)
    return math.nan if found is None else found


def curves(
    ledgers: Ledgers, runs: Sequence[Summary], names: Sequence[str], over: str, *, band: bool
) -> dict[str, Any]:
    """Lines of each run, or where runs differ in their seed alone their mean and interval."""
    runs = runs[:RUNS]
    if over == "flops":
        ledgers.count(runs)
    every = list(dict.fromkeys(n for run in runs for n in ledgers.lines(run)))
    names = [n for n in names if n in every] or [n for n in FIRST if n in every] or every[:1]
    labels = label(runs)
    groups = seeds_together([run.settings for run in runs]) if band else []
    charts = []
    for name in names[:12]:
        lines = []
        for i, run in enumerate(runs):
            grouped = any(i in group for group in groups)
            points = ledgers.points(run, name, over)
            if points and not grouped:
                lines.append({"key": run.key, "label": labels[i], "points": rounded(thin(points))})
        for group in groups:
            found = [ledgers.points(runs[i], name, over) for i in group]
            if points := mean_of([p for p in found if p], name):
                first = label(runs, without=SEED)[group[0]] or runs[group[0]].name
                text = f"{first} · {len(group)} seeds"
                keys = [runs[i].key for i in group]
                lines.append({"key": keys[0], "keys": keys, "label": text, "band": rounded(points)})
        charts.append({"name": name, "lines": lines})
    clocks = [n for n in every if any(word in n.lower() for word in ENERGY) and "distance" not in n]
    return {"names": names, "every": every, "charts": charts, "over": over, "clocks": clocks}


def mean_of(lines: Sequence[Points], name: str) -> list[tuple[float, ...]]:
    """(x, mean, low, high) where all lines are: no mean of other runs at another place."""
    from genlab.runs.compare import value_at

    if len(lines) < 2:
        return []
    places = sorted({x for line in lines for x, _ in thin(line)})
    places = places[:: math.ceil(len(places) / GRID)]
    found = []
    for x in places:
        values = [y for line in lines if (y := value_at(line, x)) is not None]
        if len(values) == len(lines):
            mean, ends = t_interval(values, name)
            found.append((x, mean, *ends))
    return found


def label(runs: Sequence[Summary], *, without: str = "") -> list[str]:
    """Each run by what it alone was given; by its folder where that says nothing."""
    differing, _ = differences([[f"{k}={v}" for k, v in run.settings.items()] for run in runs])
    names = {run.name for run in runs}
    labels = []
    for run in runs:
        own = [(k.rpartition(".")[2], run.settings.get(k)) for k in differing if k != without]
        words = [f"{k}={v}" for k, v in own if v is not None]
        words = [run.name, *words] if len(names) > 1 else words
        labels.append(cut(", ".join(words), 80) or ("" if without else run.path.name))
    twice = {text for text in labels if labels.count(text) > 1}
    if without:
        return labels
    return [f"{t} · {r.path.name}" if t in twice else t for t, r in zip(labels, runs)]


def rounded(points: Sequence[tuple[float, ...]]) -> list[list[float | None]]:
    """Six figures are more than a screen shows."""
    return [[float(f"{v:.6g}") if math.isfinite(v) else None for v in point] for point in points]


COUNT = """
import sys
from pathlib import Path
from genlab.runs.compare import flops_of
for run in sys.argv[1:]:
    try:
        print("flops", flops_of(Path(run)))
    except Exception:
        print("flops", "unknown")
"""


def count_flops(runs: Sequence[Path]) -> list[float | None]:
    """FLOPs of training on one example of each run, None where they cannot be counted.

    Another process builds the models of shapes: torch is no part of the board's memory.
    """
    try:
        words = [sys.executable, "-c", COUNT, *map(str, runs)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return [None] * len(runs)
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("flops ")]
    found += ["unknown"] * (len(runs) - len(found))
    return [float(text) if text.isdigit() else None for text in found]
