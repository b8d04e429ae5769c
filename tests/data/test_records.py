"""Rows of jsonl, csv and Parquet: what is read, and what a stranger's file may not do."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genlab.data import records
from genlab.data.records import lines_of, read_records, rows_of

ROWS = [{"text": "a, b", "n": 1}, {"text": 'ü\u2028\n"q"', "n": None}, {"text": "", "n": 2.5}]


def jsonl(path: Path, rows=ROWS) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def test_the_same_rows_from_every_format(tmp_path) -> None:
    pyarrow, parquet = map(pytest.importorskip, ("pyarrow", "pyarrow.parquet"))
    assert list(read_records(jsonl(tmp_path / "a.jsonl"))) == ROWS
    with gzip.open(tmp_path / "a.jsonl.gz", "wb") as f:
        f.write((tmp_path / "a.jsonl").read_bytes())
    assert list(read_records(tmp_path / "a.jsonl.gz")) == ROWS
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert list(read_records(tmp_path / "a.parquet")) == ROWS
    assert list(read_records(tmp_path / "a.parquet", columns=["n"])) == [
        {"n": r["n"]} for r in ROWS
    ]
    (tmp_path / "a.csv").write_text('text,n\n"a, b",1\n"x\ny",\n')
    assert list(read_records(tmp_path / "a.csv")) == [
        {"text": "a, b", "n": "1"}, {"text": "x\ny", "n": ""},
    ]  # fmt: skip


@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), max_size=4)))
def test_jsonl_comes_back_as_it_was(tmp_path_factory, rows) -> None:
    path = jsonl(tmp_path_factory.mktemp("r") / "a.jsonl", rows)
    assert list(read_records(path)) == rows


@pytest.mark.parametrize(
    ("name", "contents", "says"),
    [
        ("a.jsonl", b'{"a": 1}\n[1]\n', r"a.jsonl, line 2: a record is a mapping"),
        ("a.jsonl", b'{"a": 1}\n{"a": ', r"line 2: no JSON"),
        ("a.jsonl", b"[" * 100000, r"line 1: nested deeper than 50"),
        ("a.jsonl", b'{"a": "\xff"}\n', r"line 1: no JSON"),
        ("a.csv", b"a,b\n1\n", r"a.csv, line 2: 1 cells, where the first line names 2 columns"),
        ("a.csv", b"a,a\n1,2\n", r"a column is named twice"),
        ("a.csv", b"", r"its first line must name the columns"),
        ("a.csv", b'a\n"open', r"no csv"),
        ("a.csv", b"a\n\xff\n", r"line 2: no UTF-8"),
        ("a.parquet", b"PAR1 nothing PAR1", r"no Parquet file that can be read"),
        ("a.jsonl.gz", b"\x1f\x8b\x08junk", r"cannot be read"),
        ("a.exe", b"", r"rows are read of .jsonl"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, contents, says) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(ValueError, match=says):
        list(read_records(tmp_path / name))


def test_long_lines_and_bombs_are_refused_before_they_are_in_memory(tmp_path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": "' + b"x" * 2000 + b'"}\n')
    with pytest.raises(ValueError, match="line 1: over 1,000 bytes"):
        list(lines_of(tmp_path / "a.jsonl", most=1000))
    with gzip.open(tmp_path / "b.jsonl.gz", "wb") as f:
        for _ in range(300):
            f.write(b'{"a": "' + b"x" * 100_000 + b'"}\n')
    with pytest.raises(ValueError, match="over 200 times its size"):
        list(read_records(tmp_path / "b.jsonl.gz"))


def test_after_a_row_that_is_wrong_the_next_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(records, "LINE", 1000)
    long = b'{"a": "' + b"x" * 5000 + b'"}\n'
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n' + long + b'{"a"\n\n{"a": 2}\n' + long[:-1])
    found = list(rows_of(tmp_path / "a.jsonl"))
    assert [x for x in found if isinstance(x, dict)] == [{"a": 1}, {"a": 2}]
    says = ["line 2: over 1,000 bytes", "line 3: no JSON", "line 6: over"]
    wrong = [str(x) for x in found if isinstance(x, ValueError)]
    assert len(wrong) == 3 and all(a in b for a, b in zip(says, wrong)), wrong
    (tmp_path / "b.csv").write_text('a,b\n1,2\n3\n4,5\n"6"x,7\n8,9\n')
    found = list(rows_of(tmp_path / "b.csv"))
    assert found[0] == {"a": "1", "b": "2"} and found[2] == {"a": "4", "b": "5"}
    assert "1 cells" in str(found[1]) and "no csv" in str(found[3]) and len(found) == 4


def saved(folder: Path, rows: list[dict], name: str = "data-00000-of-00001.arrow") -> Path:
    """A split as the `datasets` library saves it."""
    pyarrow = pytest.importorskip("pyarrow")
    folder.mkdir(parents=True)
    table = pyarrow.Table.from_pylist(rows)
    with pyarrow.ipc.new_stream(str(folder / name), table.schema) as out:
        out.write_table(table, max_chunksize=2)
    state = {"_data_files": [{"filename": name}], "_split": "train"}
    (folder / "state.json").write_text(json.dumps(state))
    return folder


def test_saved_data_sets_are_read_without_their_library(tmp_path) -> None:
    one = saved(tmp_path / "one", ROWS)
    assert list(read_records(one)) == ROWS
    assert list(read_records(one, columns=["n"])) == [{"n": r["n"]} for r in ROWS]
    several = tmp_path / "several"
    for name in ("train", "validation"):
        saved(several / name, ROWS)
    (several / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    assert [r["split"] for r in read_records(several)] == ["train"] * 3 + ["validation"] * 3
    from genlab.data.sources.text import TextFile

    train, val = TextFile(path=str(several)).documents()
    assert list(train) == list(val) == ["a, b", 'ü\u2028\n"q"']


@pytest.mark.parametrize(
    ("file", "contents", "says"),
    [
        ("state.json", b'{"_data_files": [{"filename": "../x.arrow"}]}', r"'\.\./x\.arrow', which"),
        ("state.json", b'{"_data_files": [{"filename": "/etc/passwd"}]}', r"does not lie in it"),
        ("state.json", b'{"_data_files": 3}', r"no list of _data_files"),
        ("state.json", b'{"_data_files": [3]}', r"does not lie in it"),
        ("state.json", b"[" * 9000, r"nested deeper|no JSON"),
        ("dataset_dict.json", b'{"splits": [".."]}', r"does not lie in it"),
        ("dataset_dict.json", b'{"splits": ["gone"]}', r"has no state\.json"),
        ("data-00000-of-00001.arrow", b"\xff\xff\xff\xff\x10\x00\x00\x00junk", r"no Arrow file"),
        ("data-00000-of-00001.arrow", b"", r"no Arrow file"),
    ],
)
def test_saved_data_sets_that_lie(tmp_path, file, contents, says) -> None:
    folder = saved(tmp_path / "one", ROWS)
    (folder / file).write_bytes(contents)
    with pytest.raises(ValueError, match=says) as error:
        list(read_records(folder))
    assert "\n" not in str(error.value)


@given(at=st.integers(0, 2000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_read_or_told(tmp_path_factory, at, bit) -> None:
    folder = saved(tmp_path_factory.mktemp("s") / "one", ROWS)
    file = next(folder.glob("*.arrow"))
    data = bytearray(file.read_bytes())
    data[at % len(data)] ^= 1 << bit
    file.write_bytes(bytes(data))
    with contextlib.suppress(ValueError):
        list(read_records(folder))
