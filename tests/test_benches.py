"""The benches' own arithmetic: what counts as seen, what is planted, and tables that are merged."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "bench"))
import calibration
import curation_pays
import planted_defects

from genlab.data.events import END, Piece, Remi
from genlab.data.music import EventExamples
from genlab.data.text import Windows


def test_a_share_that_never_moved_is_seen_where_four_of_the_samples_moved() -> None:
    base = [{"share": 1.0}] * 8
    away = [calibration.away({"share": 1 - k / 100}, base, 100, 1.0)["share"] for k in (1, 3, 4)]
    assert away[0] == pytest.approx(-((8 / 3) ** 0.5)) and away[1] > -calibration.SEEN > away[2]


def test_draws_that_overlap_say_less_of_chance() -> None:
    values = torch.linspace(0, 1, 8).tolist()
    found = {
        "pool": 400, "asked": [], "labelled": [], "base": [{"x": v} for v in values],
        "defects": {"noise": {"1": {"x": 2.5}}},
    }  # fmt: skip
    sd = float(np.std(values, ddof=1))
    near = calibration.seen(found, 300)["noise"]["1"]["x"]
    assert near == pytest.approx(2 / sd / 2)  # draws of 3/4 of the pool: half the spread
    assert calibration.seen(found | {"pool": None}, 300)["noise"]["1"]["x"] == pytest.approx(2 / sd)


def test_the_halves_of_a_text_share_no_token_and_those_of_tunes_no_tune() -> None:
    text = Windows(torch.arange(1001), block=10, stride=1)
    found = calibration.Halves()({"train": text}, None)
    train, pool = ({*found[k].stream[1:].tolist()} for k in ("train", "pool"))
    assert not train & pool and train | pool == {*range(1, 1001)}
    tunes = [np.arange(1, 4) + 10 * i for i in range(8)]
    held = EventExamples(tunes, block=3, remi=Events.remi, drawn=True)
    found = calibration.Halves()({"train": held}, None)
    train, pool = ({found[k].events(i)[0] for i in range(4)} for k in ("train", "pool"))
    assert not train & pool and len(train) + len(pool) == 8


def test_one_class_collapses_and_the_others_stay() -> None:
    rows = {"x": torch.arange(40.0)[:, None], "cond": torch.arange(40) % 4}
    x = planted_defects.collapsed(None, rows, 0.5)["x"]
    assert (x[rows["cond"] > 0] == rows["x"][rows["cond"] > 0]).all()
    assert (x[rows["cond"] == 0] == 0).sum() == 5


class Frames:
    vocab = None


class Events:
    remi = Remi(grid=4, longest=8, velocities=1)
    vocab = remi.vocab


def piece(data) -> dict[str, torch.Tensor]:
    """A scale of eight quarters, as frames or as events."""
    if data is Frames:
        x = torch.zeros(1, 16, 88)
        x[0, range(0, 16, 2), range(40, 48)] = 1.0
        return {"x": x}
    ids = data.remi.encode(Piece(np.array([(4 * i, 4, 40 + i, 0) for i in range(8)]), (8, 8)))
    return {"x": torch.tensor([[*ids, *[END] * 20]])}


def heard(data, x: torch.Tensor) -> np.ndarray:
    if data is Frames:
        return np.array(planted_defects.notes_of(x[0].numpy() > 0.5))
    return data.remi.decode(x[0].numpy()).notes[:, :3]


@pytest.mark.parametrize("data", [Frames, Events])
def test_planted_notes_are_those_that_are_said(data) -> None:
    rows = piece(data)
    was = heard(data, rows["x"])
    assert len(was) == 8

    def after(defect, size: float) -> np.ndarray:
        return heard(data, defect(data, rows, size)["x"])

    assert np.array_equal(after(planted_defects.transposed, 5), np.add(was, [0, 0, 5]))
    assert np.array_equal(after(planted_defects.other_pitches, 0.0), was)
    moved = after(planted_defects.other_pitches, 1.0)
    assert np.array_equal(moved[:, :2], was[:, :2]) and (moved[:, 2] != was[:, 2]).all()
    assert len(after(planted_defects.fewer_notes, 0.5)) < 8
    assert 8 < len(after(planted_defects.more_notes, 1.0)) <= 16
    other = after(planted_defects.other_order, 1.0)
    assert sorted(other[:, 2]) == sorted(was[:, 2]) and (other[:, 2] != was[:, 2]).any()
    assert np.array_equal(other[:, 0], was[:, 0])
    slow = after(planted_defects.stretched, 1.0)
    assert np.array_equal(slow[:4, 0], 2 * was[:4, 0]) and (slow[:4, 1] == 2 * was[:4, 1]).all()


def test_a_kind_that_is_measured_again_takes_its_own_rows_place() -> None:
    first = curation_pays.merged("", [["images", "`a`", "1", "2", "3"]], ["text", "images"])
    both = curation_pays.merged(first, [["text", "`b`", "4", "5", "6"]], ["text", "images"])
    assert [line[:7] for line in both.splitlines()[2:]] == ["| text ", "| image"]
    again = curation_pays.merged(both, [["images", "`c`", "7", "8", "9"]], ["text", "images"])
    assert "`a`" not in again and "| images | `c` | 7 | 8 | 9 |" in again and "`b`" in again
