"""A table of many columns: its picture shows some of them, its csv all."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from genlab.views import table


def test_the_picture_of_a_wide_table_stays_small(tmp_path: Path) -> None:
    rows = [{f"x{i}": "01"[(i + r) % 2] for i in range(200)} for r in range(20)]
    few = [{n: row[n] for n in list(row)[: table.PANELS]} for row in rows]
    wide, narrow = (
        table.Sheet().save(part, tmp_path / name) for name, part in (("wide", rows), ("few", few))
    )
    with Image.open(wide) as a, Image.open(narrow) as b:
        assert a.width == b.width and b.height < a.height < 1.05 * b.height  # a line more
    assert len((tmp_path / "wide.csv").read_text().split()[0].split(",")) == 200
