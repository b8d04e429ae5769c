"""Class by class: how often samples are of it, how real they are, how much of it they cover.

Read: `by_class` is the table, one row a class, plain data for evaluation.json:

  real       the share of held-out pictures that the classifier of features.py sees as the class
  share      the same of samples, with its 95 % interval; by one judge, whose mistakes are on both
             sides
  ratio      share / real: 1 of a perfect model
  precision  of the samples that were asked for the class (where none is asked for, that are seen as
             it), those on the real manifold
  coverage   of the held-out pictures of the class, those that samples cover

The last two are those of distribution.py, from classes with enough pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genlab.metrics.distribution import Manifolds
from genlab.metrics.interval import share_interval


@dataclass(frozen=True)
class Covered:
    """Which samples are precise and which held-out pictures covered, and which ones these are."""

    parts: Manifolds
    mine: Tensor  # [num] among the samples
    held: Tensor  # [num] among the held-out pictures


def by_class(
    names: Sequence[str],
    probs: Tensor,
    val_probs: Tensor,
    val_labels: Tensor,
    asked: Tensor | None,
    covered: Covered | None,
    *,
    least: int,
) -> list[dict[str, Any]]:
    """Of samples and held-out pictures with class probabilities [N, K] and [M, K].

    `least`: pictures of a class that precision, or coverage, needs.
    """
    seen, real = probs.argmax(1), val_probs.argmax(1)
    rows = []
    for c, name in enumerate(names):
        hits = int((seen == c).sum())
        share, theirs = hits / len(seen), float((real == c).double().mean())
        row: dict[str, Any] = {
            "class": name,
            "real": theirs,
            "share": share,
            "interval": list(share_interval(hits, len(seen))),
            "ratio": share / theirs if theirs else None,
        }
        if covered is not None:
            of_samples = (seen if asked is None else asked)[covered.mine] == c
            of_held = val_labels[covered.held] == c
            for key, hit, of in (
                ("precision", covered.parts.precise, of_samples),
                ("coverage", covered.parts.covered, of_held),
            ):
                row[key] = float(hit[of].double().mean()) if int(of.sum()) >= least else None
        rows.append(row)
    return rows
