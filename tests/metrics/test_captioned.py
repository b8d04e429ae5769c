"""Pictures by caption, against truth: the captions' own pictures, others', unreadable ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genlab.data.scene_law import CASES
from genlab.data.shapes import PARTS, CaptionedShapes
from genlab.metrics.base import held_out_ids
from genlab.metrics.captioned import CaptionsEvaluation, counted
from genlab.metrics.interval import share_interval
from genlab.metrics.report import Report
from genlab.models.conditions import Conditions

from .stand_ins import Handout, Stub

NUM = 96  # 16 of each part, the first of val
NAMES = ["_".join(("right", *part)) for part in PARTS]


@pytest.fixture(scope="module")
def data() -> CaptionedShapes:
    """Its val is the first NUM pictures of it."""
    made = CaptionedShapes(batch_size=8, seed=0)
    made.load()
    made.val.pictures, made.val.captions = made.val.pictures[:NUM], made.val.captions[:NUM]
    return made


class Shows(Stub):
    """Draws the picture that `chosen` gives for each number of val; asked for val in order."""

    def __init__(self, data: CaptionedShapes, chosen: Callable[[Tensor], Tensor]) -> None:
        self.data, self.chosen = data, chosen

    def sample(self, num, cond=None, given=None, *, seed=0, first=0) -> Tensor:
        ids = torch.arange(first, first + num)
        assert torch.equal(cond, self.data.val.captions[ids])
        return self.chosen(ids)


def measured(data: CaptionedShapes, chosen: Callable[[Tensor], Tensor]) -> Report:
    return CaptionsEvaluation(num_samples=NUM, chunk=36)(Shows(data, chosen), data)


def pictures(data: CaptionedShapes, ids: Tensor) -> Tensor:
    return data.val.batch(ids % NUM)["x"]


def noise(like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)


def test_the_captions_own_pictures_are_all_right(data) -> None:
    report = measured(data, lambda ids: pictures(data, ids))
    shares = {k: v for k, v in report.metrics.items() if k != "loss"}
    assert shares == {**dict.fromkeys(NAMES, 1.0), "readable_share": 1.0, "finite_share": 1.0}
    assert report.floor == {**dict.fromkeys(NAMES, 1.0), "readable_share": 1.0}
    assert torch.equal(report.pictures["samples_cond"], data.val.captions)
    assert report.interval["right_one_seen"] == share_interval(16, 16)
    assert report.interval["right_one_seen"][0] < 1


def test_pictures_of_another_caption_are_wrong(data) -> None:
    report = measured(data, lambda ids: pictures(data, ids + 1))  # of the next part
    assert all(report.metrics[name] == 0.0 for name in NAMES)
    assert report.metrics["readable_share"] == 1.0
    assert all(report.floor[name] == 1.0 for name in NAMES)  # the floor is the captions' own


def test_another_of_the_same_part_is_right_only_where_the_caption_says_the_same(data) -> None:
    report = measured(data, lambda ids: pictures(data, ids + len(PARTS)))
    right = data.right(pictures(data, torch.arange(NUM) + len(PARTS)), data.val.captions)
    for i, name in enumerate(NAMES):
        assert report.metrics[name] == sum(map(bool, right[i :: len(PARTS)])) / 16 < 0.5


def test_what_cannot_be_read_counts_as_wrong(data) -> None:
    def chosen(ids: Tensor) -> Tensor:
        x = pictures(data, ids)
        half = (ids // len(PARTS) % 4 == 0)[:, None, None, None]  # a quarter of each part
        return torch.where(half, noise(x), x)

    report = measured(data, chosen)
    assert [report.metrics[name] for name in NAMES] == [0.75] * len(PARTS)
    assert report.metrics["readable_share"] == 0.75


@pytest.mark.parametrize("part", range(len(PARTS)))
def test_the_parts_are_counted_apart(data, part: int) -> None:
    def chosen(ids: Tensor) -> Tensor:
        mine = (ids % len(PARTS) == part)[:, None, None, None]
        return torch.where(mine, pictures(data, ids), pictures(data, ids + 1))

    report = measured(data, chosen)
    assert [report.metrics[n] for n in NAMES] == [float(i == part) for i in range(len(PARTS))]


def test_a_caption_that_leaves_something_open_is_in_no_part(data) -> None:
    asked = ["a circle", "a red shape", "two circles", "a red circle", "a white square"]
    cond = torch.stack([data.encode(c) for c in asked])
    x = noise(torch.zeros(5, 3, 32, 32))
    found = counted(data, x, cond)
    assert found == {"right_one_seen": (0, 2), "readable_share": (0, 5)}
    assert data.part(cond[3]) == ("one", "seen")


def test_the_held_out_captions_of_val_are_its_held_out_parts(data) -> None:
    for i, cond in enumerate(data.val.captions):
        assert data.part(cond) == PARTS[i % len(PARTS)]
    assert {case for case, _ in PARTS} == set(CASES)
    assert torch.equal(held_out_ids(data, NUM), torch.arange(NUM))


def test_a_model_without_captions_is_refused(data) -> None:
    model = Handout(pictures(data, torch.arange(NUM)))
    model.conditions = Conditions()
    with pytest.raises(ValueError, match="write conditions=captions") as error:
        CaptionsEvaluation(num_samples=4)(model, data)
    assert "\n" not in str(error.value)
