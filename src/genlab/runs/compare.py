"""`genlab compare A B`: is B better than A, by how much, and can these runs tell at all?

Read: `sides` gathers runs by seed, `unlike` names the field in which two numbers are of another
kind, metrics/paired.py tests. Along a curve both sides are compared at equal budgets.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from genlab.joules import NAME as JOULES
from genlab.metrics.figures import better, cut_to, headlines, limits, measured
from genlab.metrics.paired import Comparison, compare
from genlab.rows import read_rows
from genlab.runs.folder.layout import read_settings
from genlab.runs.page.record import Record, find_cells, is_run, read_record
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.settings.conf import conf_dir
from genlab.runs.settings.plan import Plan
from genlab.runs.sweeps.cells import SEED, settings_of
from genlab.shown import figure, number, visible

# of what an evaluation notes, what makes two numbers of another kind
NOTES = (
    "split", "num_samples", "num_held_out", "num_train", "feature_hash", "num_manifold",
    "prompt_length", "copy_length", "shared_length", "conditional", "num_floor",
)  # fmt: skip
LOSSES = ("loss", "val/loss", "train/loss")
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)  # of the budget that both have, along a curve
OVER = ("examples", "seconds", "flops", "energy")


@dataclass
class Side:
    """Runs that differ in their seed alone."""

    name: str
    runs: dict[int, Record] = field(default_factory=dict)

    @property
    def one(self) -> Record:
        return next(iter(self.runs.values()))

    def values(self, metric: str) -> dict[int, float]:
        found = {seed: value_of(run, metric) for seed, run in self.runs.items()}
        return {seed: v for seed, v in found.items() if v is not None and math.isfinite(v)}


def compare_command(words: list[str]) -> None:
    paths, asked = parse(words)
    found = list(sides(paths, asked["by"]))
    if len(found) < 2:
        every = [read_record(run) for path in paths for run in runs_below(path)]
        pruned = sum(run.state == "pruned" for run in every)
        left = sum(run.state != "finished" for run in every) - pruned
        counts = [f"{n} {word}" for n, word in ((left, "not finished"), (pruned, "pruned")) if n]
        said = f" ({', '.join(counts)} of {len(every)} runs)" if counts else ""
        raise UserError(
            f"{paths[0]}: there is one group of runs to compare{said}; name another folder"
        )
    metric = asked["metric"] or shared_metric(found)
    for line in lines(found, metric, asked["over"]):
        print(visible(" ".join(line.splitlines())))


def parse(words: Sequence[str]) -> tuple[list[Path], dict[str, Any]]:
    """The folders, and the command's own settings."""
    settings = yaml.safe_load((conf_dir() / "compare.yaml").read_text())
    paths = []
    for word in words:
        key, equals, text = word.partition("=")
        if equals and key in settings:
            settings[key] = text
        elif equals and not Path(word).exists():
            raise UserError(f"{word}: `genlab compare` has no {key!r}{nearest(key, [*settings])}")
        else:
            paths.append(Path(word))
    if not paths or len(paths) + bool(settings["by"]) < 2:
        raise UserError(
            "`genlab compare` needs two folders of runs, A B, or a sweep and by=SETTING"
        )
    if settings["over"] not in (None, *OVER):
        raise UserError(f"over={settings['over']}: allowed are {', '.join(OVER)}")
    return paths, settings


# --- the runs --------------------------------------------------------------------------------


def sides(paths: Sequence[Path], by: str | None) -> Iterator[Side]:
    """Groups of runs: one a folder, or one a value of `by`."""
    for path in paths:
        runs = [read_record(p) for p in runs_below(path)]
        runs = [r for r in runs if r.state == "finished"]
        if not runs:
            raise UserError(f"{path}: no run in it is finished")
        groups: dict[str, list[Record]] = {}
        for run in runs:
            value = settings_of(run.overrides).get(by) if by else None
            if by and value is None:
                raise UserError(
                    f"by={by}: {run.path} was not given it; it has"
                    f" {', '.join(settings_of(run.overrides))}"
                )
            groups.setdefault(f"{by}={value}" if by else str(path), []).append(run)
        for name, group in groups.items():
            name = f"{path} {name}" if by and len(paths) > 1 else name
            yield side_of(name, group)


def runs_below(path: Path) -> list[Path]:
    if not path.is_dir():
        beside = [p.name for p in path.parent.glob("*") if p.is_dir()]
        raise UserError(f"{path}: there is no such folder{nearest(path.name, beside)}")
    if is_run(path) and (path / "config.yaml").is_file():
        return [path]
    if not (found := find_cells(path)):
        raise UserError(f"{path}: neither a run nor a folder of runs")
    return found


