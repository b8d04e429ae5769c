"""Pictures, measured whole: new ones score the floor; copies, noise and collapse do not."""

from __future__ import annotations

import copy
import math

import data_of
import pytest
import torch

from genlab.metrics import features
from genlab.metrics.image import ImageEvaluation
from genlab.metrics.report import Report, proportional_labels
from genlab.models.conditions import Conditions

from .stand_ins import Handout, Table

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("features"))


@pytest.fixture
def digits(monkeypatch):
    monkeypatch.setitem(features.RECIPE, "min_examples", 15_000)
    data = data_of.digits()
    data.load()
    return data


def by_label(split: Table, labels: torch.Tensor) -> torch.Tensor:
    """One example of the split for each label asked for, the same one as rarely as can be."""
    batch = split.batch(torch.arange(len(split)), None)
    taken, ids = {}, []
    for label in labels.tolist():
        at = (batch["cond"] == label).nonzero()[:, 0]
        ids.append(int(at[taken.get(label, 0) % len(at)]))
        taken[label] = taken.get(label, 0) + 1
    return batch["x"][ids]


def evaluate(data, x, cache, num) -> Report:
    return ImageEvaluation(num_samples=num, chunk=77, cache=cache)(Handout(x), data, seed=0)


def test_training_pictures_score_the_floor_but_are_found_out_as_copies(digits, cache):
    val = digits.val.batch(torch.arange(360), None)
    asked = proportional_labels(val["cond"], 400)
    report = evaluate(digits, by_label(digits.train, asked), cache, 400)
    found, floor = report.metrics, report.floor
    assert found["frechet_distance"] < 1.5 * floor["frechet_distance"]
    assert found["class_agreement"] > 0.95
    assert floor["class_agreement"] == report.notes["feature_accuracy"] > 0.95
    assert found["precision"] == pytest.approx(floor["precision"], abs=0.1)
    assert found["recall"] == pytest.approx(floor["recall"], abs=0.1)
    assert found["coverage"] == pytest.approx(floor["coverage"], abs=0.05)
    for name in ("kernel_distance", "frechet_infinity"):
        low, high = report.interval[name]
        assert low < floor[name] == 0 < high
    assert found["classes_drawn"] == floor["classes_drawn"] == 10
    assert found["near_copies"] == 1
    assert floor["near_copies"] < 0.05
    pictures = report.pictures
    assert torch.equal(pictures["neighbour_samples"], pictures["neighbours"])
    assert len(report.notes["feature_hash"]) == 12
    assert report.notes["num_floor"] == 400


def test_a_class_that_is_hardly_drawn_shows_in_the_table_of_classes(digits, cache):
    val = digits.val.batch(torch.arange(360), None)
    whole = evaluate(digits, val["x"], cache, 360)
    assert [row["class"] for row in whole.classes] == list(map(str, digits.class_names))
    assert all(row["ratio"] == 1 for row in whole.classes)
    covered = [row["coverage"] for row in whole.classes]
    assert min(covered) == whole.metrics["coverage_worst_class"]
    few = val["x"][(val["cond"] != 3) | (torch.arange(360) % 4 == 0)]
    rows = evaluate(digits, few, cache, len(few)).classes
    assert rows[3]["ratio"] < 0.5 < rows[4]["ratio"] and rows[3]["coverage"] < covered[3]
    assert rows[3]["interval"][1] < rows[3]["real"]


def test_held_out_pictures_are_no_copies_and_noise_is_far(digits, cache):
    val = digits.val.batch(torch.arange(360), None)
    report = evaluate(digits, val["x"], cache, 360)
    assert report.metrics["near_copies"] < 0.05
    assert report.metrics["nearest_ratio"] == pytest.approx(1)
    assert report.metrics["frechet_distance"] == pytest.approx(0, abs=1e-6)
    noise = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    report = evaluate(digits, noise, cache, 300)
    assert report.metrics["frechet_distance"] > 5 * report.floor["frechet_distance"]
    assert report.interval["kernel_distance"][0] > 1
    assert report.metrics["coverage"] < 0.2
    assert report.metrics["precision"] < 0.5 * report.floor["precision"]
    assert report.metrics["class_agreement"] < 0.3


def test_few_samples_and_broken_ones_are_measured_too(digits, cache):
    x = torch.zeros(8, 1, 8, 8)
    x[0] = torch.nan
    report = evaluate(digits, x, cache, 8)
    assert report.metrics["finite_share"] == 7 / 8
    assert all(v == v for v in report.metrics.values())
    report = evaluate(digits, x * torch.nan, cache, 8)
    assert report.metrics["finite_share"] == 0
    assert "frechet_distance" not in report.metrics
    assert "nothing is compared" in report.notes["compared"]


def test_pictures_without_classes_and_pictures_as_tokens(cache, monkeypatch):
    monkeypatch.setitem(features.RECIPE, "min_examples", 3000)
    data = data_of.digits(shape=[64], num_classes=None, vocab=17, form="pixels")
    data.load()
    report = evaluate(data, data.val.batch(torch.arange(360), None)["x"], cache, 100)
    assert report.notes["feature_task"] == "quarter turns"
    assert "class_agreement" not in report.metrics
    assert "confident_share" not in report.metrics
    assert report.pictures["neighbours"].shape == (32, 64)


