"""Forms to fill in: what stands in them becomes the words that `asked` understands."""

from __future__ import annotations

from pathlib import Path

import data_of
import pytest
import torch

from genlab.data.asks import Choice, Line, Painted, Row
from genlab.data.shapes import CaptionedShapes
from genlab.data.toy import Ring, Toy2D


def test_an_empty_answer_asks_for_nothing_but_an_empty_prompt_is_one() -> None:
    assert Choice(key="cond", label="class", options=("a",)).words("") == {}
    assert Choice(key="cond", label="class", options=("a",)).words("a") == {"cond": "a"}
    assert Line(key="cond", label="caption").words("") == {}
    assert Line(key="prompt", label="prompt", blank=True).words("") == {"prompt": ""}
    assert Painted(key="given", label="picture", shape=(1, 8, 8)).words(None) == {}
    assert Row(key="given", label="row", names=("a", "b")).words([" ", None]) == {}


def test_cells_by_name_and_by_place() -> None:
    named = Row(key="given", label="row", names=("a", "b\"'"))
    assert named.words(["", "<b>"]) == {"given": '{"b\\"\'": "<b>"}'}
    listed = Row(key="given", label="point", names=("x", "y"), listed=True)
    assert listed.words(["", "0.5"]) == {"given": '[null, "0.5"]'}


def test_each_kind_understands_its_own_forms(tmp_path: Path) -> None:
    digits = data_of.digits()
    choice, picture = digits.asks()
    cond, _ = digits.asked(2, **choice.words("7"))
    assert cond.tolist() == [7, 7] and picture.shape == (1, 8, 8)
    points = Toy2D(law=Ring(), batch_size=4, seed=0)
    (row,) = points.asks()
    _, given = points.asked(3, **row.words(["0.5", ""]))
    assert torch.equal(given["mask"], torch.tensor([[True, False]] * 3))
    table = data_of.table(tmp_path / "t.csv", shape=None, widths=None)
    table.load()
    (row,) = table.asks()
    assert row.names == ("a", "b")
    _, given = table.asked(1, **row.words(["", "y"]))
    assert given["mask"][0].tolist() == [False, True, True, True]
    (tmp_path / "book.txt").write_text("abcd" * 100)
    text = data_of.text_file(tmp_path / "book.txt", default_prompt="ab")
    text.load()
    (prompt,) = text.asks()
    assert prompt.value == "ab" and text.asked(1, **prompt.words("abc"))[1]["x"].shape == (1, 3)
    shapes = CaptionedShapes(batch_size=4, seed=0)
    (caption,) = shapes.asks()
    cond, _ = shapes.asked(2, **caption.words(caption.example))
    assert shapes.captions(cond) == [caption.example] * 2


def test_data_without_classes_ask_for_none() -> None:
    assert [a.key for a in data_of.digits(num_classes=None).asks()] == ["given"]
    with pytest.raises(ValueError, match="no such class"):
        data_of.digits().asked(1, cond="eleven")
