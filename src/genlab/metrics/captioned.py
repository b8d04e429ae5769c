"""Pictures by caption: does each show all that its caption says, and nothing else?

The data reads a picture exactly (`data.right`), so the numbers need no judge that was learnt.
Captions are val's, in its order; combinations that training has and those it never shows are
counted apart. The floor: val's own pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from genlab.metrics import likelihood
from genlab.metrics.evaluation import check_count
from genlab.metrics.report import Data, Model, Report, draw, gather


class CaptionedData(Data, Protocol):
    """Data that can say whether a picture shows what its caption says."""

    def right(self, x: Tensor, cond: Tensor) -> Sequence[bool | None]: ...
    def part(self, cond: Tensor) -> tuple[str, str] | None: ...


class CaptionsEvaluation:
    """right_CASE_seen and right_CASE_held_out, for each case of captions that the data has."""

    kind = "image"

    def __init__(
        self, *, num_samples: int = 1200, chunk: int = 200, likelihood_examples: int | None = None
    ) -> None:
        check_count("num_samples", num_samples, 1)
        check_count("chunk", chunk, 1)
        check_count("likelihood_examples", likelihood_examples, 1)
        self.num_samples, self.chunk = num_samples, chunk
        self.likelihood_examples = likelihood_examples

    def __call__(
        self, model: Model, data: CaptionedData, *, num: int | None = None, seed: int = 0
    ) -> Report:
        """`num` instead of num_samples; `seed` of the samples and of noise in the loss."""
        num, report = num or self.num_samples, Report()
        some = likelihood.split_batches(data.val, size=self.chunk, limit=self.likelihood_examples)
        report.metrics |= likelihood.held_out(model, data, some, seed=seed)
        val, captions = gather(data.val, torch.arange(num) % len(data.val))
        x, finite = draw(model, num, captions, seed=seed, chunk=self.chunk)
        report.metrics["finite_share"] = float(finite.double().mean())
        report.metrics |= shares(data, x.nan_to_num(), captions)
        report.floor |= shares(data, val, captions)
        report.notes: dict[str, Any] = {
            "num_samples": num,
            "num_held_out": len(data.val),
            "floor": "the same captions' own pictures",
        }
        report.pictures = {"samples": x, "asked": captions}
        return report


def shares(data: CaptionedData, x: Tensor, captions: Tensor) -> dict[str, float]:
    """The share right in each part of the captions, and of pictures that can be read at all."""
    right = data.right(x, captions)
    found: dict[str, list[bool]] = {}
    for judged, cond in zip(right, captions, strict=True):
        if (part := data.part(cond)) is not None:
            found.setdefault("_".join(("right", *part)), []).append(judged is True)
    values = {name: sum(rows) / len(rows) for name, rows in found.items()}
    return values | {"readable_share": sum(r is not None for r in right) / len(right)}
