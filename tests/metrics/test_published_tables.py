"""Metrics of publications on tables, against SDMetrics itself, XGBoost and CatBoost if there."""

from __future__ import annotations

import numpy as np
import pytest

from genlab.metrics import sdmetrics, tstr
from genlab.metrics.sdmetrics import SDMetrics, own_bins
from genlab.metrics.table import shape_score, trend_score
from genlab.metrics.tstr import TSTR
from genlab.runs.gate.types import hints_of

from .stand_ins import Handout
from .test_table_metric import Numbers, coded, rows


class Splits(Numbers):
    """As a data module has them: val stays val."""

    def split(self, name: str):
        return {"train": self.train, "val": self.val}[name]


def frames(together: bool, num: int = 900):
    """Rows of both kinds, as columns and as pandas' frames."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    parts = [rows(num), rows(num - 200, 1, together=together)]
    parts = [[{**r, "d": r["d"] or "none"} for r in p] for p in parts]
    coding, columns = coded(*parts)
    return coding, columns, [pandas.DataFrame(p).astype({"c": object, "d": object}) for p in parts]


KINDS = {"a": "numerical", "b": "numerical", "c": "categorical", "d": "categorical"}


@pytest.mark.parametrize("together", [True, False])
def test_shape_and_trend_are_those_of_the_quality_report(together: bool) -> None:
    reports = pytest.importorskip("sdmetrics.reports.single_table", reason="no sdmetrics")
    coding, (real, mine), tables = frames(together)
    report = reports.QualityReport()
    said = {"columns": {n: {"sdtype": kind} for n, kind in KINDS.items()}}
    report.generate(*tables, said, verbose=False)
    shape, trend = report.get_properties()["Score"]
    assert shape_score(real, mine, coding) == pytest.approx(shape, abs=1e-4)
    assert trend_score(real, mine, coding, bins=own_bins) == pytest.approx(trend, abs=1e-4)
    assert abs(trend_score(real, mine, coding) - trend) > 1e-4  # the bins of one are not its own


@pytest.mark.parametrize("together", [True, False])
def test_the_two_sample_score_is_that_of_sdmetrics_with_xgboost(together: bool) -> None:
    detection = pytest.importorskip("sdmetrics.single_table.detection.sklearn", reason="none")
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed")

    class Trees(detection.ScikitLearnClassifierDetectionMetric):
        @staticmethod
        def _get_classifier():
            return xgboost.XGBClassifier(eval_metric="logloss", random_state=0, n_jobs=1)

    coding, (real, mine), tables = frames(together)
    found = sdmetrics.two_sample_xgb(real, mine, coding)
    np.random.seed(0)  # its folds are drawn by numpy's own generator
    said = {"columns": {n: {"sdtype": kind} for n, kind in KINDS.items()}}
    assert found == pytest.approx(Trees.compute(*tables, said), abs=1e-4)
    assert (found > 0.8) if together else (found < 0.4)


def test_samples_are_compared_with_all_training_rows() -> None:
    data = Splits()
    metric = SDMetrics(two_sample=False)
    report = metric(Handout(data.encode(rows(1600, 3))), data)
    assert report.notes["num_samples"] == report.notes["num_real"] == 1600
    assert report.metrics["shape"] > 0.94 and report.metrics["trend"] > 0.94
    split = metric(Handout(data.encode(rows(1600, 3, together=False))), data).metrics
    assert split["shape"] > 0.94 and split["trend"] < 0.8


@pytest.mark.parametrize(("target", "figure"), [("c", "tstr_f1"), ("b", "tstr_r2")])
def test_what_samples_teach_catboost(target: str, figure: str) -> None:
    pytest.importorskip("catboost", reason="catboost is not installed")
    data = Splits()
    data.target = target
    metric = TSTR(sets=2, seeds=2, catboost={"depth": 3, "learning_rate": 0.2})
    found = metric(Handout(data.encode(rows(1600, 3))), data)
    assert found.metrics[figure] == pytest.approx(found.floor[figure], abs=0.08)
    assert found.floor[figure] > 0.8 and found.notes["num_fits"] == 4
    split = metric(Handout(data.encode(rows(1600, 3, together=False))), data)
    assert split.metrics[figure] < found.metrics[figure] - 0.3


def test_scores_by_hand() -> None:
    truth, guess = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    found = tstr.scored_classes(truth, guess, np.array([0.1, 0.6, 0.7, 0.9]))
    assert found == pytest.approx(
        {"tstr_f1": (2 / 3 + 4 / 5) / 2, "tstr_accuracy": 0.75, "tstr_auc": 1.0}
    )
    numbers = tstr.scored_numbers(np.array([0.0, 2.0]), np.array([1.0, 2.0]))
    assert numbers == pytest.approx({"tstr_r2": 0.5, "tstr_rmse": 0.5**0.5})


@pytest.mark.parametrize(
    ("name", "needs"), [("xgboost", sdmetrics.xgboost), ("catboost", tstr.catboost)]
)
def test_a_missing_extra_is_named(name: str, needs, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"pip install 'genlab\[tables\]'"):
        needs()


def test_a_table_without_a_target_teaches_nothing_that_could_be_measured() -> None:
    data = Splits()
    data.target = None
    with pytest.raises(ValueError, match=r"write data\.target=NAME"):
        TSTR(num_samples=40)(Handout(data.encode(rows(40, 3))), data)


@pytest.mark.parametrize("metric", [SDMetrics, TSTR])
def test_settings_are_shared_stated_and_checked(metric) -> None:
    stated = hints_of(metric)
    assert {"num_samples": int | None, "chunk": int}.items() <= stated.items()
    assert not {"num_samples", "chunk", "likelihood_examples"} & {*vars(metric)["__annotations__"]}
    assert (metric().chunk, metric().num_samples, metric().least) == (2000, None, 30)
    for wrong in ({"num_samples": 29}, {"chunk": 0}, {"likelihood_examples": 0}):
        with pytest.raises(ValueError, match=f"metric.{next(iter(wrong))}="):
            metric(**wrong)
    with pytest.raises(ValueError, match=r"metric\.seeds=0"):
        TSTR(seeds=0)
