"""The page that compares runs: SWEEP/report.html, of the run folders below it.

Read: `write_comparison` gathers what templates/sweep.html shows, in its order: figures, runs that
are not finished and why, means over seeds, curves, samples, settings. Losses meet in one chart, and
have a best, only where they are of one model, objective and data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genlab.metrics.figures import better, headlines, measured
from genlab.metrics.seeds import t_interval
from genlab.runs.page.record import Record, find_cells, read_record
from genlab.runs.page.write import (
    MORE_CURVES,
    RATE,
    drawn_chart,
    mean,
    samples,
    state,
    write_page,
    write_report,
)
from genlab.runs.say.errors import UserError
from genlab.runs.sweeps.cells import SEED, own_words, read_cells, read_yaml, seeds_together
from genlab.runs.sweeps.goals import front, read_goals
from genlab.shown import cut, described, figure, spaced
from genlab.views.curves import Line, Points, color_of, smooth

CELLS_DRAWN, CHARTS, FAILED = 24, 12, 50  # most that a page shows
CELLS, CELLS_LINKED = 2000, 200  # of a sweep: in the table; with a report that it links to
GOALS = 12  # cells of a search's front
HOW = ("batch_size", "seed", "root", "num_workers", "val_examples")  # of data: how, not what
ACROSS = 7  # figures side by side: more of them stand in another table
LOSSES = {"val/loss": "validation loss", "train/loss": "training loss"}


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
        values = [_overrides(record.overrides).get(k) for k in differing]
        found = {m.name: m for m in measured(record.evaluation)}
        rows.append(
            {
                "record": record,
                "number": i,
                "where": where,
                # ./, so that a folder named "javascript:..." is not read as a scheme
                "link": f"./{quote(where, errors='surrogateescape')}/report.html" if linked else "",
                "color": color_of(i, len(records)),
                "values": values,
                "label": _label(differing, values),
                "state": state(record)[0],
                "metrics": found,
                "figures": figures(record, found),
                "rate": mean(record, RATE),
                "drawn": samples(record, width=240) if i < CELLS_DRAWN else None,
            }
        )
    names = {r.name for r in records}
    columns = columns_of(rows)
    seeded = together(rows, [k for k in differing if k != SEED])
    page = {
        "title": names.pop() if len(names) == 1 else sweep.resolve().name,
        "folder": sweep.resolve().name,
        "date": min((r.date for r in records if r.date), default=""),
        "rows": rows,
        "differing": differing,
        "shared": shared,
        "titles": {n: LOSSES.get(n, spaced(n)) for n in columns},
        "tables": tables_of(columns),
        "best": best_of(rows, columns),
        "alike": len(comparable(rows)) <= 1,
        "same_data": same_data(rows),
        "goal": goal_of(sweep),
        "together": seeded,
        "finished": sum(r.state == "finished" for r in records),
        "pruned": sum(r.state == "pruned" for r in records),
        "failed": [row for row in rows if row["record"].state not in ("finished", "pruned")],
        "most_failed": FAILED,
        "seed_charts": seed_charts(rows, seeded),
        "charts": compared(rows),
    }
    return write_page(sweep / "report.html", "sweep.html", page)


# --- the figures ------------------------------------------------------------------------------


def figures(record: Record, found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the table shows of a run, by name: a number, its interval and its floor."""
    shown = {
        name: {"value": m.value, "interval": m.interval, "floor": m.floor}
        for name, m in found.items()
    }
    losses = {name: record.last(name) for name in LOSSES}
    return shown | {
        name: {"value": value, "interval": None, "floor": None}
        for name, value in losses.items()
        if value is not None
    }