def side_of(name: str, runs: Sequence[Record]) -> Side:
    """Runs by their seed; refused where they differ in more."""
    side = Side(name)
    first = {k: v for k, v in settings_of(runs[0].overrides).items() if k != SEED}
    for run in runs:
        own = {k: v for k, v in settings_of(run.overrides).items() if k != SEED}
        if odd := [k for k in {*first, *own} if first.get(k) != own.get(k)]:
            raise UserError(
                f"{name}: its runs differ in {', '.join(sorted(odd))}: write by={sorted(odd)[0]},"
                " or name folders whose runs differ in the seed alone"
            )
        seed = run.settings.get(SEED)
        if not isinstance(seed, int) or seed in side.runs:
            said = f"two runs of seed {seed}" if seed in side.runs else "a run without a seed"
            raise UserError(f"{name}: {run.path}: {said}")
        side.runs[seed] = run
    return side


def value_of(run: Record, metric: str) -> float | None:
    """A figure of the evaluation, or the last of the ledger's."""
    found = {m.name: m.value for m in measured(run.evaluation)}
    return found[metric] if metric in found else run.last(metric)


def shared_metric(found: Sequence[Side]) -> str:
    """The first figure that all sides have, of which it is known which way is better."""
    have = [[m.name for m in headlines(measured(s.one.evaluation))] + ["val/loss"] for s in found]
    for name in have[0]:
        there = all(value_of(s.one, name) is not None for s in found)
        if there and direction(name) and not any(unlike(found[0], s, name) for s in found[1:]):
            return name
    raise UserError("these runs have no figure in common; name one by metric=NAME")


def direction(metric: str) -> int:
    """1 where less is better, -1 where more is, 0 where it is not known."""
    return 1 if metric in LOSSES else better(metric)


# --- numbers of another kind -----------------------------------------------------------------


def unlike(a: Side, b: Side, metric: str) -> str:
    """Why the two sides' figures are not of one kind: the field; empty where they are."""
    twin = metric.removesuffix("_bound") if metric.endswith("_bound") else f"{metric}_bound"
    for one, other in ((a, b), (b, a)):
        if value_of(one.one, metric) is None:
            if value_of(one.one, twin) is not None:
                exact = "exact" if twin == metric.removesuffix("_bound") else "a bound"
                return f"likelihood: {one.name} has {twin} ({exact}), {other.name} {metric}"
            return f"{one.name} has no {metric}; it has {', '.join(names_of(one.one))}"
    pairs = {"data": [s.one.provenance.get("data_fingerprint") for s in (a, b)]}
    if metric in LOSSES:
        for part in ("model", "objective"):
            pairs[f"{part} (of whose loss it is)"] = [target(s.one, part) for s in (a, b)]
    if metric in {m.name for m in measured(a.one.evaluation)}:
        notes = [s.one.evaluation.get("notes") for s in (a, b)]
        for name in NOTES:
            mine, theirs = (n.get(name) if isinstance(n, dict) else None for n in notes)
            default = "val" if name == "split" else None
            pairs[name] = [mine or default, theirs or default]
    for name, (mine, theirs) in pairs.items():
        if mine != theirs:
            return f"{name}: {a.name} has {short(mine)}, {b.name} {short(theirs)}"
    return ""


def names_of(run: Record) -> list[str]:
    return [*(m.name for m in measured(run.evaluation)), *run.series]


def target(run: Record, part: str) -> Any:
    node = run.settings.get(part)
    if node is None and isinstance(model := run.settings.get("model"), dict):
        node = model.get(part)
    return node.get("_target_") if isinstance(node, dict) else None


def short(value: Any) -> str:
    return "none" if value is None else str(value)[:40]


# --- what is said ----------------------------------------------------------------------------


def lines(found: Sequence[Side], metric: str, over: str | None = None) -> Iterator[str]:
    """The comparison of every side with the first, or of all with the best where they are many."""
    way = direction(metric)
    if not way:
        raise UserError(f"metric={metric}: it is not known which way it is better")
    for side in found[1:]:
        if said := unlike(found[0], side, metric):
            raise UserError(f"{metric} does not compare: {said}")
    if len(found) > 2:
        means = {s.name: mean(s.values(metric)) * way for s in found}
        found = sorted(found, key=lambda s: means[s.name])
        yield f"{metric}: {len(found)} groups, each against the best; p times {len(found) - 1}"
    for side in found[1:]:
        yield from pair_lines(found[0], side, metric, way, tries=len(found) - 1, over=over)


