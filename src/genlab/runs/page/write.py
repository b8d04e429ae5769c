"""The page of a run: one self-contained report.html. sweep.py has the page that compares runs.

Read: `write_report` gathers what templates/run.html shows; what a folder holds is read by
record.py, curves are drawn by curves.py. A page has no address to load from, and one script,
templates/sort.js, whose hash its policy names; every text is escaped, and control characters in it
are made visible.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.metrics.figures import LIKELIHOOD, Metric, headlines, measured
from genlab.runs.folder.provenance import given
from genlab.runs.folder.trained_on import kept
from genlab.runs.leaked import clean_part, told_of_leakage
from genlab.runs.page.beside import classes_of, code_of, noise_of, walks
from genlab.runs.page.film import read_film, write_film
from genlab.runs.page.record import Record, read_record
from genlab.shown import cut, duration, figure, number, short, spaced, visible
from genlab.views.curves import PALETTE, Chart, Line, chart
from genlab.views.film import evenly
from genlab.views.page import Drawn, read_drawn, read_named

TEMPLATES = Path(__file__).parent / "templates"
LOOKS, MORE_CURVES, RESUMED = 12, 24, 24  # most that a page shows
SETS = "trained_on"
RATE = "speed/examples_per_second"


def write_report(run: Path) -> Path:
    """run/report.html, of whatever the folder holds so far; and the film of its looks."""
    record = read_record(run)
    write_film(record)
    charts, more = curves(record)
    found = measured(record.evaluation)
    page = {
        "title": record.name,
        "record": record,
        "state": state(record),
        "figures": figures(record, found),
        "charts": charts,
        "more_curves": more,
        "looks": looks(record),
        "film": read_film(record),
        "samples": samples(record, width=560),
        "real": read_named(run, "evaluation/real", width=560)
        or read_named(run, "samples/real", width=560),
        "between": read_named(run, "evaluation/between", width=560),
        "reconstructions": read_named(run, "evaluation/reconstructions", width=560),
        "walks": walks(run),
        "code": code_of(record.evaluation),
        "classes": classes_of(record.evaluation),
        "noise": noise_chart(record.evaluation),
        "neighbours": neighbours(read_named(run, "evaluation/neighbours", width=900)),
        "metrics": found,
        "leaked": told_of_leakage(record.evaluation),
        "clean": measured(clean_part(record.evaluation)),
        "notes": facts(record.evaluation.get("notes")),
        "provenance": facts(
            {k: v for k, v in record.provenance.items() if k not in ("command", "resumed", SETS)}
        ),
        "learnt": kept(record.provenance) if SETS in record.provenance else [],
        "command": record.provenance.get("command"),
        "resumed": resumed(record),
    }
    return write_page(run / "report.html", "run.html", page)


# --- what is shown ----------------------------------------------------------------------------


def state(record: Record) -> tuple[str, str]:
    """In one word, and in a sentence."""
    seen, budget = record.examples, record.budget
    share = f"{seen:,} of {budget:,} examples" if seen is not None and budget else ""
    if record.state == "finished":
        early = bool(budget and seen is not None and seen < 0.99 * budget)
        return "finished", f"stopped at {share}" if early else ""
    if record.state == "unfinished":
        where = share or (f"{seen:,} examples" if seen is not None else "")
        return "unfinished", f"{where} so far: it is still running, or was interrupted".lstrip()
    return record.state, "nothing has been logged yet" if record.state == "not started" else share


def figures(record: Record, found: Sequence[Metric]) -> list[tuple[str, str, str]]:
    """The few numbers one looks for first: (what, value, remark)."""
    shown = []
    if best := record.best("val/loss"):
        last = record.last("val/loss")
        where = f"lowest {short(best[0])} at {best[1]:,.0f}"
        shown.append(("validation loss", figure(last), "the lowest" if last == best[0] else where))
    elif (last := record.last("train/loss")) is not None:
        shown.append(
            ("training loss", figure(last), "at the end" if record.state == "finished" else "")
        )
    heads = [
        (m.title, figure(m.value), "" if m.floor is None else f"real data {figure(m.floor)}")
        for m in headlines(found)
    ]
    # of a text model the likelihood is what one asks for first, and the loss is the same number
    shown = [*heads, *shown] if any(m.name in LIKELIHOOD for m in found) else [*shown, *heads]
    if record.examples is not None:
        remark = f"of {record.budget:,}" if record.budget else ""
        seen = record.examples
        shown.append(("examples seen", figure(seen) if seen < 10**6 else short(seen), remark))
    if record.seconds is not None:
        rate = mean(record, RATE)
        shown.append(
            ("time", duration(record.seconds), f"{figure(rate)} examples/s" if rate else "")
        )
    if (parameters := number(record.provenance.get("parameters"))) is not None:
        shown.append(("parameters", short(parameters), ""))
    return shown


def curves(record: Record) -> tuple[list[dict[str, Any]], int]:
    """Loss, rate and speed, then other logged values, training and validation together.

    At most `MORE_CURVES` others are drawn; gives how many are not.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in record.series:
        side, _, base = name.partition("/")
        if side in ("evaluate", "signs"):
            continue  # of one point, in the table of metrics; what the doctor goes by
        groups.setdefault(base if side in ("train", "val") and base else name, []).append(
            (side, name)
        )
    for base in groups:
        groups[base].sort()
    titles = {"loss": "Loss", "lr": "Learning rate", RATE: "Speed, examples per second"}
    first = [b for b in titles if b in groups]
    charts, others = [], sorted(b for b in groups if b not in titles)
    for base in [*first, *others[:MORE_CURVES]]:
        lines = []
        for side, name in groups[base]:
            color = PALETTE[side == "val"]
            label = {"val": "validation"}.get(side, side) if len(groups[base]) > 1 else ""
            label = f"{label} {short(record.series[name][-1][1])}".strip()
            noisy = side != "val" and base != "lr"
            lines.append(Line(label, record.series[name], color, marked=side == "val", noisy=noisy))
        title = titles.get(base, spaced(base))
        charts.append(
            drawn_chart(title, lines, log=None if base == "loss" else False, zero=base == RATE)
        )
    return charts, max(0, len(others) - MORE_CURVES)


