"""The pages: one self-contained report.html for a run, or one that compares a sweep's cells.

Read: `write_report` and `write_comparison` gather what templates/run.html and sweep.html show; what
a folder holds is read by record.py, curves are drawn by curves.py. The page has no script and no
address to load from; every text is escaped, and control characters in it are made visible.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genlab.metrics.figures import LIKELIHOOD, Metric, better, headlines, measured
from genlab.metrics.seeds import t_interval
from genlab.runs.folder.provenance import given
from genlab.runs.page.record import Record, find_cells, read_record
from genlab.runs.say.errors import UserError
from genlab.runs.sweeps.cells import SEED, seeds_together
from genlab.shown import cut, duration, figure, number, short, spaced, visible
from genlab.views.curves import PALETTE, Chart, Line, chart, color_of, smooth
from genlab.views.page import Drawn, read_drawn, read_named

TEMPLATES = Path(__file__).parent / "templates"
LOOKS, MORE_CURVES, CELLS_DRAWN, RESUMED = 12, 24, 24, 24  # most that a page shows
CELLS, CELLS_LINKED = 2000, 200  # of a sweep: in the table; with a report that it links to
RATE = "speed/examples_per_second"


def write_report(run: Path) -> Path:
    """run/report.html, of whatever the folder holds so far."""
    record = read_record(run)
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
        "samples": samples(record, width=560),
        "real": read_named(run, "evaluation/real", width=560)
        or read_named(run, "samples/real", width=560),
        "neighbours": neighbours(read_named(run, "evaluation/neighbours", width=900)),
        "metrics": found,
        "notes": facts(record.evaluation.get("notes")),
        "provenance": facts(
            {k: v for k, v in record.provenance.items() if k not in ("command", "resumed")}
        ),
        "command": record.provenance.get("command"),
        "resumed": resumed(record),
    }
    return _write(run / "report.html", "run.html", page)


def write_comparison(sweep: Path) -> Path:
    """sweep/report.html: the runs below the folder side by side, and a report in each of them."""
    cells = find_cells(sweep)
    if not cells:
        raise UserError(f"run={sweep}: there is no run folder below it to compare")
    records = [read_record(cell) for cell in cells[:CELLS]]
    differing, shared = differences([r.overrides for r in records])
    rows = []
    for i, record in enumerate(records):
        if linked := i < CELLS_LINKED:  # written anew: what lies there may be a stranger's
            write_report(record.path)
        where = str(record.path.relative_to(sweep))
        rows.append(
            {
                "record": record,
                "where": where,
                # ./, so that a folder named "javascript:..." is not read as a scheme
                "link": f"./{quote(where, errors='surrogateescape')}/report.html" if linked else "",
                "color": color_of(i, len(records)),
                "values": (values := [_overrides(record.overrides).get(k) for k in differing]),
                "label": _label(differing, values) or where,
                "state": state(record)[0],
                "metrics": {m.name: m for m in measured(record.evaluation)},
                "rate": mean(record, RATE),
                "drawn": samples(record, width=240) if i < CELLS_DRAWN else None,
            }
        )
    names = {r.name for r in records}
    page = {
        "title": names.pop() if len(names) == 1 else sweep.resolve().name,
        "folder": sweep.resolve().name,
        "date": min((r.date for r in records if r.date), default=""),
        "rows": rows,
        "differing": differing,
        "shared": shared,
        "metrics": list(dict.fromkeys(name for row in rows for name in row["metrics"]))[
            :MORE_CURVES
        ],
        "best": {name: _best(records, name) for name in ("train/loss", "val/loss")},
        "leading": _leading(rows),
        "together": together(rows, [k for k in differing if k != SEED]),
        "seeded": [k for k in differing if k != SEED],
        "finished": sum(r.state == "finished" for r in records),
        "charts": compared(rows),
    }
    return _write(sweep / "report.html", "sweep.html", page)


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
        if side == "evaluate":
            continue  # one point each: they stand in the table of metrics
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


def compared(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Validation and training loss of all cells; every line is named where they are few."""
    charts = []
    for name, title in (("val/loss", "Validation loss"), ("train/loss", "Training loss")):
        there = [row for row in rows if row["record"].series.get(name)]
        ends = sorted(there, key=lambda row: row["record"].last(name))
        named = [id(row) for row in (there if len(there) <= 8 else [ends[0], ends[-1]])]
        lines = []
        for row in there:
            points = row["record"].series[name]
            label = ", ".join(v for v in row["values"] if v is not None) or row["where"]
            if len(points) >= 60:
                points = smooth(points)
                points = [*points[:: len(points) // 30], points[-1]]
            label = label if id(row) in named else ""
            lines.append(Line(label, points, row["color"], marked=name == "val/loss"))
        if lines:
            charts.append(drawn_chart(title, lines))
    return charts


def drawn_chart(title: str, lines: Sequence[Line], **options: Any) -> dict[str, Any]:
    try:
        drawn: Chart | None = chart(lines, **options)
    except Exception as error:  # odd numbers must not cost the reader the rest of the page
        return {"title": title, "chart": None, "problem": f"could not be drawn: {error}"}
    return {"title": title, "chart": drawn, "problem": ""}


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
    num = min(LOOKS, len(all_of))
    chosen = [all_of[round(i * (len(all_of) - 1) / max(1, num - 1))] for i in range(num)]
    shown = [
        (n, read_drawn(record.path, record.looks[n], width=300)) for n in dict.fromkeys(chosen)
    ]
    return {"shown": shown, "count": len(all_of), "texts": any(d.texts for _, d in shown)}


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


def differences(all_overrides: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Keys whose values are not the same in all cells, and the overrides that are."""
    parsed = [_overrides(overrides) for overrides in all_overrides]
    keys = list(dict.fromkeys(key for cell in parsed for key in cell))
    differing = [k for k in keys if len({cell.get(k) for cell in parsed}) > 1]
    return differing, [f"{k}={parsed[0][k]}" for k in keys if k not in differing]


def _overrides(overrides: Iterable[str]) -> dict[str, str]:
    parts = (o.lstrip("+").partition("=") for o in overrides)
    return {key: value if equals else "set" for key, equals, value in parts}


def _label(keys: Sequence[str], values: Sequence[str | None]) -> str:
    """A cell by what it alone was given: "model=vae, seed=1"."""
    given = [(k.rpartition(".")[2], v) for k, v in zip(keys, values) if v is not None]
    return ", ".join(f"{k}={v}" for k, v in given)


def together(rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Runs that differ in their seed alone: mean and interval of each figure, every value kept."""
    done = [row for row in rows if row["record"].state == "finished"]
    all_settings = [_overrides(row["record"].overrides) for row in done]
    shown = []
    for group in seeds_together(all_settings):
        found: dict[str, list[float]] = {}
        for i in group:
            figures = {n: m.value for n, m in done[i]["metrics"].items()}
            figures["validation loss"] = done[i]["record"].last("val/loss")
            for name, value in figures.items():
                if value is not None and math.isfinite(value):
                    found.setdefault(name, []).append(value)
        means = {n: (*t_interval(v), v) for n, v in found.items() if len(v) > 1}
        values = [all_settings[group[0]].get(k) for k in keys]
        shown.append({"num": len(group), "values": values, "means": means})
    return shown


def _leading(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The best value of each figure of which it is known which way is better."""
    found: dict[str, list[float]] = {}
    unlike = () if _comparable([row["record"] for row in rows]) else ("loss",)
    for row in rows:
        for name, m in row["metrics"].items():
            if (
                name not in unlike
                and m.value is not None
                and math.isfinite(m.value)
                and better(name)
            ):
                found.setdefault(name, []).append(m.value)
    return {n: (min if better(n) > 0 else max)(v) for n, v in found.items() if len(v) > 1}


def _comparable(records: Sequence[Record]) -> bool:
    """Whether all losses are of one model and one objective."""
    return len({str(_targets(r.settings)) for r in records if r.settings}) <= 1


def _targets(settings: dict[str, Any]) -> list[Any]:
    model = settings.get("model")
    model = model if isinstance(model, dict) else {}
    nodes = [model, settings.get("objective") or model.get("objective"), settings.get("data")]
    return [n.get("_target_") if isinstance(n, dict) else None for n in nodes]


def _best(records: Sequence[Record], name: str) -> float | None:
    """The lowest loss; none where the losses are of another model each, and do not compare."""
    values = [v for r in records if (v := r.last(name)) is not None]
    return min(values) if len(values) > 1 and _comparable(records) else None


def mean(record: Record, name: str) -> float | None:
    values = [y for _, y in record.series.get(name, ())]
    return sum(values) / len(values) if values else None


# --- how it is written ------------------------------------------------------------------------


def _write(path: Path, template: str, page: dict[str, Any]) -> Path:
    from genlab import __version__
    from genlab.runs.folder.layout import write_text

    template = _templates().get_template(template)
    write_text(path, template.render(**page, version=__version__))
    return path


@functools.cache
def _templates() -> Any:
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
    return env
