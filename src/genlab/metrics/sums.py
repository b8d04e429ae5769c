"""Sums: how many of the held-out ones are completed with the right digits."""

from __future__ import annotations

import torch

from genlab.batch import Given
from genlab.metrics.base import Evaluation, Samples
from genlab.metrics.interval import share_interval
from genlab.metrics.report import Data, Model, Report


class SumsEvaluation(Evaluation):
    """The share of held-out sums that are right, whole and digit by digit."""

    kind = "sums"

    def __init__(
        self, *, num_samples: int = 1000, chunk: int = 500, likelihood_examples: int | None = None
    ) -> None:
        super().__init__(
            num_samples=num_samples, chunk=chunk, likelihood_examples=likelihood_examples
        )

    def given(self, data: Data, num: int) -> Given | None:
        return data.questions(num)

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        right = data.val.batch(torch.arange(len(samples.x)) % len(data.val))
        same = (samples.x == right["x"])[:, right["mask"][0]]  # [N, digits of the sum]
        hits = int(same.all(1).sum())
        report.metrics["right_sums"] = hits / len(same)
        report.interval["right_sums"] = share_interval(hits, len(same))
        report.floor["right_sums"] = 1.0
        for place, digit in enumerate(same.T):
            report.metrics[f"right_digit_{place}"] = float(digit.double().mean())
        report.pictures["samples"] = samples.x
