"""What the page may ask, and what it is told: one function a question, plain data as answer.

Read: `Board.answer(question, asked)`. Runs are named by their keys, never by a path; files are read
by views/page.py and record.py alone. The server and the export ask the same.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genlab.metrics.figures import measured
from genlab.runs.live.curves import RUNS, Ledgers, curves, label
from genlab.runs.live.index import Index
from genlab.runs.live.knobs import importance, sweep
from genlab.runs.live.summary import Summary, plain_yaml
from genlab.runs.page.record import find_looks, read_record
from genlab.runs.page.write import facts, figures, neighbours, resumed, state
from genlab.shown import cut
from genlab.views.page import Drawn, read_drawn, read_named

DIFFERENT, TEXT = 400, 200  # rows of differences; letters of a value
WIDTH = 560  # CSS pixels that a picture is enlarged to at most
STEMS = {  # what may be shown of a run beside its looks
    "samples": ("evaluation/samples",), "real": ("evaluation/real", "samples/real"),
    "neighbours": ("evaluation/neighbours",),
}  # fmt: skip
Asked = Mapping[str, str]


class Unknown(LookupError):
    """A question that there is no answer to: of a run that is gone, say."""


class Board:
    """The runs below a folder, and everything that can be asked about them."""

    def __init__(self, root: Path) -> None:
        self.index, self.ledgers = Index(root), Ledgers()

    def answer(self, question: str, asked: Asked) -> Any:
        """Plain data for JSON. Raises Unknown for what is not there."""
        if question not in QUESTIONS:
            raise Unknown(f"there is no question {question!r}")
        return plain(QUESTIONS[question](self, asked))

    # --- one run ------------------------------------------------------------------------------

    def _one(self, asked: Asked) -> Summary:
        run = self.index.run(asked.get("run", ""))
        if run is None:
            raise Unknown("this run is not, or no longer, in the folder")
        return run

    def _chosen(self, asked: Asked) -> list[Summary]:
        return self.index.chosen(asked.get("runs", "").split(","))[:RUNS]

    def run(self, asked: Asked) -> dict[str, Any]:
        """The page of a run: what its report shows, but for curves and drawn files."""
        found = self._one(asked)
        record = read_record(found.path)
        word, more = state(record)
        word = found.state if word == "unfinished" else word
        metrics = [
            [m.name, m.remark, m.value, *(m.interval or (None, None)), m.floor, m.ratio]
            for m in measured(record.evaluation)
        ]
        own = {k: v for k, v in record.provenance.items() if k not in ("command", "resumed")}
        return {
            "key": found.key, "group": found.group, "title": record.name, "state": word,
            "more": more, "date": record.date, "where": found.where,
            "error": cut(record.error, 4000), "problems": record.problems,
            "findings": [dataclasses.asdict(f) for f in record.findings],
            "figures": figures(record, measured(record.evaluation)), "metrics": metrics,
            "notes": facts(record.evaluation.get("notes")), "provenance": facts(own),
            "command": str(record.provenance.get("command") or ""), "resumed": resumed(record),
            "overrides": record.overrides[:500], "config": record.config,
        }  # fmt: skip

    def drawn(self, asked: Asked) -> dict[str, Any]:
        """A file that a view wrote: of a look (`at` examples), or one of `STEMS`."""
        run, what = self._one(asked), asked.get("what", "")
        if what == "look":
            path = find_looks(run.path).get(int(asked.get("at", "") or -1))
            return shown(Drawn(problem="not drawn") if path is None
                         else read_drawn(run.path, path, width=WIDTH))  # fmt: skip
        stems = (read_named(run.path, stem, width=WIDTH) for stem in STEMS.get(what, ()))
        found = next((drawn for drawn in stems if drawn is not None), None)
        if found is None and what == "samples" and (looks := find_looks(run.path)) and max(looks):
            found = read_drawn(run.path, looks[max(looks)], width=WIDTH)
        if what == "neighbours" and (pairs := (neighbours(found) or {}).get("pairs")):
            return {"macro": "pairs", "value": pairs[:8], "problem": ""}
        return shown(found or Drawn(problem="not drawn yet"))

    # --- several runs -------------------------------------------------------------------------

    def curves(self, asked: Asked) -> dict[str, Any]:
        names = [n for n in asked.get("names", "").split("\n") if n]
        over, runs = asked.get("over") or "examples", self._chosen(asked)
        return curves(self.ledgers, runs, names, over, band=asked.get("band") == "1")

    def looks(self, asked: Asked) -> dict[str, Any]:
        runs = self._chosen(asked)
        labels = label(runs)
        return {
            "runs": [
                {"key": r.key, "label": text, "at": sorted(find_looks(r.path))}
                for r, text in zip(runs, labels)
            ]
        }

    def differences(self, asked: Asked) -> dict[str, Any]:
        """Settings, code and machine that are not the same in all chosen runs."""
        runs = self._chosen(asked)
        found = []
        for run in runs:
            proof = run.small_json("provenance.json")  # no ledger is read for this
            proof = {k: proof.get(k) for k in ("git", "versions", "machine", "data")}
            settings = plain_yaml(run.small_text("config.yaml"))
            found.append(dict([*facts(settings), *facts(proof)]))
        keys = dict.fromkeys(key for one in found for key in one)
        rows = [[k, *(one.get(k) for one in found)] for k in keys]
        rows = [row for row in rows if len(set(row[1:])) > 1]
        known = {
            (row[0], *row[1:]) for row in rows
        }  # a model's part repeats the part's own setting
        rows = [row for row in rows if (row[0].partition("model.")[2], *row[1:]) not in known]
        short = [[None if v is None else cut(v, TEXT) for v in row] for row in rows[:DIFFERENT]]
        return {
            "keys": [r.key for r in runs], "labels": label(runs), "rows": short,
            "same": len(keys) - len(rows), "left": max(0, len(rows) - DIFFERENT),
        }  # fmt: skip

    def sweep(self, asked: Asked) -> dict[str, Any]:
        group = asked.get("group", "")
        runs = self.index.within(group)
        if not runs:
            raise Unknown("there is no run in this folder, or no longer")
        return {"group": group} | sweep(runs, asked.get("goal", ""), asked.get("second", ""))

    def importance(self, asked: Asked) -> dict[str, Any]:
        return importance(self.index.within(asked.get("group", "")), asked.get("goal", ""))


QUESTIONS = {
    "run": Board.run, "drawn": Board.drawn, "curves": Board.curves, "looks": Board.looks,
    "differences": Board.differences, "sweep": Board.sweep, "importance": Board.importance,
}  # fmt: skip


def shown(drawn: Drawn) -> dict[str, Any]:
    value = (
        dataclasses.asdict(drawn.value) if dataclasses.is_dataclass(drawn.value) else drawn.value
    )
    beside = shown(drawn.beside) if drawn.beside else None
    return {
        "macro": drawn.macro, "value": value, "problem": drawn.problem, "beside": beside,
        "wide": drawn.wide,
    }  # fmt: skip


def plain(value: Any) -> Any:
    """Numbers that are not finite are no JSON: None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
