"""What the metrics of publications on tables share: settings, and rows taken whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from genlab.metrics.base import Evaluation
from genlab.metrics.near import RowCopies
from genlab.metrics.report import gather


@dataclass(kw_only=True, eq=False)
class PublishedTables(Evaluation):
    """`num_samples` null: as many as there are training rows."""

    num_samples: int | None = None
    chunk: int = 2000
    likelihood_examples: int | None = None
    kind = "table"
    near = RowCopies()
    least = 30

    def __post_init__(self) -> None:
        super().__init__(
            num_samples=self.num_samples,
            chunk=self.chunk,
            likelihood_examples=self.likelihood_examples,
        )


def whole(examples: Any) -> Any:
    """All examples of a split, as one batch."""
    return gather(examples, torch.arange(len(examples)))