def columns_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Names of figures: what one asks for first (bits per byte of a text), the losses last."""
    every = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    heads = [m.name for row in rows for m in headlines(list(row["metrics"].values()))]
    first = [name for name in dict.fromkeys(heads) if name in every]
    rest = [name for name in every if name not in first]
    losses = [n for n in LOSSES if any(n in row["figures"] for row in rows)]
    return [*first, *rest][:MORE_CURVES] + [n for n in losses if n not in every]


def tables_of(columns: Sequence[str]) -> list[list[str]]:
    """The figures in tables of about as many columns, none wider than a page; at least one."""
    num = max(1, math.ceil(len(columns) / ACROSS))
    size = math.ceil(len(columns) / num)
    return [list(columns[i * size : (i + 1) * size]) for i in range(num)]


def best_of(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[str, str]:
    """The best of each figure, as it is shown, where it is known which way is better.

    None where all are the same, where the runs have other data, and of losses that are not of one
    kind: one family's is never better than another's.
    """
    if not same_data(rows):
        return {}
    unlike = () if len(comparable(rows)) <= 1 else ("loss", *LOSSES)
    found = {}
    for name in columns:
        way = 1 if name in LOSSES else better(name)
        cells = [row["figures"][name]["value"] for row in rows if name in row["figures"]]
        values = [v for v in cells if v is not None and math.isfinite(v)]
        if way and name not in unlike and len(set(map(figure, values))) > 1:
            found[name] = figure((min if way > 0 else max)(values))
    return found


def same_data(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether what the runs are measured on is the same, as their settings of data say."""
    found = set()
    for row in rows:
        data = row["record"].settings.get("data")
        data = {k: v for k, v in data.items() if k not in HOW} if isinstance(data, dict) else data
        found |= {str(data)} if row["record"].settings else set()
    return len(found) <= 1


def goal_of(sweep: Path) -> list[dict[str, Any]]:
    """What a search was for, and the cells that are best by it; nothing of a grid."""
    node = read_yaml(sweep / "multirun.yaml")
    for key in ("hydra", "sweeper", "goal"):
        node = node.get(key) if isinstance(node, dict) else None
    try:
        goals = read_goals(node, ()) if node else []
        best = front(read_cells(sweep), goals) if goals else []
    except (UserError, TypeError, AttributeError, ValueError):  # a foreign folder says anything
        return []
    return [
        {
            "where": cell.folder.name,
            "words": own_words(cell.folder, cell.words),
            "found": ", ".join(f"{spaced(g.name)} {figure(cell.figures[g.name])}" for g in goals),
        }
        for cell in (best[:1] if len(goals) == 1 else best[:GOALS])
    ]


