"""Which values of a model's code are in use, on held-out examples.

Read: `code_laws` (the laws, of any model that has them), `measure` (the figure of an evaluation).
The formulas are in objectives/code_laws.py.
"""

from __future__ import annotations

from typing import Any

from genlab.batch import each
from genlab.metrics.report import Data, Model, Report, subset

MOST = 1000  # held-out examples that are encoded


def code_laws(model: Model, data: Data, *, chunk: int = 250) -> Any:
    """The laws of the code's values for held-out examples; None where a model has none."""
    parts: list[Any] = []
    for ids in subset(len(data.val), MOST).split(chunk) if hasattr(model, "code_laws") else ():
        batch = each(lambda rows: rows.to(model.device), data.val.batch(ids, None))
        if (found := model.code_laws(batch)) is None:
            return None
        parts.append(found)
    laws = parts[0].joined(parts[1:]) if parts else None
    whole = laws is not None and len(laws.mean) > 1 and laws.kl().isfinite().all()
    return laws if whole else None


def measure(report: Report, model: Model, data: Data, *, chunk: int = 250) -> None:
    """`active_units` (Burda et al. 2016, arXiv 1509.00519), where a code's values have laws."""
    if (laws := code_laws(model, data, chunk=chunk)) is not None:
        report.metrics["active_units"] = float(laws.active())
        of = f" of {laws.part}" if laws.part else ""
        report.remarks["active_units"] = f"among {laws.mean.shape[1]} values{of}"
