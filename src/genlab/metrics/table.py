"""Tables: columns, pairs of columns, rows as a whole, what they teach, and whose they are.

Read: `TableEvaluation` gathers what the functions below measure, each beside its floor: as many
training rows. The definitions are those that published numbers follow (SDMetrics): shape is the
mean over columns of 1 - Kolmogorov-Smirnov or total variation distance, trend that over pairs of 1
- half the difference of correlations, or 1 - total variation of the two categories, numbers in ten
bins of the real ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.metrics.base import Evaluation, Samples, check_count
from genlab.metrics.memorisation import Neighbours, memorisation, nearest
from genlab.metrics.near import RowCopies
from genlab.metrics.report import Data, Model, Report, gather, subset
from genlab.rng import generator

BINS = 10  # of a number that stands beside a category
Frame = dict[str, np.ndarray]  # columns: numbers float64, nan where missing; categories int codes


class Coding:
    """Rows as columns of numbers and codes; a category that train has not is a code more."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], numeric: Sequence[str]) -> None:
        self.numeric = [n for n in rows[0] if n in set(numeric)]
        self.codes = {
            name: {v: i for i, v in enumerate(sorted({r[name] for r in rows}, key=str))}
            for name in rows[0]
            if name not in self.numeric
        }

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Frame:
        frame: Frame = {}
        for name in rows[0]:
            values = [row[name] for row in rows]
            if name in self.codes:
                codes = self.codes[name]
                frame[name] = np.array([codes.get(v, len(codes)) for v in values])
            else:
                frame[name] = np.array([math.nan if v is None else v for v in values], np.float64)
        return frame


def ks_complement(real: np.ndarray, mine: np.ndarray) -> float:
    """1 - the largest distance of the two distribution functions, missing numbers left out."""
    real, mine = (np.sort(v[~np.isnan(v)]) for v in (real, mine))
    if not len(real) or not len(mine):
        return float(len(real) == len(mine))
    at = np.concatenate([real, mine])
    cdf = (np.searchsorted(v, at, side="right") / len(v) for v in (real, mine))
    return 1 - float(np.abs(next(cdf) - next(cdf)).max())


def tv_complement(real: np.ndarray, mine: np.ndarray) -> float:
    """1 - half the summed difference of the shares of codes."""
    num = int(max(real.max(), mine.max())) + 1
    shares = [np.bincount(v, minlength=num) / len(v) for v in (real, mine)]
    return 1 - float(np.abs(shares[0] - shares[1]).sum()) / 2


def correlation_similarity(real: Sequence[np.ndarray], mine: Sequence[np.ndarray]) -> float | None:
    """1 - |difference of Pearson's correlations| / 2; None where a column is constant."""
    found = []
    for a, b in (real, mine):
        there = ~(np.isnan(a) | np.isnan(b))
        a, b = a[there], b[there]
        if len(a) < 2 or a.std() == 0 or b.std() == 0:
            return None
        found.append(float(np.corrcoef(a, b)[0, 1]))
    return 1 - abs(found[0] - found[1]) / 2


