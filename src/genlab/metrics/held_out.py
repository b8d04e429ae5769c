"""The held-out loss and likelihood alone: nothing is drawn, so it fits every kind of data.

What a paper's table of likelihoods asks for. A bound's draws are those of `seed`.
"""

from __future__ import annotations

from genlab.metrics.base import Evaluation, Samples
from genlab.metrics.report import Data, Model, Report


class HeldOut(Evaluation):
    """Loss and likelihood of held-out examples, with their intervals."""

    def __call__(
        self, model: Model, data: Data, *, num: int | None = None, seed: int = 0
    ) -> Report:
        report = Report()
        self.likelihood(report, model, data, seed)
        report.notes["num_held_out"] = len(data.val)
        return report

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        """Nothing: no samples are drawn."""
