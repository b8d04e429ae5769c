"""Train on synthetic, test on real: what CatBoost learns from samples, and from real rows.

Read: `TSTR.compare`. The protocol of TabDDPM (Kotelnikov et al. 2023, arXiv 2209.15421, section
4.2): several sets of samples, several seeds of CatBoost on each, which stops by real held-out rows
and is measured on others: macro F1, accuracy and AUC of a class, R^2 and RMSE of a number. Needs
the extra `tables`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from genlab.metrics.base import Samples, check_count
from genlab.metrics.published import PublishedTables, whole
from genlab.metrics.report import Data, Model, Report
from genlab.metrics.table import Coding, Frame, full_rows, numeric_names, target_of

STEPS = 2000  # of CatBoost at most; it stops when it has not become better for
PATIENCE = 50


@dataclass(kw_only=True, eq=False)
class TSTR(PublishedTables):
    """CatBoost that learns from samples; the floor: from the training rows.

    `sets` of samples, `seeds` of CatBoost on each; `catboost`: its settings, tuned on data.
    """

    sets: int = 5
    seeds: int = 10
    catboost: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("sets", self.sets, 1)
        check_count("seeds", self.seeds, 1)

    def count(self, model: Model, data: Data) -> int:
        return len(data.train)

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        report.pictures = {"samples": samples.x}
        report.notes |= {
            "floor": "CatBoost on the training rows",
            "num_fits": self.sets * self.seeds,
        }
        splits = {"train": data.train, "val": data.split("val"), "test": data.val}
        parts = {name: whole(part) for name, part in splits.items()}
        rows = {name: full_rows(data, p["x"], p.get("cond")) for name, p in parts.items()}
        coding = Coding([*rows["train"], *rows["val"]], numeric_names(data))
        frames = {name: coding(r) for name, r in rows.items()}
        target = target_of(data, frames["train"])
        if target is None:
            raise ValueError(
                "data.target=null: metric=tstr needs the column to predict; write data.target=NAME"
            )
        found = []
        for i in range(self.sets):
            drawn = self.draw(model, data, samples.num, samples.seed + i) if i else samples
            if len(drawn.x) < self.least:
                return
            mine = coding(full_rows(data, drawn.x, drawn.cond))
            found += self.taught(mine, frames, target, coding, len(found))
        floor = self.taught(frames["train"], frames, target, coding, len(found))
        report.metrics |= mean(found)
        report.floor |= mean(floor)

    def taught(
        self, rows: Frame, real: Mapping[str, Frame], target: str, coding: Coding, done: int
    ) -> list[dict[str, float]]:
        """What CatBoost of each seed scores on the test rows, having learned from `rows`."""
        found = []
        for seed in range(self.seeds):
            self.tell("teaching", (done + seed) / ((self.sets + 1) * self.seeds))
            found.append(self.score(rows, real["val"], real["test"], target, coding, seed))
        return found

    def score(
        self, rows: Frame, val: Frame, test: Frame, target: str, coding: Coding, seed: int
    ) -> dict[str, float]:
        classes = target in coding.codes
        kind = catboost()[0 if classes else 1]
        names = [n for n in rows if n != target]
        hot = [i for i, n in enumerate(names) if n in coding.codes]
        told = [known(f, target) for f in (rows, val, test)]
        x = [table_of(f, names, coding) for f in told]
        y = [f[target] for f in told]
        if classes and len({*y[0]}) < 2:  # one class alone teaches nothing
            return scored_classes(y[2], np.full(len(y[2]), y[0][0]), None)
        trees = kind(
            iterations=STEPS, early_stopping_rounds=PATIENCE, random_seed=seed, cat_features=hot,
            thread_count=torch.get_num_threads(), verbose=False, allow_writing_files=False,
            eval_metric="TotalF1" if classes else "RMSE", **(self.catboost or {}),
        )  # fmt: skip
        trees.fit(x[0], y[0], eval_set=(x[1], y[1]))
        guess = np.asarray(trees.predict(x[2])).reshape(-1)
        if not classes:
            return scored_numbers(y[2], guess)
        two = len(trees.classes_) == 2
        return scored_classes(y[2], guess, trees.predict_proba(x[2])[:, 1] if two else None)


def known(frame: Frame, target: str) -> Frame:
    """The rows whose target is not missing."""
    there = ~np.isnan(frame[target].astype(np.float64))
    return {name: values[there] for name, values in frame.items()}


def table_of(frame: Frame, names: list[str], coding: Coding) -> Any:
    """Rows as CatBoost takes them: numbers as they are, categories as whole numbers [N, F]."""
    columns = [frame[n].astype(int if n in coding.codes else np.float64) for n in names]
    out = np.empty((len(columns[0]), len(columns)), object)
    for i, column in enumerate(columns):
        out[:, i] = column
    return out


def scored_classes(truth: np.ndarray, guess: np.ndarray, share: Any) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

    found = {
        "tstr_f1": float(f1_score(truth, guess, average="macro")),
        "tstr_accuracy": float(accuracy_score(truth, guess)),
    }
    if share is not None and len({*truth}) == 2:
        found["tstr_auc"] = float(roc_auc_score(truth, share))
    return found


def scored_numbers(truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import r2_score

    rmse = float(np.sqrt(np.mean((truth - guess) ** 2)))
    return {"tstr_r2": float(r2_score(truth, guess)), "tstr_rmse": rmse}


def mean(found: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure that all have."""
    names = [n for n in found[0] if all(n in f for f in found)]
    return {n: float(np.mean([f[n] for f in found])) for n in names}


def catboost() -> tuple[Any, Any]:
    """CatBoost's classifier and regressor."""
    try:
        from catboost import CatBoostClassifier, CatBoostRegressor
    except ImportError:
        raise ValueError("metric=tstr needs catboost: pip install 'genlab[tables]'") from None
    return CatBoostClassifier, CatBoostRegressor
