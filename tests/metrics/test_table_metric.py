"""Metrics of tables: definitions by hand, defects that each must see, the published calibration."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import CONF

from genlab.metrics import table
from genlab.metrics.table import Coding, TableEvaluation

from .stand_ins import Handout
from .stand_ins import Table as Held


def rows(num: int, seed: int = 0, *, together: bool = True) -> list[dict[str, Any]]:
    """Two numbers and two categories that go together, or do not."""
    g = np.random.default_rng(seed)
    a = g.normal(size=num)
    b = a + 0.3 * g.normal(size=num)
    c = np.where(a + 0.5 * g.normal(size=num) > 0, "up", "down")
    d = np.where(a > 1, None, g.choice(["x", "y"], num))
    if not together:
        a, b, c, d = (g.permutation(v) for v in (a, b, c, d))
    return [{"a": float(w), "b": float(x), "c": str(y), "d": z} for w, x, y, z in zip(a, b, c, d)]


def coded(*parts: list[dict[str, Any]]) -> tuple[Coding, list[table.Frame]]:
    coding = Coding([r for p in parts for r in p], ["a", "b"])
    return coding, [coding(p) for p in parts]


# --- definitions ----------------------------------------------------------------------------------


def test_columns_are_compared_as_published() -> None:
    assert table.ks_complement(np.arange(4.0), np.arange(4.0)) == 1
    assert table.ks_complement(np.zeros(4), np.ones(3)) == 0
    # distribution functions 1/2, 1 and 1/4, 1 at 0 and 1
    real, mine = np.array([0.0, 1.0, math.nan]), np.array([0.0, 1.0, 1.0, 1.0])
    assert table.ks_complement(real, mine) == pytest.approx(0.75)
    assert table.ks_complement(real[2:], mine) == 0 == 1 - table.ks_complement(real[2:], real[2:])
    assert table.tv_complement(np.array([0, 0, 1]), np.array([0, 2, 2])) == pytest.approx(1 / 3)


def test_pairs_are_compared_as_published() -> None:
    x = np.arange(5.0)
    assert table.correlation_similarity((x, x), (x, -x)) == pytest.approx(0)
    assert table.correlation_similarity((x, x), (x, 2 * x)) == pytest.approx(1)
    assert table.correlation_similarity((x, x), (x, 0 * x)) is None
    r = np.corrcoef(x, x**2)[0, 1]
    found = table.correlation_similarity((x, x**2), (x, x))
    assert found == pytest.approx(1 - abs(r - 1) / 2)
    real, mine = table.binned(np.arange(100.0), np.array([-1.0, 0, 95, 100, math.nan]))
    assert np.bincount(real).tolist() == [10] * 10
    assert mine.tolist() == [0, 0, 9, 9, 10]
    assert (
        np.bincount(table.binned(np.arange(100.0), np.array([0.0, 1e3]))[0]).tolist() == [10] * 10
    )


def test_two_sample_is_one_for_equal_laws_and_zero_for_others() -> None:
    coding, (real, same, far) = coded(
        rows(600), rows(600, 1), [{**r, "a": r["a"] + 9} for r in rows(600, 2)]
    )
    for boosted in (True, False):
        assert table.two_sample(real, same, coding, boosted=boosted) > 0.85
        assert table.two_sample(real, far, coding, boosted=boosted) < 0.02
        # the same rows again: a fold is told the wrong way round, and no less than chance counts
        assert table.two_sample(real, real, coding, boosted=boosted) <= 1


def test_only_trees_see_how_columns_go_together() -> None:
    coding, (real, split) = coded(rows(1500), rows(1500, 1, together=False))
    assert table.shape_score(real, split, coding) > 0.95
    assert table.trend_score(real, split, coding) < 0.8
    assert table.two_sample(real, split, coding, boosted=True) < 0.4
    assert table.two_sample(real, split, coding, boosted=False) > 0.85


def test_what_rows_teach() -> None:
    coding, (train, test, split) = coded(rows(800), rows(800, 1), rows(800, 2, together=False))
    assert table.taught(train, test, "c", coding)["taught_auc"] > 0.85
    assert abs(table.taught(split, test, "c", coding)["taught_auc"] - 0.5) < 0.1
    assert table.taught(train, test, "d", coding)["taught_auc"] > 0.6  # three with the missing
    assert table.taught(train, test, "b", coding)["taught_r2"] > 0.8
    assert table.taught(split, test, "b", coding)["taught_r2"] < 0.1
    one = {k: v[train["c"] == 0] for k, v in train.items()}
    assert table.taught(one, test, "c", coding) == {"taught_auc": 0.5}


def test_copies_are_closer_to_train() -> None:
    g = torch.Generator().manual_seed(0)
    train, held, new = (torch.randn(400, 4, generator=g) for _ in range(3))
    assert abs(table.closer_to_train(new, train, held) - 0.5) < 0.1
    assert table.closer_to_train(train + 0.01, train, held) > 0.97
    assert table.closer_to_train(held, train, held) == 0
    assert table.closer_to_train(new, train, train) == 0.5
    many = torch.cat([train, torch.randn(8000, 4, generator=g)])  # compared with as many as held
    assert abs(table.closer_to_train(new, many, held) - 0.5) < 0.1


# --- the evaluation -------------------------------------------------------------------------------


class Numbers:
    """Tables whose x is their rows: two numbers and two blocks of categories."""

    kind, shape, num_classes, vocab, levels, target = "table", (7,), None, None, None, "c"
    columns = SimpleNamespace(
        columns=[SimpleNamespace(name=n, numeric=k != "category") for n, k in
                 (("a", "continuous"), ("b", "continuous"), ("c", "category"), ("d", "category"))]
    )  # fmt: skip

    def __init__(self) -> None:
        self.train, self.val = (Held(self.encode(rows(800, s))) for s in (1, 2))

    @staticmethod
    def coordinates(x: torch.Tensor) -> torch.Tensor:
        return x

    @staticmethod
    def encode(items: list[dict[str, Any]]) -> torch.Tensor:
        return torch.tensor(
            [[r["a"], r["b"], *(2.0 * (r["c"] == v) - 1 for v in ("up", "down")),
              *(2.0 * (r["d"] == v) - 1 for v in ("x", "y", None))] for r in items]
        )  # fmt: skip

    def decode(self, x: torch.Tensor) -> list[dict[str, Any]]:
        return [
            {"a": r[0].item(), "b": r[1].item(), "c": ["up", "down"][int(r[2:4].argmax())],
             "d": ["x", "y", None][int(r[4:].argmax())]} for r in x
        ]  # fmt: skip

    def fingerprint(self) -> str:
        return "numbers"


def test_a_perfect_model_scores_the_floor_and_a_copyist_is_seen() -> None:
    data = Numbers()
    evaluation = TableEvaluation(num_samples=600, chunk=250)
    report = evaluation(Handout(data.encode(rows(600, 3))), data)
    found, floor = report.metrics, report.floor
    assert set(found) - set(floor) == {"loss", "finite_share"}
    for name in ("shape", "trend", "two_sample", "two_sample_linear", "taught_auc"):
        assert found[name] == pytest.approx(floor[name], abs=0.1), name
    assert abs(found["closer_to_train"] - 0.5) < 0.1 and found["near_copies"] < 0.05
    assert report.pictures["neighbour_samples"].shape == (12, 7)
    report = evaluation(Handout(data.train.entries["x"]), data)
    assert report.metrics["near_copies"] == 1 and report.metrics["closer_to_train"] > 0.95
    assert report.metrics["nearest_ratio"] == 0
    report = evaluation(Handout(data.encode(rows(600, 3, together=False))), data)
    assert report.metrics["two_sample"] < 0.5 * floor["two_sample"]


def test_rows_that_are_not_finite_are_left_out() -> None:
    data, x = Numbers(), Numbers.encode(rows(100, 3))
    x[::2, 0] = math.nan
    report = TableEvaluation(num_samples=100)(Handout(x), data)
    assert report.metrics["finite_share"] == 0.5
    assert all(math.isfinite(v) for v in report.metrics.values())


def test_a_count_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"metric\.num_samples=1: allowed is 30 or more"):
        TableEvaluation(num_samples=1)


# --- calibration, and agreement -------------------------------------------------------------------


def adult(data_root) -> tuple[Any, list[list[dict[str, Any]]]]:
    from genlab.data.sources.tables import Adult
    from genlab.data.table import Table

    stated = yaml.safe_load((CONF / "data" / "adult.yaml").read_text())
    data = Table(
        source=Adult(), shape=stated["shape"], widths=stated["widths"], batch_size=8, seed=0
    )
    data.prepare()
    data.load()
    return data, [data.rows(s) for s in (data.train, data.test)]


@pytest.mark.slow
def test_independent_columns_of_adult_score_as_published(data_root) -> None:
    """Published for independent columns: shape .996, trend .925, two-sample classifier .016."""
    data, (train, test) = adult(data_root)
    coding = Coding(train + test, table.numeric_names(data))
    real, mine = coding(test), coding(train)
    g = np.random.default_rng(0)
    mine = {name: g.permutation(values) for name, values in mine.items()}
    assert table.shape_score(real, mine, coding) > 0.99
    assert table.trend_score(real, mine, coding) == pytest.approx(0.925, abs=0.005)
    assert table.two_sample(real, mine, coding, boosted=True) < 0.04
    assert table.two_sample(real, mine, coding, boosted=False) > 0.97  # it cannot see it


@pytest.mark.parametrize("together", [True, False])
def test_it_agrees_with_sdmetrics(together: bool) -> None:
    pytest.importorskip("sdmetrics", reason="sdmetrics is not installed")
    import pandas
    from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
    from sdmetrics.single_column import KSComplement, TVComplement

    mine = rows(500, 1, together=together)
    coding, (a, b) = coded(rows(400), mine)
    frames = [pandas.DataFrame(f) for f in (a, b)]  # codes: a missing category is one of them
    frames = [f.assign(c=f["c"].astype(str), d=f["d"].astype(str)) for f in frames]
    columns = [
        (KSComplement if n in "ab" else TVComplement).compute(*(f[n] for f in frames))
        for n in "abcd"
    ]
    assert table.shape_score(a, b, coding) == pytest.approx(np.mean(columns))
    pairs = []
    for pair in ("ab", "ac", "ad", "bc", "bd", "cd"):
        both = [f[list(pair)] for f in frames]
        if pair == "ab":
            pairs.append(CorrelationSimilarity.compute(*both))
            continue
        numbers = [n for n in pair if n in "ab"] or None
        pairs.append(ContingencySimilarity.compute(*both, continuous_column_names=numbers))
    assert table.trend_score(a, b, coding) == pytest.approx(np.mean(pairs))
