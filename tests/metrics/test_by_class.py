"""The table of classes, against counting by hand."""

from __future__ import annotations

import torch

from genlab.metrics.by_class import Covered, by_class
from genlab.metrics.distribution import Manifolds
from genlab.metrics.interval import share_interval

NAMES = ["shirt", "bag", "boot"]


def seen(classes: list[int]) -> torch.Tensor:
    """The probabilities of a classifier that sees these."""
    return torch.nn.functional.one_hot(torch.tensor(classes), 3) * 0.6 + 0.1


def flags(bits: str) -> torch.Tensor:
    return torch.tensor([b == "1" for b in bits])


SAMPLES, REAL = seen([0] * 5 + [1] * 4 + [0]), seen([0, 0, 1, 1, 2, 2, 2, 2])
LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 2, 1])  # of the real ones, one of which is mistaken
COVERED = Covered(
    Manifolds(flags("1101110000"), flags("00000000"), flags("10110010")),
    mine=torch.arange(10),
    held=torch.arange(8),
)


def test_shares_are_the_classifiers_on_both_sides() -> None:
    rows = by_class(NAMES, SAMPLES, REAL, LABELS, None, None, least=1)
    assert [row["class"] for row in rows] == NAMES
    assert [row["share"] for row in rows] == [0.6, 0.4, 0.0]
    assert [row["real"] for row in rows] == [0.25, 0.25, 0.5]
    assert [row["ratio"] for row in rows] == [0.6 / 0.25, 0.4 / 0.25, 0.0]
    assert rows[0]["interval"] == list(share_interval(6, 10))
    assert "precision" not in rows[0]


def test_a_class_that_no_real_picture_is_seen_as_has_no_ratio() -> None:
    rows = by_class(NAMES, SAMPLES, seen([0, 0, 1]), torch.tensor([0, 0, 2]), None, None, least=1)
    assert rows[2]["real"] == 0 and rows[2]["ratio"] is None


def test_precision_is_of_the_samples_asked_for_and_coverage_of_the_labels() -> None:
    asked = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    rows = by_class(NAMES, SAMPLES, REAL, LABELS, asked, COVERED, least=2)
    assert [row["precision"] for row in rows] == [2 / 3, 1.0, 0.0]
    assert [row["coverage"] for row in rows] == [0.5, 2 / 3, 1 / 3]
    unasked = by_class(NAMES, SAMPLES, REAL, LABELS, None, COVERED, least=2)
    assert [row["precision"] for row in unasked] == [4 / 6, 1 / 4, None], "of those seen as it"


def test_a_class_with_few_pictures_has_neither() -> None:
    asked = torch.tensor([0] * 3 + [1] * 7)
    rows = by_class(NAMES, SAMPLES, REAL, LABELS, asked, COVERED, least=3)
    assert [row["precision"] is None for row in rows] == [False, False, True]
    assert [row["coverage"] is None for row in rows] == [True, False, False]


def test_a_part_of_the_samples_and_pictures_is_looked_at() -> None:
    """precise and covered are of the chosen ones, in their order."""
    asked = torch.tensor([2, 0, 0, 1, 1, 1, 1, 1, 1, 1])
    some = Covered(Manifolds(flags("10"), flags("00"), flags("01")), torch.tensor([1, 9]),
                   torch.tensor([2, 7]))  # fmt: skip
    rows = by_class(NAMES, SAMPLES, REAL, LABELS, asked, some, least=1)
    assert [row["precision"] for row in rows] == [1.0, 0.0, None]
    assert [row["coverage"] for row in rows] == [None, 0.5, None]
