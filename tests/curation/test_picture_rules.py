"""Rules of pictures: blank, blurred, tiny and bordered ones; and what is kept is left as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from genlab.curation.base import Change, Example
from genlab.curation.rules.pictures import Blank, Borders, Noise, Sharp, Size


def noisy(side: int = 64, size: int = 2) -> np.ndarray:
    """Squares of `size` pixels of any colour."""
    num = -(-side // size)
    squares = np.random.default_rng(0).integers(0, 256, (num, num, 3), dtype=np.uint8)
    return squares.repeat(size, 0).repeat(size, 1)[:side, :side]


def says(rule, data: np.ndarray):
    return rule(Example("a", data))


def test_each_defect_is_seen_and_a_picture_is_left_alone() -> None:
    for rule in (Size(), Sharp(), Blank(), Borders(), Noise()):
        assert says(rule, noisy()) is None
    assert says(Noise(), noisy(size=1)).why == "noise" and says(Noise(), 0 * noisy()) is None
    stripes = np.repeat(noisy(size=1)[:1], 64, 0)  # of noise from side to side alone
    assert says(Noise(), stripes) is None
    assert says(Size(least=65), noisy()).value == 64
    assert says(Size(), np.zeros((32, 100, 3), np.uint8)).why == "over 3.0 times as long as broad"
    assert says(Blank(), np.full((64, 64, 3), 200, np.uint8)).value == 0
    blurred = Image.fromarray(noisy()).filter(ImageFilter.GaussianBlur(3))
    assert says(Sharp(), np.array(blurred)).why == "blurred"


def test_a_border_is_cut_off_and_a_ground_is_none() -> None:
    framed = np.full((100, 100, 3), 255, np.uint8)
    framed[20:80, 10:90] = np.random.default_rng(1).integers(0, 240, (60, 80, 3))
    found = says(Borders(), framed)
    assert isinstance(found, Change) and np.array_equal(found.data, framed[20:80, 10:90])
    subject = np.full((100, 100, 3), 255, np.uint8)
    y, x = np.mgrid[:100, :100]
    subject[(y - 50) ** 2 + (x - 50) ** 2 < 900] = 0  # touches its box at four points alone
    assert says(Borders(), subject) is None
    square = np.full((100, 100, 3), 255, np.uint8)
    square[25:75, 25:75] = (200, 30, 30)  # plain on plain: nothing would be left but a colour
    assert says(Borders(), square) is None


def test_a_folder_of_pictures_is_curated_and_trained_on(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from genlab.runs.prepare import prepare_command

    draw = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "raw" / label).mkdir(parents=True)
        for i in range(12):
            data = draw.integers(0, 256, (10, 10, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
            Image.fromarray(data).save(tmp_path / "raw" / label / f"{i}.png")
    first = tmp_path / "raw" / "a" / "0.png"
    (tmp_path / "raw" / "b" / "copy.png").write_bytes(first.read_bytes())
    (tmp_path / "raw" / "b" / "broken.png").write_bytes(first.read_bytes()[:200])
    prepare_command(
        ["kind=image", f"from={tmp_path / 'raw'}", f"to={tmp_path / 'set'}", "processes=1"]
    )
    dataset = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert (dataset["raws"], dataset["kept"]) == (26, 24)
    assert (dataset["left_out"]["readable"], dataset["left_out"]["exact"]) == (1, 1)
    lines = (tmp_path / "set" / "train" / "metadata.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    kept = np.array(Image.open(tmp_path / "set" / "train" / row["file_name"]))
    assert np.array_equal(kept, np.array(Image.open(tmp_path / "raw" / row["id"])))
    assert {json.loads(line)["label"] for line in lines} == {"a", "b"}
    from genlab.runs.settings.prepared import chosen

    words = ["data=prepared", f"data.root={tmp_path / 'set'}"]
    assert chosen(words)[0] == "data=image_folder"
    from data_of import image_folder

    data = image_folder(tmp_path / "set", shape=[3, 40, 40], num_classes=2)
    data.load()
    assert len(data.train) + len(data.val) == 24 and data.class_names == ["a", "b"]
