"""Clips to look at: every frame in the strip, a GIF that moves, a page that plays it."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from films import known
from PIL import Image, ImageSequence

from genlab.views.moving import BETWEEN, Moving
from genlab.views.page import read_named


def even(levels: list[int], side: int = 8, channels: int = 3) -> np.ndarray:
    """A clip of even frames."""
    return (
        np.array(levels, np.uint8)[:, None, None, None]
        .repeat(side, 1)
        .repeat(side, 2)
        .repeat(channels, 3)
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_the_strip_has_a_row_a_clip_and_a_column_a_frame(channels: int, tmp_path: Path) -> None:
    clips = [even([0, 120, 240], channels=channels), even([10, 20, 30], channels=channels)]
    path = Moving(fps=8).save(clips, tmp_path / "a")
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    side = 64  # 8 pixels, enlarged 8 times
    assert pixels.shape[1] == 3 * side + 2 * 8
    for row, clip in enumerate(clips):
        for i in range(3):
            top, left = row * (side + 6), i * (side + 8)
            part = pixels[top : top + side, left : left + side]
            assert (part == clip[i, 0, 0, 0]).all()
    assert (pixels[:side, side : side + 8] == BETWEEN).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gif_shows_all_frames_at_their_rate_again_and_again(channels, tmp_path) -> None:
    clips = [even([0, 120, 240], channels=channels), even([240, 0, 120], channels=channels)]
    Moving(fps=8).save(clips, tmp_path / "a", ["up", "down"])
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 0 and image.n_frames == 3
        for i, frame in enumerate(ImageSequence.Iterator(image)):
            assert image.info["duration"] in (120, 130)  # GIFs count hundredths
            pixels = np.asarray(frame.convert("RGB")).astype(int)
            mine, theirs = pixels[-20, 20, 0], pixels[-20, -20, 0]
            assert abs(mine - clips[0][i, 0, 0, 0]) <= 2 and abs(theirs - clips[1][i, 0, 0, 0]) <= 2


def test_many_colours_stay_near_and_long_clips_are_thinned(tmp_path: Path) -> None:
    clips = [known(40, side=16, seed=s) for s in range(3)]
    path = Moving(fps=8).save(clips, tmp_path / "a", ["a", "b", "c"])
    with Image.open(path) as image:
        assert image.width <= 1000
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 40
        image.seek(7)
        pixels = np.asarray(image.convert("RGB")).astype(int)
    shown = pixels[16 + 3 :: 6, 3::6][:16, :16]  # the middle of each enlarged pixel of the first
    assert np.abs(shown - clips[0][7]).mean() < 6


def test_pairs_stand_side_by_side_and_each_has_its_name(tmp_path: Path) -> None:
    assert Moving(fps=8).pairs([even([0, 10])] * 9, [even([200, 210])] * 9, tmp_path / "p.png")
    with Image.open(tmp_path / "p.gif") as image:
        pixels, num = np.asarray(image.convert("L")).astype(int), image.n_frames
    assert pixels[10, 10] <= 2 and abs(pixels[10, -10] - 200) <= 2 and num == 2
    with Image.open(tmp_path / "p.png") as image:
        assert image.height == 12 * (64 + 16 + 6) - 6


def test_a_page_shows_the_strip_and_plays_the_gif(tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    Moving(fps=8).save([even([0, 200])] * 3, tmp_path / "evaluation" / "samples", ["x"] * 3)
    drawn = read_named(tmp_path, "evaluation/samples", width=700)
    assert drawn.macro == drawn.beside.macro == "picture"
    start = "data:image/gif;base64,"
    assert drawn.beside.value.uri.startswith(start)
    with Image.open(io.BytesIO(base64.b64decode(drawn.beside.value.uri[len(start) :]))) as image:
        assert image.n_frames == 2


def test_a_dashboard_is_given_the_strip_and_the_gif(tmp_path: Path) -> None:
    class Logger:
        def log_image(self, name, paths, *, step):
            self.image = name, paths

        def log_video(self, name, paths, *, step, format):
            self.video = name, paths, step, format

    view, logger = Moving(fps=8), Logger()
    path = view.save([even([0, 200])] * 3, tmp_path / "a")
    view.log(logger, "samples", [], path, step=7)
    assert logger.image == ("samples", [str(path)])
    assert logger.video == ("samples/moving", [str(tmp_path / "a.gif")], 7, ["gif"])
    view.log(object(), "samples", [], path, step=7)  # a logger of neither is left alone
