"""The view of tables: a csv that comes back, a picture that can be read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.data.columns import Categories, Integers
from genlab.views.table import Sheet, aligned

ROWS = [
    {"a, b": i, "naïve $x_1$": None if i % 3 else 'one "quote"', "w\né": 0.5 * i, "=1+1": "-"}
    for i in range(40)
]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as f:
        return list(csv.DictReader(f))


def test_the_csv_holds_every_row_as_it_is(tmp_path: Path) -> None:
    path = Sheet().save(ROWS, tmp_path / "rows")
    assert path == tmp_path / "rows.png"
    back = read(tmp_path / "rows.csv")
    assert back == [{k: "" if v is None else str(v) for k, v in row.items()} for row in ROWS]
    assert path.with_suffix(".csv").read_bytes().startswith(b"\xef\xbb\xbf")  # for Excel
    plain = [{"a": 1, "b": "x"}]
    Sheet().save(plain, tmp_path / "plain", captions=["b = x"])
    assert (tmp_path / "plain.csv").read_bytes() == b"a,b,asked\n1,x,b = x\n"


def test_pandas_reads_it(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    Sheet().save(ROWS, tmp_path / "rows")
    found = pandas.read_csv(tmp_path / "rows.csv")
    assert list(found.columns) == list(ROWS[0]) and found["a, b"].tolist() == list(range(40))


@pytest.mark.parametrize("num", [1, 40])
def test_the_picture_shows_columns_and_rows(num: int, tmp_path: Path) -> None:
    columns = [
        Integers.fit("a, b", np.arange(9.0), decimals=0,
                    missing=False),
        Categories("=1+1", values=["-", "+"], shares=[0.5, 0.5]),
    ]  # fmt: skip
    path = Sheet(columns).save(ROWS[:num], tmp_path / "rows")
    with Image.open(path) as image:
        width, height = image.size
        colours = {c for _, c in image.convert("RGB").getcolors(1 << 24)}
    assert 500 < width < 2000 and 200 < height < 1200
    assert (0x1F, 0x6F, 0xEB) in colours and (0xB9, 0xB9, 0xB9) in colours


def test_pairs_and_what_is_spoken(tmp_path: Path) -> None:
    assert Sheet().pairs(ROWS[:5], ROWS[5:10], tmp_path / "pairs.png")
    with Image.open(tmp_path / "pairs.png") as image:
        assert image.size[0] > 200
    lines = Sheet().spoken(ROWS).splitlines()
    assert len(lines) == 6 and lines[0].startswith("a, b") and "\n" not in lines[0]
    assert aligned([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc  d"
