"""The figures of evaluation.json: as a Report writes them, as pages and the terminal read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genlab.shown import figure, number, spaced

if TYPE_CHECKING:
    from genlab.metrics.report import Report

# a text's or a piece's figures that one asks for first; they come before the samples'
LIKELIHOOD = ("bits_per_byte", "bits_per_character", "nats_per_frame", "bits_per_note")
HEADLINES = 3  # figures at the head of a page
ROUNDED = 1e-9  # a floor below it is 0


@dataclass(frozen=True)
class Metric:
    """`interval`: (low, high) of the figure where it was estimated; `remark` qualifies it."""

    name: str
    value: float | None
    floor: float | None
    interval: tuple[float, float] | None = None
    remark: str = ""

    @property
    def title(self) -> str:
        return spaced(self.name) + (f" ({self.remark})" if self.remark else "")

    @property
    def ratio(self) -> float | None:
        """Value over floor, where that says something: an unbiased distance may be negative, and
        a floor may be 0 but for rounding."""
        if self.value is None or self.floor is None or self.value < 0 or not self.floor > ROUNDED:
            return None
        return self.value / self.floor

    @property
    def between(self) -> str:
        """The interval in words, "" where there is none."""
        return f"{figure(self.interval[0])} to {figure(self.interval[1])}" if self.interval else ""


def plain(report: Report) -> dict[str, dict[str, Any]]:
    """A report's figures, and what belongs to each, as plain data."""
    parts = ("metrics", "floor", "interval", "floor_interval", "remarks")
    found = {part: getattr(report, part).items() for part in parts}
    return {p: {k: list(v) if isinstance(v, tuple) else v for k, v in f} for p, f in found.items()}


def measured(evaluation: dict[str, Any]) -> list[Metric]:
    """The figures of an evaluation.json, which may be foreign."""
    metrics, *others = (evaluation.get(k) for k in ("metrics", "floor", "interval", "remarks"))
    floor, interval, remarks = (x if isinstance(x, dict) else {} for x in others)
    return [
        Metric(
            name,
            number(value),
            number(floor.get(name)),
            _interval(interval.get(name), limits(name)),
            str(remarks.get(name, ""))[:80],
        )
        for name, value in (metrics.items() if isinstance(metrics, dict) else ())
    ]


def _interval(found: Any, within: tuple[float, float]) -> tuple[float, float] | None:
    ends = [number(v) for v in found] if isinstance(found, list | tuple) else []
    if len(ends) != 2 or any(v is None or not math.isfinite(v) for v in ends):
        return None
    return cut_to((ends[0], ends[1]), within)  # type: ignore[arg-type]


def headlines(found: Sequence[Metric]) -> list[Metric]:
    """The few figures that one asks for first: a text's likelihood, then those with a floor."""
    first = [m for m in found if m.name in LIKELIHOOD]
    return (first + [m for m in found if m.floor is not None and m not in first])[:HEADLINES]


# of which more is better; the others that are listed: less
MORE = (
    "precision", "recall", "coverage", "coverage_worst_class", "class_agreement",
    "confident_share", "classes_drawn", "modes_covered", "high_quality_share", "in_support",
    "law_log_prob", "known_words", "distinct_2", "finite_share", "shape", "trend", "taught_auc",
    "taught_r2", "two_sample", "two_sample_linear", "two_sample_xgb", "readable_share",
    "heard_agreement", "well_formed_share", "tstr_f1", "tstr_accuracy", "tstr_auc", "tstr_r2",
    "heard_agreement", "order_real", "order_preferred", "path_share",
)  # fmt: skip
LESS = (
    "loss", "bits_per_dim", "bits_per_byte", "bits_per_character", "nats_per_token",
    "nats_per_example", "nats_per_frame", "perplexity", "frechet_distance",
    "frechet_infinity", "kernel_distance",
    "near_copies", "energy_distance", "sliced_wasserstein", "mode_kl", "kl_to_model", "knn_kl",
    "copied_share", "longest_copy", "pitch_distance", "chord_distance", "melody_distance",
    "polyphony_distance", "duration_distance", "mel_distance", "silence_share", "clipped_share",
    "nats_per_event", "bits_per_event", "bits_per_note", "pitch_class_distance",
    "interval_distance", "harmony_distance", "rhythm_distance", "key_distance",
    "frame_kernel_distance", "frame_frechet_distance", "motion_distance", "still_share",
    "path_error", "mass_change", "tstr_rmse",
)  # fmt: skip


def better(name: str) -> int:
    """1 where less of a figure is better, -1 where more is, 0 where it is not known."""
    name = name.removesuffix("_bound")
    more = name in MORE or name.startswith("right_")  # of captions: right_one_seen, ...
    return -1 if more else 1 if name in LESS else 0


# shares, means of shares, areas under a curve and total variations: none leaves [0, 1]
SHARES = (
    "precision", "recall", "coverage", "coverage_worst_class", "class_agreement",
    "confident_share", "near_copies", "high_quality_share", "in_support", "finite_share",
    "readable_share", "known_words", "distinct_2", "copied_share", "shared_with_train", "shape",
    "trend", "two_sample", "two_sample_linear", "two_sample_xgb", "taught_auc", "closer_to_train",
    "tstr_f1", "tstr_accuracy", "tstr_auc", "pitch_distance", "chord_distance", "melody_distance",
    "polyphony_distance", "duration_distance", "pitch_class_distance", "interval_distance",
    "harmony_distance", "rhythm_distance", "key_distance", "well_formed_share", "order_real",
    "order_preferred", "still_share", "path_share", "membership_auc", "membership_found",
    "control_auc", "asked_auc", "forgotten_auc", "total_variation",
)  # fmt: skip


def limits(name: str) -> tuple[float, float]:
    """Between which values a figure lies by its definition: what an interval is cut to."""
    share = name in SHARES or name.startswith("right_")
    return (0.0, 1.0) if share else (-math.inf, math.inf)


def cut_to(ends: tuple[float, float], within: tuple[float, float]) -> tuple[float, float]:
    """The part of an interval that lies within a figure's limits."""
    low, high = (min(max(end, within[0]), within[1]) for end in ends)
    return low, high
