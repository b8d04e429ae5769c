"""The loss at each noise level on held-out examples: which levels a model has learnt.

Read: `measure`. The unit is that of objectives/noise_levels.py: 1 is what the best affine denoiser
leaves, whatever the objective was.
"""

from __future__ import annotations

from typing import Any

from genlab.batch import each
from genlab.metrics.interval import mean_interval
from genlab.metrics.likelihood import seeded
from genlab.metrics.report import Data, Model, Report, subset

MOST = 1000  # held-out examples


def measure(report: Report, model: Model, data: Data, *, chunk: int = 250, seed: int = 0) -> None:
    """The report's `noise_levels`: a row a bin, {"ratio": [low, high], "loss", "interval"}."""
    if not hasattr(model, "noise_errors"):
        return
    parts: list[Any] = []
    with model.drawing():
        for i, ids in enumerate(subset(len(data.val), MOST).split(chunk)):
            batch = each(lambda rows: rows.to(model.device), data.val.batch(ids, None))
            with seeded(model, seed, i):
                if (found := model.noise_errors(batch)) is None:
                    return
            parts.append(found)
    whole = parts[0].joined(parts[1:])
    for ratio, loss in zip(whole.ratio.T, whole.loss().T, strict=True):
        if len(loss) > 1 and loss.isfinite().all():
            row = {"ratio": [float(ratio.min()), float(ratio.max())], "loss": float(loss.mean())}
            report.noise_levels.append(row | {"interval": list(mean_interval(loss))})
