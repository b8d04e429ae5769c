"""Tables of files that know their types: Parquet, jsonl and saved data sets."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import fit, genlab_here

from genlab.data.sources.tables import CsvFile
from genlab.data.sources.typed import DAYS, EPOCH, typed
from genlab.data.table import Table

ROWS = [
    {
        "code": f"{i % 3:03d}", "n": i, "price": i / 4, "whole": float(i), "ok": i % 2 == 0,
        "born": dt.date(1950, 3, 1) + dt.timedelta(days=7 * i), "gone": None,
        "score": None if i % 5 == 0 else i / 8,
    }
    for i in range(80)
]  # fmt: skip


def parquet(path: Path, rows=ROWS) -> Path:
    pyarrow, module = map(pytest.importorskip, ("pyarrow", "pyarrow.parquet"))
    module.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def test_a_table_of_ones_own_in_three_lines(tmp_path) -> None:
    path = parquet(tmp_path / "people.parquet")
    words = ["model=vae", "data=table", f"data.path={path}", "data.drop=[gone]"]
    run = fit(words, tmp_path / "run")
    done = genlab_here("sample", f"run={run}", "num=4")
    assert done.returncode == 0, done.stderr
    head, *rows = next((run / "samples").rglob("*.csv")).read_text().splitlines()
    assert f"born{DAYS}" in head and len(rows) == 4


def test_types_are_the_files(tmp_path) -> None:
    path = parquet(tmp_path / "people.parquet")
    names, rows, kinds = typed(path, "x")
    assert kinds == {
        "code": "category", "n": "integer", "price": "continuous", "whole": "continuous",
        "ok": "category", f"born{DAYS}": "integer", "score": "continuous",
    }  # fmt: skip
    assert rows[4] == ["001", "4", "1", "4", "true", rows[4][5], "", "0.5"]
    assert EPOCH + dt.timedelta(days=int(rows[4][5])) == ROWS[4]["born"]
    assert rows[0][7] == "" and names[5] == f"born{DAYS}"
    data = Table(source=CsvFile(path=str(path)), shape=None, widths=None, batch_size=8, seed=0)
    assert "8 columns (2 integer, 3 continuous, 3 category)" in data.describe()
    row = data.rows(data.train)[0]
    assert isinstance(row["n"], int) and row["code"] in ("000", "001", "002")


def test_jsonl_is_typed_too(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"a": i, "b": "x", "c": i / 3}) + "\n" for i in range(9)))
    assert typed(path, "x")[2] == {"a": "integer", "b": "category", "c": "continuous"}


@given(st.dates())
def test_days_lead_back_to_the_date(tmp_path_factory, day) -> None:
    path = parquet(tmp_path_factory.mktemp("d") / "a.parquet", [{"day": day}])
    assert EPOCH + dt.timedelta(days=int(typed(path, "x")[1][0][0])) == day


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"a": 1}, {"a": "x"}], r"^x: column 'a' holds int, str: a column is of numbers, texts"),
        ([{"a": [1]}], r"column 'a' holds list"),
        ([{"a": {"b": 1}}], r"column 'a' holds dict"),
        ([], r"it has no rows"),
    ],
)
def test_columns_of_no_one_type_are_told(tmp_path, rows, says) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(ValueError, match=says):
        typed(path, "x")
