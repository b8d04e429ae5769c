"""The whole evaluations on real data: new examples score the floor, copies and noise do not."""

from __future__ import annotations

import pytest
import torch

from genlab.metrics import features
from genlab.metrics.evaluation import ImageEvaluation, TextEvaluation
from genlab.metrics.report import Report, draw, in_turn, proportional_labels, same_labels, subset
from genlab.models.conditions import Conditions

from .stand_ins import Handout, Table


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("features"))


@pytest.fixture
def digits(monkeypatch):
    from genlab.data.images import Digits

    monkeypatch.setitem(features.RECIPE, "min_examples", 15_000)
    data = Digits(shape=[1, 8, 8], num_classes=10, levels=17, batch_size=32, seed=0)
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
    assert found["classes_drawn"] == floor["classes_drawn"] == 10
    assert found["near_copies_pixels"] == found["near_copies_features"] == 1
    assert floor["near_copies_pixels"] < 0.05
    pictures = report.pictures
    assert torch.equal(pictures["neighbour_samples"], pictures["neighbours"])
    assert len(report.notes["feature_hash"]) == 12
    assert report.notes["num_floor"] == 400


def test_held_out_pictures_are_no_copies_and_noise_is_far(digits, cache):
    val = digits.val.batch(torch.arange(360), None)
    report = evaluate(digits, val["x"], cache, 360)
    assert report.metrics["near_copies_pixels"] < 0.05
    assert report.metrics["nearest_ratio_pixels"] == pytest.approx(1)
    assert report.metrics["frechet_distance"] == pytest.approx(0, abs=1e-6)
    noise = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    report = evaluate(digits, noise, cache, 300)
    assert report.metrics["frechet_distance"] > 5 * report.floor["frechet_distance"]
    assert report.metrics["kernel_distance"] > 5 * report.floor["kernel_distance"]
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


def test_pictures_without_classes_and_pictures_as_tokens(cache, monkeypatch):
    from genlab.data.images import Digits

    monkeypatch.setitem(features.RECIPE, "min_examples", 3000)
    data = Digits(
        shape=[64], num_classes=None, levels=17, vocab=17, form="pixels", batch_size=32, seed=0
    )
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


@pytest.fixture
def text(tmp_path):
    from genlab.data.text import TextFile
    from genlab.data.tokenizers import Bytes

    line = "the {} of {} is never as {} as the {} of it, said number {}.\n"
    words = ["sea", "sun", "law", "war", "end", "art", "sky", "ice", "age", "eye"]
    lines = [
        line.format(*(words[(i // 10**k) % 10] for k in range(4)), i * 7919) for i in range(900)
    ]
    (tmp_path / "lines.txt").write_text("".join(lines))
    data = TextFile(
        path=str(tmp_path / "lines.txt"),
        tokenizer=Bytes(),
        block=64,
        vocab=257,
        batch_size=4,
        seed=0,
    )
    data.load()
    return data


def test_copied_text_is_found_out_and_held_out_text_scores_the_floor(text):
    copies = text.train.batch(torch.arange(0, 6400, 320), None)["x"]
    report = TextEvaluation(num_samples=20)(Handout(copies), text)
    assert report.metrics["longest_copy"] == 64
    assert report.notes["longest_copy_text"] in text.decode(copies)
    assert report.metrics["copied_share"] == 1
    assert report.floor["longest_copy"] < 64
    held = text.val.batch(subset(len(text.val) - 1, 20), None)["x"]
    report = TextEvaluation(num_samples=20)(Handout(held), text)
    for name, value in report.floor.items():
        assert report.metrics[name] == value
    babble = torch.randint(98, 122, (20, 64), generator=torch.Generator().manual_seed(0))
    report = TextEvaluation(num_samples=20)(Handout(babble), text)
    assert report.metrics["known_words"] < 0.1
    assert report.floor["known_words"] > 0.5
    assert report.metrics["longest_copy"] < 8


def test_labels_in_proportion_and_interleaved():
    labels = torch.tensor([0] * 50 + [1] * 30 + [3] * 20)
    found = proportional_labels(labels, 1000)
    assert found.bincount().tolist() == [500, 300, 0, 200]
    assert found[:100].bincount().tolist() == [50, 30, 0, 20]
    assert len(proportional_labels(labels, 7)) == 7
    draws = torch.Generator().manual_seed(0)
    ids = same_labels(labels, torch.tensor([0, 3, 3]), draws)
    assert sorted(labels[ids].tolist()) == [0, 3, 3]
    assert len(same_labels(labels, torch.tensor([3] * 99), draws)) == 20


def test_a_grid_has_a_column_per_class() -> None:
    labels = proportional_labels(torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 2]), 40)
    order = in_turn(labels)
    assert sorted(order.tolist()) == list(range(40))
    assert labels[order][:24].tolist() == [0, 1, 2] * 8  # there are eight of the rarest
    twos = order[labels[order] == 2]
    assert twos.tolist() == sorted(twos.tolist())
    assert in_turn(torch.tensor([3, 3, 1])).tolist() == [2, 0, 1]


def test_a_subset_is_fixed_and_has_no_rhythm():
    ids = subset(10_000, 1000)
    assert torch.equal(ids, subset(10_000, 1000))
    assert len(ids.unique()) == 1000
    assert len((ids % 10).unique()) == 10
    assert torch.equal(subset(5, 9), torch.arange(5))


def test_draw_asks_by_index_so_chunks_do_not_matter():
    x = torch.arange(10.0)[:, None]
    for chunk in (1, 3, 10, 99):
        found, finite = draw(Handout(x), 10, None, seed=0, chunk=chunk)
        assert torch.equal(found, x)
        assert finite.all()
