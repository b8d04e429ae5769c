"""What came out beside what was claimed: reproduced, better, missed by how much, shortened.

Read: `judged` decides for one figure, `verdict` for a row. The tolerance is the row's, and was
stated before anything ran; the interval over seeds is shown, and decides nothing: with two seeds it
would hold any number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genlab.metrics.figures import better
from genlab.metrics.seeds import t_interval
from genlab.runs.papers.row import Claim, Row


@dataclass(frozen=True)
class Obtained:
    """A figure's values, one a seed; `interval` of the mean over seeds, or of the one value."""

    values: tuple[float, ...]
    interval: tuple[float, float] | None

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)


def obtained(
    values: Sequence[float], own: tuple[float, float] | None = None, name: str = ""
) -> Obtained:
    """Values of the figure `name`; `own`: the interval that a single run's evaluation gives."""
    if len(values) < 2:
        return Obtained(tuple(values), own)
    return Obtained(tuple(values), t_interval(values, name)[1])


def judged(claim: Claim, mean: float) -> tuple[str, float]:
    """("reproduced" | "better" | "missed", by how much it is worse than what was claimed)."""
    sign = 1 if claim.figure == "val/loss" else better(claim.figure)
    worse = sign * (mean - claim.value)
    if abs(worse) <= claim.within * (1 + 1e-9):  # 1.90 is within 0.02 of 1.88
        return "reproduced", worse
    return ("missed" if worse > 0 else "better"), worse


def verdict(row: Row, found: Mapping[str, Obtained], seeds: int) -> str:
    """The worst of a row's figures decides; what was shortened is said first."""
    if missing := [c.figure for c in row.claims if c.figure not in found]:
        return f"failed: no {', '.join(missing)} came out"
    judgements = {c.figure: judged(c, found[c.figure].mean) for c in row.claims}
    missed = {k: by for k, (said, by) in judgements.items() if said == "missed"}
    if missed:
        claims = {c.figure: c for c in row.claims}
        said = "missed by " + ", ".join(
            claims[k].written(by) + (f" ({k})" if len(row.claims) > 1 else "")
            for k, by in missed.items()
        )
    else:
        said = "better" if all(s == "better" for s, _ in judgements.values()) else "reproduced"
    fewer = f"{seeds} of {row.seeds} seeds" if seeds < row.seeds else ""
    short = "; ".join(part for part in (row.shortened, fewer) if part)
    return f"shortened: {said}" if short else said


def record_of(
    row: Row, found: Mapping[str, Obtained], *, seeds: int, minutes: float, where: dict[str, Any]
) -> dict[str, Any]:
    """A row's result as plain data; `where`: machine, commit, versions, date."""
    return {
        "title": row.title,
        "paper": row.paper,
        "place": row.place,
        "family": row.family,
        "kind": row.kind,
        "claimed": {
            c.figure: {"value": c.value, "spread": c.spread, "within": c.within} for c in row.claims
        },
        "obtained": {
            k: {"mean": o.mean, "interval": o.interval, "n": len(o.values), "values": o.values}
            for k, o in found.items()
        },
        "verdict": verdict(row, found, seeds),
        "command": f"genlab reproduce {row.name}",
        "minutes": round(minutes, 1),
        "seeds": seeds,
        **where,
    }