def binned(real: np.ndarray, mine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as codes: ten bins of the real ones, the outer ones open, and missing."""
    finite = real[~np.isnan(real)]
    inner = np.histogram_bin_edges(finite if len(finite) else np.zeros(1), bins=BINS)[1:-1]
    codes = (np.where(np.isnan(v), BINS, np.digitize(v, inner)) for v in (real, mine))
    return next(codes), next(codes)


def shape_score(real: Frame, mine: Frame, coding: Coding) -> float:
    """The mean over columns."""
    scores = [
        (ks_complement if name in coding.numeric else tv_complement)(real[name], mine[name])
        for name in real
    ]
    return float(np.mean(scores))


def trend_score(
    real: Frame, mine: Frame, coding: Coding, *, bins: Callable[..., Any] = binned
) -> float:
    """The mean over pairs of columns; `bins` makes codes of the numbers of both."""
    codes = {n: bins(real[n], mine[n]) if n in coding.numeric else (real[n], mine[n])
             for n in real}  # fmt: skip
    scores = []
    for a, b in itertools.combinations(real, 2):
        if a in coding.numeric and b in coding.numeric:
            score = correlation_similarity((real[a], real[b]), (mine[a], mine[b]))
            scores += [] if score is None else [score]
            continue
        num = 1 + max(int(v.max()) for v in codes[b])
        scores.append(tv_complement(*(codes[a][i] * num + codes[b][i] for i in (0, 1))))
    return float(np.mean(scores)) if scores else 1.0


def two_sample(real: Frame, mine: Frame, coding: Coding, *, boosted: bool, seed: int = 0) -> float:
    """1 - (2 AUC - 1) of a classifier that tells real rows from others: 1 where it cannot.

    Three folds, and no less than chance in each, as SDMetrics' detection score. `boosted` trees see
    how columns go together; logistic regression, each column alone.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    num = min(len(next(iter(f.values()))) for f in (real, mine))
    draws = generator("two_sample", num)
    parts = []
    for frame in (real, mine):
        x = features(frame, coding, hot=not boosted)
        parts.append(x[torch.randperm(len(x), generator=draws)[:num].numpy()])
    x, y = np.concatenate(parts), np.repeat([1, 0], num)
    scores = []
    for train, test in StratifiedKFold(3, shuffle=True, random_state=seed).split(x, y):
        fitted = classifier(coding, boosted=boosted).fit(x[train], y[train])
        auc = roc_auc_score(y[test], fitted.predict_proba(x[test])[:, 1])
        scores.append(1 - (2 * max(0.5, auc) - 1))
    return float(np.mean(scores))


def features(frame: Frame, coding: Coding, *, hot: bool) -> np.ndarray:
    """Columns [N, F] for a classifier: categories as codes, or one of F a category."""
    parts = []
    for name in [*coding.numeric, *coding.codes]:
        if name not in frame:
            continue
        if hot and name in coding.codes:
            parts.append(np.eye(len(coding.codes[name]) + 1)[frame[name]])
        else:
            parts.append(frame[name][:, None].astype(np.float64))
    return np.concatenate(parts, 1)


def classifier(coding: Coding, *, boosted: bool, without: str | None = None) -> Any:
    """Boosted trees over codes, or logistic regression over scaled numbers and 0/1."""
    if boosted:
        from sklearn.ensemble import HistGradientBoostingClassifier

        names = [n for n in [*coding.numeric, *coding.codes] if n != without]
        mask = [n in coding.codes and len(coding.codes[n]) < 250 for n in names]
        return HistGradientBoostingClassifier(
            max_iter=100, categorical_features=mask, random_state=0
        )
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(max_iter=500)
    )


