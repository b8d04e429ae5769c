"""Held-out examples with a near copy in train: asked for by `evaluate`, and told of.

Read: `leaked` (how many there are: metrics/leakage.py), `measured_clean` (every figure without
them), `told_of_leakage` (both in words, of an evaluation.json that may be foreign).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genlab.metrics.figures import measured, plain
from genlab.runs.gate import classes
from genlab.runs.settings.conf import options_that
from genlab.runs.settings.plan import at, metric_places
from genlab.shown import figure, number, one_line

LEFT = 8  # held-out examples without a near copy that figures need


def leaked(
    metrics: dict[str, Any], data: Any, limit: float | None, trust: Sequence[str], progress: Any
) -> dict[str, Any]:
    """What evaluation.json says under `leakage`, and the ids of the clean examples where they are
    to be measured alone.

    What a near copy is, the run's own metrics know, or else another metric of this kind of data.
    """
    from genlab.metrics.leakage import Equal, judge_of, leakage

    if limit is None:
        return {}
    if getattr(data, "endless", False):
        return {"leakage": {"none": "training examples are drawn without end"}}
    judge = judge_of(map(type, metrics.values())) or judge_of(_others(data, trust)) or Equal()
    found = leakage(judge, data, limit=limit, progress=progress)
    told = {"leakage": found.plain(data)}
    if found.over and len(found.clean) < LEFT:
        told["leakage"]["clean"] = f"not measured: {len(found.clean)} are left, {LEFT} are needed"
    return told | ({"ids": found.clean} if found.over and len(found.clean) >= LEFT else {})


def _others(data: Any, trust: Sequence[str]) -> list[type]:
    """The classes of conf's metrics that measure this kind of data."""
    found: list[type] = []

    def look(node: dict[str, Any]) -> bool:
        for place in metric_places(node).values():
            cls = classes.find(at({"metric": node}, place)["_target_"], trust, place)
            found.extend([cls] if getattr(cls, "kind", None) == data.kind else [])
        return False

    options_that("metric", look)
    return found


def measured_clean(
    leak: dict[str, Any], metrics: dict[str, Any], model: Any, data: Any, *, seed: int,
    progress: Any,
) -> dict[str, Any]:  # fmt: skip
    """Every figure on the held-out examples without a near copy, where it was asked for."""
    from genlab.metrics.several import measure

    if (ids := leak.get("ids")) is None:
        return {}
    part = data.keep(ids.sort().values)
    found = plain(measure(metrics, model, part, seed=seed, progress=progress))
    return {"clean": found | {"num_held_out": len(ids)}}


# --- what is said ---------------------------------------------------------------------------------


def clean_part(evaluation: dict[str, Any]) -> dict[str, Any]:
    clean = evaluation.get("clean")
    return clean if isinstance(clean, dict) else {}


def told_of_leakage(evaluation: dict[str, Any]) -> list[str]:
    """How many held-out examples have a near copy in train, and the figures without them."""
    leak = evaluation.get("leakage")
    if not isinstance(leak, dict):
        return []
    num, looked, chance = (number(leak.get(k)) for k in ("copies", "looked_at", "chance"))
    ends = leak.get("interval")
    ends = [number(end) for end in ends] if isinstance(ends, list) else []
    if num is None or not looked or len(ends) != 2 or None in ends:
        return []
    low, high = (f"{end:.2%}" for end in ends)
    said = f"{num:,.0f} of {looked:,.0f} held-out examples have a near copy in train"
    said += f": {num / looked:.2%} ({low} to {high})" if num else f" (at most {high})"
    said += f"; {chance:.2%} would by chance" if chance else ""
    train, there = (number(leak.get(k)) for k in ("train_looked_at", "train"))
    if train and there and train < there:
        said += f"; {train:,.0f} of {there:,.0f} training examples were looked at"
    lines = [said + f"; near: {one_line(leak.get('near', ''))}"]
    clean = measured(clean_part(evaluation))
    if clean:
        lines.append("without them:")
    for m in clean:
        ends = f"  {m.between}" if m.interval else ""
        lines.append(f"  {one_line(m.name):22} {figure(m.value)}{ends}")
    return lines
