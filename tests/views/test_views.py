"""How each kind of data looks: names stand where a class is; a table is not drawn as points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.views.grid import Grid, grid, names, period
from genlab.views.scatter import Scatter
from genlab.views.texts import RULE, Texts

IMAGES = [np.full((8, 8, 1), 10 * i, np.uint8) for i in range(20)]


def test_classes_in_turn_make_one_column_each() -> None:
    captions = [f"class {i % 10}" for i in range(20)]
    sheet = grid(IMAGES, captions=captions)
    scale = 56 // 8
    strip = names(captions[:10], 9 * scale, sheet.shape)
    assert (sheet[: len(strip)] == strip).all(), "one strip of names, above all"
    rest = sheet[len(strip) :]
    assert rest.shape[:2] == ((2 * 9 - 1) * scale, (10 * 9 - 1) * scale)
    assert [int(rest[0, 9 * scale * i, 0]) for i in range(10)] == [10 * i for i in range(10)]
    assert int(rest[9 * scale, 0, 0]) == 100, "the eleventh image is below the first"


def test_other_captions_stand_above_each_image() -> None:
    captions = ["owl", "cat", "cat", "dog", "owl"]
    sheet = grid(IMAGES[:5], captions=captions)
    assert period(captions) == 0
    plain = grid(IMAGES[:5], scale=7)
    assert sheet.shape[0] == plain.shape[0] + 2 * names(["a"], 60, plain.shape).shape[0]


@pytest.mark.parametrize(
    ("captions", "turn"),
    [(["a", "b"] * 3, 2), (["a", "b", "a"], 2), (["a", "b"], 0), (["a"] * 4, 1),
     (["a", "b", "b"], 0)],
)  # fmt: skip
def test_captions_in_turn_are_told_from_others(captions: list[str], turn: int) -> None:
    assert period(captions) == turn


def test_a_long_name_is_cut_to_its_column() -> None:
    strip = names(["a very long name of a class", "b"], 60, (1, 120, 1))
    alone = names(["", "b"], 60, (1, 120, 1))
    assert (strip[:, 58:] == alone[:, 58:]).all(), "it does not run into the next one"
    assert (strip[:, :58] < 128).any()


def test_a_few_classes_do_not_make_a_tall_strip() -> None:
    images = [np.full((4, 4, 1), i, np.uint8) for i in range(48)]
    height, width, _ = grid(images, captions=["cat", "dog", "owl"] * 16).shape
    assert 0.5 < height / width < 2
    assert grid(images[:20], captions=[str(i % 10) for i in range(20)]).shape[1] > 10 * 40


def test_where_a_text_goes_on_from_its_prompt_is_marked(tmp_path: Path) -> None:
    path = Texts().save(["To be or", "not"], tmp_path / "x", ["To be", "a law"])
    assert path.read_text() == RULE.join(["To be▸ or", "[a law]\nnot"])


def test_without_captions_a_grid_is_as_it_was(tmp_path: Path) -> None:
    path = Grid().save(IMAGES, tmp_path / "x")
    with Image.open(path) as image:
        assert image.size == ((5 * 9 - 1) * 5, (4 * 9 - 1) * 5)


def test_points_of_a_class_have_a_colour(tmp_path: Path) -> None:
    points = np.repeat([[-1.0, 0.0], [1.0, 0.0]], 50, 0)
    plain, named = (Scatter().save(points, tmp_path / n, c) for n, c in (
        ("plain", None), ("named", ["left"] * 50 + ["right"] * 50),
    ))  # fmt: skip
    halves = []
    for path in (plain, named):
        with Image.open(path) as image:
            left = np.asarray(image.convert("RGB"))[200:240, 100:140].astype(int)
            right = np.asarray(image.convert("RGB"))[200:240, 300:340].astype(int)
        halves.append([x[x.sum(-1).argmin() // 40, x.sum(-1).argmin() % 40] for x in (left, right)])
    assert (halves[0][0] == halves[0][1]).all() and (halves[1][0] != halves[1][1]).any()


def test_a_row_of_a_table_is_not_drawn_as_points(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\[100, 13\] cannot be drawn in the plane"):
        Scatter().save(np.zeros((100, 13)), tmp_path / "x")


def test_a_text_says_what_it_was_asked_for(tmp_path: Path) -> None:
    path = Texts().save(["one", "two"], tmp_path / "x", ["a poem", "a law"])
    assert path.read_text().split(RULE) == ["[a poem]\none", "[a law]\ntwo"]


def test_rows_are_rows_of_a_grid_and_nothing_where_they_show_nothing(tmp_path: Path) -> None:
    items = [np.full((8, 8, 1), 10 * i, np.uint8) for i in range(12)]
    assert Grid().rows(items, 4, tmp_path / "rows.png")
    picture = np.asarray(Image.open(tmp_path / "rows.png"))
    side = picture.shape[0] // 3
    assert picture.shape[1] // 4 == pytest.approx(side, abs=2)
    seen = [
        [int(picture[r * side + side // 2, c * side + side // 2]) for c in range(4)]
        for r in range(3)
    ]
    assert seen == [[40 * r + 10 * c for c in range(4)] for r in range(3)]
    assert not Texts().rows(items, 4, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