def taught(train: Frame, test: Frame, target: str, coding: Coding) -> dict[str, float]:
    """How well boosted trees that learned from `train` predict the target of `test`.

    AUC (of several classes the mean of one against the rest); for numbers R^2.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.metrics import r2_score, roc_auc_score

    x, theirs = (
        features({k: v for k, v in f.items() if k != target}, coding, hot=False)
        for f in (train, test)
    )
    y, truth = train[target], test[target]
    if target in coding.numeric:
        there, known = ~np.isnan(y), ~np.isnan(truth)
        if there.sum() < 2 or known.sum() < 2:
            return {}
        fitted = HistGradientBoostingRegressor(random_state=0).fit(x[there], y[there])
        return {"taught_r2": float(r2_score(truth[known], fitted.predict(theirs[known])))}
    classes = [c for c in np.unique(truth) if c in set(y)]
    if len(classes) < 2 or len(set(y)) < 2:
        return {"taught_auc": 0.5}  # one class alone teaches nothing
    fitted = classifier(coding, boosted=True, without=target).fit(x, y)
    guess = fitted.predict_proba(theirs)
    column = {c: i for i, c in enumerate(fitted.classes_)}
    aucs = [roc_auc_score(truth == c, guess[:, column[c]]) for c in classes]
    return {"taught_auc": float(np.mean(aucs))}


def closer_to_train(x: Tensor, train: Tensor, held_out: Tensor) -> float:
    """The share of rows whose nearest is a training row, not one of as many held-out rows.

    1/2 is what rows score that owe nothing to the training rows; ties count half.
    """
    num = min(len(train), len(held_out))
    ours, _ = nearest(x, train[subset(len(train), num)])
    theirs, _ = nearest(x, held_out[subset(len(held_out), num)])
    return float(((ours < theirs).double() + (ours == theirs).double() / 2).mean())


class TableEvaluation(Evaluation):
    """Rows, against held-out rows; the floor: as many training rows, measured in the same way."""

    kind = "table"
    near = RowCopies()
    least = 30

    def __init__(
        self,
        *,
        num_samples: int | None = 5000,
        chunk: int = 1000,
        max_train: int = 20_000,
        pairs: int = 12,
        likelihood_examples: int | None = None,
    ) -> None:
        """`max_train` training rows are looked at for near copies; `pairs` of them are shown."""
        super().__init__(
            num_samples=num_samples, chunk=chunk, likelihood_examples=likelihood_examples
        )
        check_count("max_train", max_train, 30)
        check_count("pairs", pairs, 1)
        self.max_train, self.pairs = max_train, pairs

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        x = samples.x
        report.notes |= {
            "num_floor": min(len(x), len(data.train)),
            "floor": "as many training rows, against the same held-out ones",
        }
        report.pictures = {"samples": x}
        if len(x) < self.least:
            return
        real = gather(data.train, subset(len(data.train), len(x)))
        val = gather(data.val, torch.arange(len(data.val)))
        sets = ((x, samples.cond), *((part["x"], part.get("cond")) for part in (real, val)))
        rows = [full_rows(data, *part) for part in sets]
        coding = Coding(rows[1] + rows[2], numeric_names(data))
        mine, floor, theirs = (coding(r) for r in rows)
        report.metrics |= scores(theirs, mine, coding, target_of(data, theirs))
        report.floor |= scores(theirs, floor, coding, target_of(data, theirs))
        train = gather(data.train, subset(len(data.train), self.max_train))["x"]
        self.copies(report, data, x, val["x"], train)

    def copies(self, report: Report, data: Data, x: Tensor, val: Tensor, train: Tensor) -> None:
        """Nearest training rows, beside those of held-out rows."""
        mine, held, seen = (data.coordinates(part) for part in (x, val, train))
        near, theirs = (row_neighbours(v, seen) for v in (mine, held[subset(len(val), 2000)]))
        values = memorisation(near, theirs)
        report.metrics |= values.metrics | {"closer_to_train": closer_to_train(mine, seen, held)}
        report.floor |= values.floor | {"closer_to_train": 0.5}
        report.interval |= values.interval
        worst = near.distance.argsort(stable=True)[: self.pairs]
        report.pictures |= {"neighbour_samples": x[worst], "neighbours": train[near.index[worst]]}


def row_neighbours(rows: Tensor, train: Tensor) -> Neighbours:
    """Of each row its nearest training row; its distance tells a copy."""
    distance, index = nearest(rows, train)
    return Neighbours(distance=distance, ratio=distance, index=index)


def scores(real: Frame, mine: Frame, coding: Coding, target: str | None) -> dict[str, float]:
    """All that compares rows with held-out rows, column by column and as a whole."""
    values = {
        "shape": shape_score(real, mine, coding),
        "trend": trend_score(real, mine, coding),
        "two_sample": two_sample(real, mine, coding, boosted=True),
        "two_sample_linear": two_sample(real, mine, coding, boosted=False),
    }
    return values | (taught(mine, real, target, coding) if target is not None else {})


def full_rows(data: Data, x: Tensor, labels: Tensor | None) -> list[dict[str, Any]]:
    """Rows with the class as a column, where the data serves one that is none of x's."""
    rows = data.decode(x)
    if data.num_classes is None or labels is None or not len(labels):
        return rows
    if data.target is None or data.target in rows[0]:  # the class is no column of its own
        return rows
    return [
        {**row, data.target: data.class_names[i]} for row, i in zip(rows, labels.long().tolist())
    ]


def numeric_names(data: Data) -> list[str]:
    return [c.name for c in data.columns.columns if c.numeric]


def target_of(data: Data, frame: Frame) -> str | None:
    """The column to predict, where it is among them (a model may know nothing of its class)."""
    return data.target if data.target in frame and len(frame) > 1 else None
