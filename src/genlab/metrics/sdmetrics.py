"""Tables as publications score them: against the training rows, as many samples as there are.

Read: `SDMetrics.compare`. The protocol of TabSyn (Zhang et al. 2024, arXiv 2310.09656) and TabPC
(Scassola, Ponsford et al. 2026, arXiv 2603.23016): shape and trend of SDMetrics' quality report,
and its detection score with XGBoost (extra `tables`). It rewards whoever hands out training rows:
table.py measures against held-out rows and counts copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from genlab.metrics.base import Samples
from genlab.metrics.published import PublishedTables, whole
from genlab.metrics.report import Data, Model, Report
from genlab.metrics.table import (
    BINS,
    Coding,
    Frame,
    features,
    full_rows,
    numeric_names,
    shape_score,
    trend_score,
)

FOLDS = 3


@dataclass(kw_only=True, eq=False)
class SDMetrics(PublishedTables):
    """Shape, trend and a classifier's two-sample score; the floor: held-out rows, few or many.

    The held-out rows count among the training rows. `two_sample`: whether XGBoost is to tell
    samples and training rows apart.
    """

    two_sample: bool = True

    def count(self, model: Model, data: Data) -> int:
        return sum(len(data.split(name)) for name in ("train", "val"))

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        if self.two_sample:
            xgboost()  # one that is missing is told before anything is measured
        theirs = [(p["x"], p.get("cond")) for p in map(whole, map(data.split, ("train", "val")))]
        held = whole(data.val)
        real = [row for part in theirs for row in full_rows(data, *part)]
        mine = full_rows(data, samples.x, samples.cond)
        report.pictures = {"samples": samples.x}
        report.notes |= {
            "num_real": len(real),
            "num_floor": len(held["x"]),
            "floor": "held-out rows against the training rows",
        }
        if len(mine) < self.least:
            return
        coding = Coding(real, numeric_names(data))
        frame = coding(real)
        report.metrics |= self.scores(frame, coding(mine), coding)
        floor = coding(full_rows(data, held["x"], held.get("cond")))
        train = coding(full_rows(data, *theirs[0]))  # without val, which the floor may be
        report.floor |= self.scores(train, floor, coding)

    def scores(self, real: Frame, mine: Frame, coding: Coding) -> dict[str, float]:
        found = {
            "shape": shape_score(real, mine, coding),
            "trend": trend_score(real, mine, coding, bins=own_bins),
        }
        if self.two_sample:
            found["two_sample_xgb"] = two_sample_xgb(real, mine, coding)
        return found


def own_bins(real: np.ndarray, mine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as codes: ten bins of each set's own range, the largest value and missing ones apart.

    So the quality report has it: samples that go further than the real rows stretch their bins.
    """

    def codes(v: np.ndarray) -> np.ndarray:
        there = v[~np.isnan(v)]
        return np.digitize(v, np.histogram_bin_edges(there if len(there) else np.zeros(1), BINS))

    return codes(real), codes(mine)


def two_sample_xgb(real: Frame, mine: Frame, coding: Coding, *, seed: int = 0) -> float:
    """1 - (2 AUC - 1) of XGBoost that tells the rows apart: 1 where it cannot.

    Three folds, no less than chance in each; categories one of many, a missing number the mean.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    means = {n: np.nanmean(real[n]) if len(real[n]) else 0.0 for n in coding.numeric}
    parts = [
        features(
            f | {n: np.where(np.isnan(f[n]), m, f[n]) for n, m in means.items()}, coding, hot=True
        )
        for f in (real, mine)
    ]
    x, y = np.concatenate(parts), np.repeat([1, 0], [len(p) for p in parts])
    scores = []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y):
        trees = xgboost()(eval_metric="logloss", random_state=0, n_jobs=torch.get_num_threads())
        guess = trees.fit(x[train], y[train]).predict_proba(x[test])[:, 1]
        scores.append(1 - (2 * max(0.5, roc_auc_score(y[test], guess)) - 1))
    return float(np.mean(scores))


def xgboost() -> Any:
    """XGBoost's classifier."""
    try:
        from xgboost import XGBClassifier
    except ImportError:
        raise ValueError(
            "metric.two_sample needs xgboost: pip install 'genlab[tables]', or write"
            " metric.two_sample=false"
        ) from None
    return XGBClassifier