def pair_lines(
    a: Side, b: Side, metric: str, way: int, *, tries: int = 1, over: str | None = None
) -> Iterator[str]:
    word = "lower" if way > 0 else "higher"
    yield f"{metric} ({word} is better)"
    for letter, side in (("A", a), ("B", b)):
        values = side.values(metric)
        seeds = ", ".join(f"{s}: {figure(v)}" for s, v in sorted(values.items())[:12])
        yield f"  {letter}  {side.name}   mean {figure(mean(values))} of {len(values)}   {seeds}"
    result = compare(a.values(metric), b.values(metric))
    yield "  " + verdict(result, way, tries, metric=metric)
    if budgets := unequal_budgets(a, b):
        yield f"  not at one budget: {budgets}; over=examples compares along the curve"
    if over:
        yield from curve_lines(a, b, metric, way, over)


def mean(values: dict[int, float]) -> float:
    return sum(values.values()) / len(values) if values else math.nan


def verdict(result: Comparison, way: int, tries: int = 1, *, metric: str = "") -> str:
    """In a sentence: who is better and by how much, or what it would take to tell."""
    p, (low, high) = min(1.0, result.p * tries), result.interval
    if math.isfinite(low):  # of two shares the difference lies in [-1, 1]
        least, most = limits(metric)
        low, high = cut_to((low, high), (least - most, most - least))
    num = f"{result.num[0]} pairs by seed"
    if not result.paired:
        num = f"{result.num[0]} and {result.num[1]} seeds, unpaired"
    effect = f"B less A is {figure(result.difference)}"
    if math.isfinite(low):
        effect += f" ({figure(low)} to {figure(high)})"
    if p <= 0.05:
        who = "B" if result.difference * way < 0 else "A"
        return f"{who} is better by {figure(abs(result.difference))}: {effect}, p <= {p:.2g}; {num}"
    more = "; more seeds like these would not tell" if result.more is None else ""
    if max(result.num) < 2:
        more = "; one seed says nothing of how far seeds differ: -m seed=1,2,3,4"
    elif result.more:
        more = f"; about {result.more} more seeds of each would, if they are like these"
    return f"cannot tell: {effect}, p = {p:.2g}; {num}{more}"


def unequal_budgets(a: Side, b: Side) -> str:
    seen = [s.one.examples for s in (a, b)]
    if None in seen or max(seen) <= 1.02 * min(seen):
        return ""
    return f"A saw {seen[0]:,} examples, B {seen[1]:,}"


# --- along the curve -------------------------------------------------------------------------


def curve_lines(a: Side, b: Side, metric: str, way: int, over: str) -> Iterator[str]:
    """The comparison at shares of the budget that all runs have."""
    curves = [{seed: curve(r, metric, over) for seed, r in s.runs.items()} for s in (a, b)]
    ends = [points[-1][0] for side in curves for points in side.values() if points]
    if not ends or any(not points for side in curves for points in side.values()):
        raise UserError(f"over={over}: {metric} is no curve of the ledger; val/loss is one")
    for share in SHARES:
        at = share * min(ends)
        values = [{s: y for s, p in side.items() if (y := value_at(p, at)) is not None}
                  for side in curves]  # fmt: skip
        if not all(values):
            continue
        result = compare(*values)
        yield (
            f"  at {figure(at)} {over}: A {figure(mean(values[0]))}, B {figure(mean(values[1]))};"
            f" {verdict(result, way, metric=metric)}"
        )


def curve(run: Record, metric: str, over: str) -> list[tuple[float, float]]:
    """(budget spent, value), in order; a straight line lies between two points."""
    rows = [r for r in read_rows(run.path / "metrics.jsonl") if number(r.get(metric)) is not None]
    cost = flops_of(run.path) if over == "flops" else None
    if over == "energy":
        over = JOULES
        if any(number(r.get(over)) is None for r in rows):
            raise UserError(
                f"over=energy: {run.path.name} has no {over}: this machine does not show it, or"
                " only to root; over=seconds or over=flops compares without"
            )
    places = [r["examples"] * cost if cost else r.get(over, 0) for r in rows]
    return sorted((float(x), float(r[metric])) for x, r in zip(places, rows))


def flops_of(run: Path) -> int:
    """Floating-point operations of training on one example, counted on the run's own shapes."""
    from genlab.models.flow import flops

    plan = Plan({k: v for k, v in read_settings(run).items() if k in ("data", "model")})
    data = plan["data"]
    return flops(plan.model_of_shapes(), (1, *data["shape"]), tokens=data.get("vocab") is not None)


def value_at(points: Sequence[tuple[float, float]], at: float) -> float | None:
    """Between the points by a straight line; none before the first."""
    i = bisect.bisect_left(points, (at, -math.inf))
    if i == len(points):
        return points[-1][1] if points and at <= points[-1][0] * (1 + 1e-9) else None
    if points[i][0] == at or i == 0:
        return points[i][1] if points[i][0] == at else None
    (x0, y0), (x1, y1) = points[i - 1], points[i]
    return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