def test_a_model_that_ignores_classes_is_not_asked_for_them(digits, cache):
    class Unconditional(Handout):
        conditions = Conditions()

        def sample(self, num, cond=None, given=None, *, seed=0, first=0):
            assert cond is None
            return super().sample(num, seed=seed, first=first)

    model = Unconditional(digits.val.batch(torch.arange(360), None)["x"])
    report = ImageEvaluation(num_samples=50, cache=cache)(model, digits)
    assert "class_agreement" not in report.metrics
    assert "class_agreement" not in report.floor
    assert "confident_share" in report.metrics


def few_of_each(split: Table, labels: torch.Tensor, few: int) -> torch.Tensor:
    """As `by_label`, of the first `few` examples of each class alone."""
    batch = split.batch(torch.arange(len(split)), None)
    ids = torch.cat([(batch["cond"] == c).nonzero()[:few, 0] for c in range(10)]).sort().values
    return by_label(Table(batch["x"][ids], batch["cond"][ids]), labels)


def test_twenty_pictures_a_class_over_and_over_are_seen(digits, cache):
    asked = proportional_labels(digits.val.batch(torch.arange(360), None)["cond"], 1000)
    whole = evaluate(digits, by_label(digits.train, asked), cache, 1000)
    few = evaluate(digits, few_of_each(digits.train, asked, 20), cache, 1000)
    # the classes agree, each picture is real: the distance hardly moves
    assert few.metrics["class_agreement"] > 0.95
    assert few.metrics["precision"] > whole.metrics["precision"] - 0.05
    for name in ("coverage", "recall"):
        assert few.interval[name][1] < few.floor[name] - 0.02, name
        assert whole.interval[name][1] > whole.floor[name] - 0.02, name
    # about 36 held-out pictures a class: a bound that every processor's feature network keeps
    assert few.metrics["coverage_worst_class"] < few.floor["coverage_worst_class"] - 0.05
    assert few.notes["worst_class"] in range(10)


def test_one_class_collapsed_is_named(digits, cache):
    asked = proportional_labels(digits.val.batch(torch.arange(360), None)["cond"], 1000)
    x = by_label(digits.train, asked)
    sevens = asked == 7
    x[sevens] = x[sevens][:1]
    report = evaluate(digits, x, cache, 1000)
    assert report.notes["worst_class"] == 7
    assert report.metrics["coverage_worst_class"] < 0.5 * report.floor["coverage_worst_class"]


@pytest.mark.parametrize("num", [1, 36, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 7))])
def test_few_held_out_pictures_are_measured_too(digits, cache, num):
    held = digits.val.batch(torch.arange(num), None)
    small = copy.copy(digits)
    small._splits = {"train": digits.train, "val": Table(held["x"], held["cond"])}
    small.fingerprint = lambda: f"small {num}"
    x = digits.train.batch(torch.arange(40), None)["x"]
    report = evaluate(small, x, cache, 40)
    assert all(math.isfinite(v) for v in report.metrics.values())
    assert ("kernel_distance" in report.metrics) == (num == 36)
    assert ("none: " in report.notes.get("distances", "")) == (num < 8)
    assert ("none, nor " in report.notes.get("coverage", "")) == (num < 36)
    assert ("precision" in report.metrics) == (num == 36)
    if num == 36:
        assert "it needs 128 pictures, here 36" in report.notes["frechet_infinity"]
        assert report.interval["kernel_distance"][0] < report.interval["kernel_distance"][1]


def test_a_second_evaluation_of_the_data_trains_and_computes_nothing(digits, tmp_path, monkeypatch):
    monkeypatch.setitem(features.RECIPE, "min_examples", 500)
    x = digits.val.batch(torch.arange(360), None)["x"]
    stages: list[set[str]] = []

    def measured():
        metric = ImageEvaluation(num_samples=200, cache=str(tmp_path))
        stages.append(set())
        metric.progress = lambda stage, share: stages[-1].add(stage)
        return metric(Handout(x), digits)

    first, again = measured(), measured()
    new = {"training the feature network", "features of the real pictures"}
    assert stages[0] - stages[1] == new | {"neighbours of held-out pictures"}
    assert again.metrics == first.metrics and again.floor == first.floor
    (file,) = tmp_path.glob("*.reference.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="damaged"):
        assert measured().metrics == first.metrics


def test_a_weak_judge_and_few_held_out_pictures_are_told_beside_the_numbers() -> None:
    from types import SimpleNamespace

    from genlab.metrics.image import ImageEvaluation
    from genlab.metrics.report import Report

    def told(accuracy: float, num: int) -> dict[str, str]:
        report = Report(metrics={"precision": 0.7, "near_copies": 0.0})
        real = SimpleNamespace(
            features=SimpleNamespace(accuracy=accuracy), val=torch.zeros(num, 1),
            val_probs=torch.zeros(num, 4),
        )  # fmt: skip
        ImageEvaluation().warn(report, real)
        return report.remarks

    assert told(0.35, 500) == {"precision": "by a weak judge: 35% right, 25% by chance"}
    assert told(0.9, 20) == {"precision": "only 20 held-out pictures"} and told(0.9, 500) == {}