def noise_chart(evaluation: dict[str, Any]) -> dict[str, Any] | None:
    """The loss at each noise level; None of a model without them."""
    if (noise := noise_of(evaluation)) is None:
        return None
    line, ticks = noise
    what = "Held-out loss at each noise level"
    return drawn_chart(what, [line], log=False, zero=True, over="sigma / alpha", ticks=ticks)


def drawn_chart(title: str, lines: Sequence[Line], **options: Any) -> dict[str, Any]:
    """A chart, or why there is none; `file` is the name that it is saved under."""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "curve"
    shown: dict[str, Any] = {"title": title, "file": f"{name}.svg", "chart": None, "problem": ""}
    try:
        drawn: Chart | None = chart(lines, **options)
    except Exception as error:  # odd numbers must not cost the reader the rest of the page
        return shown | {"problem": f"could not be drawn: {error}"}
    return shown | {"chart": drawn}


def resumed(record: Record) -> list[dict[str, Any]]:
    """Each resume: its command where it changed something, and what differed then."""
    entries = record.provenance.get("resumed")
    shown = []
    for entry in [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []:
        examples = number(entry.get("examples"))
        other = {k: entry[k] for k in ("git", "versions", "machine") if k in entry}
        shown.append(
            {
                "time": entry.get("time", ""),
                "examples": "some" if examples is None else figure(examples),
                "command": str(entry.get("command")) if given(entry) else "",
                "other": facts(other),
            }
        )
    return shown[-RESUMED:]


def looks(record: Record) -> dict[str, Any]:
    """Looks evenly from the first to the last."""
    all_of = sorted(record.looks)
    chosen = [all_of[i] for i in evenly(len(all_of), LOOKS)]
    shown = [(n, read_drawn(record.path, record.looks[n], width=300)) for n in chosen]
    return {"shown": shown, "count": len(all_of), "wide": any(d.wide for _, d in shown)}


def neighbours(drawn: Drawn | None) -> dict[str, Any] | None:
    """Pairs of texts where they can be told apart; else as they are."""
    if drawn is None:
        return None
    pairs = []
    for text in drawn.texts:
        sample, mark, nearest = text.partition("\nnearest: ")
        if not mark or not sample.startswith("sample:"):
            return {"drawn": drawn, "pairs": []}
        pairs.append((sample.removeprefix("sample:").removeprefix("  "), nearest))
    return {"drawn": drawn, "pairs": pairs}


def samples(record: Record, *, width: int) -> Drawn | None:
    """What the trained model draws: of the evaluation, or of the last look."""
    found = read_named(record.path, "evaluation/samples", width=width)
    if found is None and record.looks and max(record.looks) > 0:
        found = read_drawn(record.path, record.looks[max(record.looks)], width=width)
    return found


def facts(data: Any, prefix: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """Nested plain data as (dotted name, text)."""
    if not isinstance(data, dict):
        return []
    shown: list[tuple[str, str]] = []
    for key, value in list(data.items())[:200]:
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth < 4:
            shown += facts(value, f"{name}.", depth + 1)
        elif name == "started" and number(value):
            continue  # the same moment as `time`, for programs
        elif isinstance(value, str):
            shown.append((name, value))
        elif number(value) is not None:
            shown.append((name, figure(value)))
        else:
            shown.append((name, "none" if value is None else json.dumps(value, default=str)[:2000]))
    return shown


def mean(record: Record, name: str) -> float | None:
    values = [y for _, y in record.series.get(name, ())]
    return sum(values) / len(values) if values else None


# --- how it is written ------------------------------------------------------------------------


def write_page(path: Path, template: str, page: dict[str, Any]) -> Path:
    from genlab import __version__
    from genlab.runs.folder.layout import write_text

    template = templates().get_template(template)
    write_text(path, template.render(**page, version=__version__))
    return path


@functools.cache
def templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:  # of every expression in a template, before it is escaped
        return value if isinstance(value, Markup) else visible(str(value))

    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"figure": figure, "duration": duration, "spaced": spaced, "cut": cut}
    env.filters["percent"] = lambda share: f"{100 * share:.3g} %"
    script = (TEMPLATES / "sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    env.globals |= {"script": Markup(script), "script_hash": f"sha256-{digest}"}
    return env
