"""Pictures of pairs and of rows, in each view's own form: what stands where, and its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.views import table
from genlab.views.coordinates import Coordinates
from genlab.views.grid import Grid
from genlab.views.moving import Moving
from genlab.views.scatter import COLOURS, FIRST, Scatter
from genlab.views.sound import Player
from genlab.views.texts import Texts
from genlab.views.wav import regions


def test_rows_have_their_names_above_them(tmp_path: Path) -> None:
    items = [np.full((8, 8, 1), 200, np.uint8) for _ in range(6)]
    assert Grid().rows(items, 3, tmp_path / "rows.png", names=["z4: 1.2 nats", "z0: 0.3 nats"])
    picture = np.asarray(Image.open(tmp_path / "rows.png"))
    strip, side = 16, 8 * 7
    assert picture.shape == (2 * (strip + side), 3 * 9 * 7 - 7)
    for row in range(2):
        top = row * (strip + side)
        head, line = picture[top : top + strip], picture[top + strip : top + strip + side]
        assert head.max() == 255 and head[:, :80].min() < 100 and head[:, 120:].min() == 255
        assert line[:, :side].min() == 200
    assert (picture[:strip, :80] != picture[strip + side : 2 * strip + side, :80]).any()


def coloured(path: Path, colour: str) -> int:
    """How many pixels have a colour, "#rrggbb", or nearly."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - wanted).max(-1) < 12).sum())


def drawn(view, mine: np.ndarray, theirs: np.ndarray, folder: Path) -> int:
    """How many pixels of a picture of pairs are not paper."""
    view.pairs(mine, theirs, folder / "p.png")
    return int((np.asarray(Image.open(folder / "p.png").convert("L")) < 235).sum())


@pytest.mark.parametrize("view", [Scatter(), Coordinates()])
def test_rows_of_points_are_ways_and_pairs_are_lines(view, tmp_path: Path) -> None:
    way = np.stack([np.linspace(-1, 1, 9), np.zeros(9)], 1)
    items = [*way, *(way + np.array([0, 1.0]))]
    assert view.rows(items, 9, tmp_path / "rows.png", names=["z4: 1.2 nats", "z0: 0.3 nats"])
    seen = [coloured(tmp_path / "rows.png", colour) for colour in COLOURS[:3]]
    assert min(seen[:2]) > 25 > 5 > seen[2]
    mine, theirs = np.full((4, 2), -1.0), np.full((4, 2), 1.0)
    assert view.pairs(mine, theirs, tmp_path / "far.png", names=("held out", "back"))
    assert min(coloured(tmp_path / "far.png", colour) for colour in (FIRST, COLOURS[0])) > 20
    corners = np.array([[-1.0, -1.0], [1.0, 1.0]])
    marks = [drawn(view, corners, corners[::-1], tmp_path), drawn(view, corners, corners, tmp_path)]
    assert marks[0] > marks[1] + 100, "the line from one to the other"


def test_rows_of_points_of_one_coordinate_go_from_step_to_step(tmp_path: Path) -> None:
    assert Coordinates().rows(list(np.arange(10.0)[:, None]), 5, tmp_path / "rows.png")
    assert coloured(tmp_path / "rows.png", COLOURS[0]) > 25


def test_rows_of_sounds_have_a_player_for_each(tmp_path: Path) -> None:
    wave = np.sin(np.arange(400) / 5)
    assert Player(rate=8000).rows([wave] * 4, 2, tmp_path / "rows.png", names=["z4", "z0"])
    named = [name for name, _ in regions((tmp_path / "rows.wav").read_bytes())]
    assert named == ["z4 · 1", "z4 · 2", "z0 · 1", "z0 · 2"]
    with Image.open(tmp_path / "rows.png") as image:
        assert image.size[0] < 2 * 260 and image.size[1] > 2 * 150


def test_rows_of_clips_move(tmp_path: Path) -> None:
    clips = [np.full((3, 8, 8, 1), 30 * i, np.uint8) for i in range(6)]
    assert Moving(fps=8).rows(clips, 3, tmp_path / "rows.png", names=["z4", "z0"])
    with Image.open(tmp_path / "rows.gif") as film:
        assert film.size[0] > film.size[1] > 150
    assert (tmp_path / "rows.png").is_file()


def test_rows_of_a_table_are_lines_below_their_names(tmp_path: Path, monkeypatch) -> None:
    told = []
    monkeypatch.setattr(table, "_picture_of_lines", lambda lines, path, every: told.append(lines))
    rows = [{"age": i, "name": "x"} for i in range(6)]
    assert table.Sheet().rows(rows, 3, tmp_path / "rows.png", names=["z4: 1.2 nats", "z0"])
    assert told[0][0] == ["", "age", "name"]
    assert [line[0] for line in told[0][1:]] == ["z4: 1.2 nats", "", "", "z0", "", ""]
    assert [line[1] for line in told[0][1:]] == list("012345")
    assert table.Sheet().pairs(rows[:2], rows[2:4], tmp_path / "p.png", names=("held out", "back"))
    assert [line[:2] for line in told[1][1:]] == [
        ["held out", "0"], ["back", "2"], ["held out", "1"], ["back", "3"],
    ]  # fmt: skip


def test_pairs_of_texts_say_what_they_are(tmp_path: Path) -> None:
    Texts().pairs(["one"], ["two"], tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "sample:  one\nnearest: two"
    Texts().pairs(["one"], ["two"], tmp_path / "b.txt", names=("held out", "back"))
    assert (tmp_path / "b.txt").read_text() == "held out: one\nback:     two"
