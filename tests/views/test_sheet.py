"""The contact sheet: each picture, enlarged, over its own caption; none runs into another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.data.captions import WORDS
from genlab.views.grid import Grid
from genlab.views.sheet import INK, LINE, MARGIN, PAPER, WIDTH, Sheet, tile

CAPTIONS = [
    "a red circle", "two blue squares and a green cross", "", "a picture of a cross",
    "a large yellow triangle to the left of a small white circle", "three circles", "a square",
    "a purple shape", "there is a white cross",
]  # fmt: skip


def plain(i: int, side: int = 32) -> np.ndarray:
    """A picture of one colour, each another."""
    return np.full((side, side, 3), (20 * i, 255 - 20 * i, 7 * i), np.uint8)


def sheet(captions: list[str], path: Path, images: list[np.ndarray] | None = None) -> np.ndarray:
    images = images or [plain(i) for i in range(len(captions))]
    with Image.open(Sheet().save(images, path, captions)) as image:
        return np.asarray(image.convert("RGB"))


def cells(found: np.ndarray, num: int, columns: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each picture and the room below it, up to the next row."""
    rows = -(-num // columns)
    high = (found.shape[0] - MARGIN) // rows
    wide = WIDTH + MARGIN
    at = [(MARGIN + i // columns * high, MARGIN + i % columns * wide) for i in range(num)]
    return [
        (found[y : y + WIDTH, x : x + WIDTH], found[y + WIDTH : y + high, x : x + WIDTH])
        for y, x in at
    ]


def test_each_picture_stands_over_its_own_caption(tmp_path: Path) -> None:
    found = cells(sheet(CAPTIONS, tmp_path / "all"), len(CAPTIONS), columns=6)
    for i, (picture, room) in enumerate(found):
        assert (picture == plain(i)[0, 0]).all(), i
        alone = sheet([CAPTIONS[i]], tmp_path / str(i))
        below = alone[MARGIN + WIDTH :, MARGIN : MARGIN + WIDTH]
        num = min(len(room), len(below)) - MARGIN
        assert (room[:num] == below[:num]).all(), CAPTIONS[i]
        assert (room < (PAPER + INK) // 2).any() == bool(CAPTIONS[i])


def test_captions_keep_to_their_own_place(tmp_path: Path) -> None:
    wide = "MMMMMM WWWWWWWW mmmmm " + "W" * 40  # 40 are wider than a picture
    words = sorted(WORDS, key=len)[-8:]
    found = sheet([wide, " ".join(words * 2)] * 6, tmp_path / "x")
    for column in range(7):
        left = column * (WIDTH + MARGIN)
        assert (found[:, left : left + MARGIN - 1] == PAPER).all(), (
            column
        )  # a letter leans out by 1
    for picture, room in cells(found, 12, columns=6):
        assert (picture == picture[0, 0]).all() and (room[-MARGIN:] == PAPER).all()
        assert (room.min(axis=(1, 2)) < PAPER).sum() >= 2 * LINE  # several lines


@pytest.mark.parametrize(("num", "columns"), [(1, 1), (4, 4), (6, 6), (9, 6), (48, 9)])
def test_six_or_more_stand_in_a_row(num: int, columns: int, tmp_path: Path) -> None:
    found = sheet(["a cross"] * num, tmp_path / "x")
    assert found.shape[1] == columns * (WIDTH + MARGIN) + MARGIN
    high = WIDTH + LINE + 4 + MARGIN
    assert found.shape[0] == -(-num // columns) * high + MARGIN


@pytest.mark.parametrize(("side", "scale"), [(8, 16), (32, 4), (48, 2), (200, 1)])
def test_a_picture_is_enlarged_by_a_whole_number(side: int, scale: int) -> None:
    image = np.arange(side * side, dtype=np.uint8).reshape(side, side, 1)
    large = tile(image)
    assert large.shape == (side * scale, side * scale, 3)
    assert (large[::scale, ::scale, 0] == image[..., 0]).all()
    assert (large[..., 0] == large[..., 2]).all()
    assert (large == np.repeat(np.repeat(large[::scale, ::scale], scale, 0), scale, 1)).all()


def test_without_captions_it_is_a_grid(tmp_path: Path) -> None:
    images = [plain(i) for i in range(7)]
    mine, grid = Sheet().save(images, tmp_path / "mine"), Grid().save(images, tmp_path / "grid")
    assert mine.read_bytes() == grid.read_bytes()


def test_no_more_than_it_shows(tmp_path: Path) -> None:
    most = Sheet.most
    assert (sheet(["a cross"] * (most + 9), tmp_path / "x")
            == sheet(["a cross"] * most, tmp_path / "y")).all()  # fmt: skip
