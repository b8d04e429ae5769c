"""Pictures by caption: does each show all that its caption says, and nothing else?

The data reads a picture exactly (`data.right`), so the numbers need no judge that was learnt.
Captions are val's; combinations that training has and those it never shows are counted apart. The
floor: the same captions' own pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from genlab.metrics.base import Evaluation, Samples, held_out_ids
from genlab.metrics.interval import share_interval
from genlab.metrics.near import PictureCopies
from genlab.metrics.report import Data, Model, Report, gather


class CaptionedData(Data, Protocol):
    """Data that can say whether a picture shows what its caption says."""

    def right(self, x: Tensor, cond: Tensor) -> Sequence[bool | None]: ...
    def part(self, cond: Tensor) -> tuple[str, str] | None: ...


class CaptionsEvaluation(Evaluation):
    """right_CASE_seen and right_CASE_held_out, for each case of captions that the data has."""

    kind = "image"
    near = PictureCopies()

    def __init__(
        self,
        *,
        num_samples: int | None = 1200,
        chunk: int = 200,
        likelihood_examples: int | None = None,
    ) -> None:
        super().__init__(
            num_samples=num_samples, chunk=chunk, likelihood_examples=likelihood_examples
        )

    def compare(self, report: Report, model: Model, data: CaptionedData, samples: Samples) -> None:
        real = gather(data.val, held_out_ids(data, samples.num))
        captions = samples.cond
        if captions is None:
            raise ValueError(
                "metric=captions: the model takes no captions; write conditions=captions"
            )
        for name, (hits, num) in counted(data, samples.x, captions).items():
            report.metrics[name] = hits / num
            report.interval[name] = share_interval(hits, num)
        for name, (hits, num) in counted(data, real["x"], real["cond"]).items():
            report.floor[name] = hits / num
        report.notes["floor"] = "the same captions' own pictures"
        report.pictures = {"samples": samples.x, "samples_cond": captions}


def counted(data: CaptionedData, x: Tensor, captions: Tensor) -> dict[str, tuple[int, int]]:
    """(pictures that are right, pictures) of each part of the captions, and that can be read."""
    right = data.right(x, captions)
    found: dict[str, list[bool]] = {}
    for judged, cond in zip(right, captions, strict=True):
        if (part := data.part(cond)) is not None:
            found.setdefault("_".join(("right", *part)), []).append(judged is True)
    found["readable_share"] = [r is not None for r in right]
    return {name: (sum(rows), len(rows)) for name, rows in found.items()}
