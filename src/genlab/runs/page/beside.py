"""What stands beside the figures in evaluation.json, as a page shows it: the code, the classes,
the loss at each noise level.

Read: `code_of`, `classes_of`, `noise_of`. The file may be foreign: what is no number is left out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from genlab.shown import cut, figure, number
from genlab.views.curves import PALETTE, Line
from genlab.views.page import Drawn, read_named

WALKS, NAME = 6, 60  # pictures of walks that a page looks for; letters of a class's name
CLASSES = 40  # rows of the table of classes
NOISES = 40  # bins of noise levels that are drawn
FACTOR = 2.0  # a class that is so many times too rare or too frequent is marked


def walks(run: Path) -> list[Drawn]:
    """The pictures of walks along single values of a code."""
    found = (read_named(run, f"evaluation/traversal_{i + 1}", width=405) for i in range(WALKS))
    return [drawn for drawn in found if drawn is not None]


def code_of(evaluation: dict[str, Any]) -> str:
    """How many values of the code are in use, in a sentence; empty of a model without one."""
    code = evaluation.get("code")
    code = code if isinstance(code, dict) else {}
    num, used, nats = (number(code.get(key)) for key in ("values", "in_use", "nats"))
    if num is None or used is None or nats is None:
        return ""
    part = f" of {cut(str(code['of']), NAME)}" if code.get("of") else ""
    told = f"{figure(used)} of {figure(num)} values{part} are in use (a KL above 0.01 nats)"
    return f"{told}; together they hold {figure(nats)} nats of an example"


def classes_of(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The table of classes: `rows`, how many are left out, what is the `most` share of all.

    Of many classes those that are farthest from their share.
    """
    found = evaluation.get("classes")
    rows = [_row(r) for r in found if isinstance(r, dict)] if isinstance(found, list) else []
    rows = [row for row in rows if row["share"] is not None and row["real"] is not None]
    far = sorted(range(len(rows)), key=lambda i: -abs(_log(rows[i])))[:CLASSES]
    shares = [max(row["share"], row["real"]) for row in rows]
    return {
        "rows": [rows[i] for i in sorted(far)],
        "more": len(rows) - len(far),
        "most": max(shares, default=0) or 1.0,
        "covered": any(row["precision"] is not None or row["coverage"] is not None for row in rows),
    }


def noise_of(evaluation: dict[str, Any]) -> tuple[Line, list[tuple[float, str]]] | None:
    """The loss over ln of the noise level, with its interval, and the ticks; None without it."""
    found = evaluation.get("noise_levels")
    rows = [r for r in found if isinstance(r, dict)] if isinstance(found, list) else []
    points, band = [], []
    for row in rows[:NOISES]:
        ratio, ends = (_ends(row.get(key)) for key in ("ratio", "interval"))
        loss = _finite(row.get("loss"))
        if ratio is not None and ends is not None and loss and ratio[0] > 0:
            x = math.log10(ratio[0] * ratio[1]) / 2
            points.append((x, loss))
            band.append((x, *ends))
    if len(points) < 2:
        return None
    low, high = points[0][0], points[-1][0]
    decades = range(math.ceil(low), math.floor(high) + 1)
    line = Line("", points, PALETTE[1], marked=True, band=band)
    return line, [(float(i), f"{10.0**i:g}") for i in decades]


def _ends(value: Any) -> tuple[float, float] | None:
    ends = [_finite(end) for end in value] if isinstance(value, list) and len(value) == 2 else []
    return (ends[0], ends[1]) if len(ends) == 2 and None not in ends else None  # type: ignore


def _row(row: dict[str, Any]) -> dict[str, Any]:
    keys = ("real", "share", "ratio", "precision", "coverage")
    shown: dict[str, Any] = {key: _finite(row.get(key)) for key in keys}
    shown["interval"] = _ends(row.get("interval"))
    shown["class"] = cut(str(row.get("class", "")), NAME)
    shown["mark"] = _mark(shown)
    return shown


def _mark(row: dict[str, Any]) -> str:
    """Where a class is FACTOR too rare or too frequent, and not by the draw of the samples."""
    share, real, ends = row["share"], row["real"], row["interval"]
    if share is None or real is None or (ends and ends[0] <= real <= ends[1]):
        return ""
    if share * FACTOR < real:
        return "too rare"
    return "too frequent" if share > FACTOR * real else ""


def _log(row: dict[str, Any]) -> float:
    """How far a class is from its share."""
    return math.log((row["share"] + 1e-6) / (row["real"] + 1e-6))


def _finite(value: Any) -> float | None:
    value = number(value)
    return value if value is not None and math.isfinite(value) and value >= 0 else None
