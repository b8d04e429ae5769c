"""One metric or several on one model: what each must be, a rehearsal, and their common report.

A metric is called as metric(model, data, num=..., seed=...) and gives a Report. base.py's
Evaluation is the easy way to one; anything that keeps to this will do.
"""

from __future__ import annotations

import copy
import inspect
import numbers
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch

from genlab.metrics.base import Evaluation
from genlab.metrics.report import Data, Model, Report

REHEARSED = 8  # samples and held-out examples
NUMBERS = ("metrics", "floor")
INTERVALS = ("interval", "floor_interval")
BESIDE = ("floor", *INTERVALS, "remarks")  # what belongs to a number of the same name


def check_metric(metric: Any, where: str = "metric") -> None:
    """Refuse what cannot be called as a metric."""
    name = type(metric).__name__
    usage = (
        f"metric(model, data, num=100, seed=0): give {name} that __call__, or make it a subclass"
    )
    usage += " of genlab.metrics.base.Evaluation with `compare`"
    if not callable(metric):
        raise ValueError(f"{where}: {name} cannot be called as {usage}")
    try:
        inspect.signature(metric).bind(None, None, num=100, seed=0)
    except TypeError as error:
        raise ValueError(f"{where}: {name} takes other arguments ({error}) than {usage}") from None


def check_report(report: Any, metric: Any, where: str = "metric") -> None:
    """Refuse what a metric must not give back."""
    name = type(metric).__name__
    if not isinstance(report, Report):
        raise ValueError(
            f"{where}: {name} gave a {type(report).__name__}: it must give a"
            " genlab.metrics.report.Report"
        )
    for part in NUMBERS:
        for key, value in getattr(report, part).items():
            if not isinstance(value, numbers.Real) or isinstance(value, bool):
                raise ValueError(
                    f"{where}: {name} gave {part}[{key!r}] as a {type(value).__name__}:"
                    " it must be a float"
                )
    for part in INTERVALS:
        for key, ends in getattr(report, part).items():
            ok = isinstance(ends, tuple | list) and len(ends) == 2
            if not ok or not all(isinstance(end, numbers.Real) for end in ends):
                raise ValueError(
                    f"{where}: {name} gave {part}[{key!r}]={ends}: it must be two floats"
                )


def rehearse(metrics: Mapping[str, Any], model: Model, data: Data) -> None:
    """Call each metric that is not genlab's own on a few samples of the untrained model.

    What is wrong with it is told now and not after the training. No random state changes.
    """
    for name, metric in metrics.items():
        if type(metric).__module__.startswith("genlab."):
            continue
        where = f"metric.{name}" if name else "metric"
        check_metric(metric, where)
        small = copy.copy(metric)
        if isinstance(small, Evaluation):
            small.likelihood_examples = REHEARSED
        try:
            with torch.random.fork_rng(devices=[]):
                report = small(model, data, num=REHEARSED, seed=0)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            said = (str(error).strip() or "no reason given").splitlines()[0]
            raise ValueError(
                f"{where}: {type(metric).__name__} fails on {REHEARSED} samples of the untrained"
                f" model: {type(error).__name__}: {said} ({last.filename}, line {last.lineno})"
            ) from error
        check_report(report, metric, where)


def measure(
    metrics: Mapping[str, Any],
    model: Model,
    data: Data,
    *,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Report:
    """The report of all metrics; where two give a number of one name, it bears the metric's too.

    Of pictures and of classes the first metric's are kept.
    """
    reports = {}
    for name, metric in metrics.items():
        if isinstance(metric, Evaluation):
            metric.progress = progress
        reports[name] = metric(model, data, seed=seed)
        check_report(reports[name], metric, f"metric.{name}" if name else "metric")
    if len(reports) == 1:
        return next(iter(reports.values()))
    whole = Report()
    for part in ("metrics", "notes"):
        clashing = _clashing([getattr(report, part) for report in reports.values()])
        for name, report in reports.items():
            for field in (part, *(BESIDE if part == "metrics" else ())):
                for key, value in getattr(report, field).items():
                    own = f"{name}/{key}" if key in clashing else key
                    getattr(whole, field)[own] = value
    for report in reports.values():
        whole.pictures = report.pictures | whole.pictures
        whole.classes = whole.classes or report.classes
        whole.noise_levels = whole.noise_levels or report.noise_levels
    return whole


def _clashing(parts: list[dict[str, Any]]) -> set[str]:
    """The keys for which two of the mappings hold other values."""
    seen: dict[str, Any] = {}
    for part in parts:
        seen |= part
    return {k for part in parts for k, v in part.items() if v != seen[k]}