def together(rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Runs that differ in their seed alone: mean and interval of each figure, every value kept."""
    done = [row for row in rows if row["record"].state == "finished"]
    all_settings = [_overrides(row["record"].overrides) for row in done]
    groups = seeds_together(all_settings)
    shown = []
    for number, group in enumerate(groups):
        found: dict[str, list[float]] = {}
        for i in group:
            for name, cell in done[i]["figures"].items():
                if cell["value"] is not None and math.isfinite(cell["value"]):
                    found.setdefault(name, []).append(cell["value"])
        means = {n: (*t_interval(v, n), v) for n, v in found.items() if len(v) > 1}
        values = [all_settings[group[0]].get(k) for k in keys]
        shown.append(
            {
                "num": len(group),
                "label": _label(keys, values) or "all",
                "means": means,
                "rows": [done[i] for i in group],
                "color": color_of(number, len(groups)),
            }
        )
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


# --- losses that compare ----------------------------------------------------------------------


def comparable(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows whose losses compare: of one model, one objective with one set of knobs, one data.

    By what they are called: the parts in which the groups differ.
    """
    groups: dict[str, tuple[dict[str, str], list[dict[str, Any]]]] = {}
    for row in rows:
        if row["record"].series or row["record"].settings:
            parts = loss_of(row["record"].settings)
            groups.setdefault(str(parts), (parts, []))[1].append(row)
    all_parts = [parts for parts, _ in groups.values()]
    shared = [k for k in (all_parts or [{}])[0] if all(k in parts for parts in all_parts)]
    vary = [k for k in shared if len({parts[k] for parts in all_parts}) > 1]
    shown: dict[str, list[dict[str, Any]]] = {}
    for parts, there in groups.values():
        said = (parts[k] if k.startswith(".") else parts[k].rpartition(".")[2] for k in vary)
        name = cut(", ".join(said), 120)
        shown[name if name not in shown else f"{name} ({len(shown) + 1})"] = there
    return shown


def loss_of(settings: dict[str, Any]) -> dict[str, str]:
    """What a loss is of: the classes of model, objective and data, and the objective's knobs."""
    model = settings.get("model")
    model = model if isinstance(model, dict) else {}
    objective = settings.get("objective") or model.get("objective")
    nodes = {"model": model, "objective": objective, "data": settings.get("data")}
    parts = {
        name: str((node.get("_target_") if isinstance(node, dict) else None) or "unknown")
        for name, node in nodes.items()
    }
    knobs = objective.items() if isinstance(objective, dict) else ()
    return parts | {f".{k}": f"{k}={_told(v)}" for k, v in knobs if k != "_target_"}


def _told(knob: Any) -> str:
    target = str(knob.get("_target_", "?")) if isinstance(knob, dict) else ""
    return described({**knob, "_target_": target}) if target else str(knob)


def compared(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Validation and training loss of all cells, a chart for each kind of loss.

    Every line is named where they are few, the lowest and the highest where they are many.
    """
    charts = []
    groups = comparable(rows)
    for kind, members in groups.items():
        for name, title in LOSSES.items():
            there = [row for row in members if row["record"].series.get(name)]
            ends = sorted(there, key=lambda row: row["record"].last(name))
            named = [id(row) for row in (there if len(there) <= 8 else [ends[0], ends[-1]])]
            lines = []
            for row in there:
                points = sparse(row["record"].series[name])
                label = ", ".join(v for v in row["values"] if v is not None) or row["where"]
                label = label if id(row) in named else ""
                lines.append(Line(label, points, row["color"], marked=name == "val/loss"))
            if lines:
                charts.append(drawn_chart(_title(title, kind), lines))
    return charts[:CHARTS]


def seed_charts(
    rows: Sequence[dict[str, Any]], groups: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Losses over examples: the mean over seeds, its interval as a band, single runs faint."""
    charts = []
    for kind, members in comparable(rows).items():
        inside = {id(row) for row in members}
        there = [g for g in groups if id(g["rows"][0]) in inside]
        for name, title in LOSSES.items():
            lines = []
            for group in there:
                runs = [sparse(row["record"].series.get(name, [])) for row in group["rows"]]
                points, band = mean_curve(runs)
                if not points:
                    continue
                faint = [Line("", run, group["color"], faint=True) for run in runs]
                label = group["label"] if len(there) <= 8 else ""
                lines += [*faint, Line(label, points, group["color"], band=band)]
            if lines:
                charts.append(drawn_chart(_title(f"{title}, mean over seeds", kind), lines))
    return charts[:CHARTS]


def mean_curve(runs: Sequence[Points]) -> tuple[Points, list[tuple[float, float, float]]]:
    """The mean where all runs have a point, and its 95 % interval by Student's t."""
    values = [dict(run) for run in runs]
    shared = sorted(set(values[0]).intersection(*values[1:])) if values else []
    found = [(x, *t_interval([v[x] for v in values])) for x in shared]
    return [(x, y) for x, y, _ in found], [(x, *ends) for x, _, ends in found if len(runs) > 1]


def sparse(points: Points) -> Points:
    """A long noisy line, smoothed, at thirty places."""
    if len(points) < 60:
        return points
    points = smooth(points)
    return [*points[:: len(points) // 30], points[-1]]


def _title(title: str, kind: str) -> str:
    return title[:1].upper() + title[1:] + (f": {kind}" if kind else "")
