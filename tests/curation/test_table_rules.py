"""Rules of rows: numbers as people write them, limits, outliers, copies; and curated tables."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genlab.curation.base import Change, Example, Leave
from genlab.curation.kinds.tables import Row, Tables
from genlab.curation.rules.tables import (
    IdleColumns,
    Missing,
    Numbers,
    Outlying,
    OutOfRange,
    PersonalCells,
    Rounded,
    read_number,
)

parquet = pytest.importorskip("pyarrow.parquet")


def says(rule, cells: dict, typed: bool = False):
    return rule(Example("a", Row(cells, typed), cells))


def decided(rule, rows: list[dict], typed: bool = False) -> dict:
    held = [rule.sketch(Example("", Row(cells, typed), cells), Tables()) for cells in rows]
    return rule.decide(held)


@pytest.mark.parametrize(
    ("text", "is_"),
    [
        ("1,234", 1234), ("3,5", 3.5), ("$12", 12), ("7 %", 7), ("(12)", -12), ("-$3.20", -3.2),
        ("1.234,50", 1234.5), ("1,234.50", 1234.5), ("1 234 567", 1234567), ("1'234", 1234),
        ("−5", -5), ("EUR 3", 3), (".5", 0.5), ("1e5", 1e5), ("12 kg", None), ("1,23,4", None),
        ("1.2.3", None), ("1,2345.6", None), ("(3", None), ("", None), ("-", None), ("1e999", None),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text: str, is_: float | None) -> None:
    assert read_number(text) == is_


def test_a_mark_that_may_be_either_is_what_is_stated() -> None:
    assert (read_number("1,234", ","), read_number("1.234", ",")) == (1.234, 1234)
    assert (read_number("0,123"), read_number("1.234")) == (0.123, 1.234)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9),
                   max_value=10**9))  # fmt: skip
def test_a_number_with_groups_is_read_back(number) -> None:
    english = f"{number:,}"
    assert read_number(english) == float(number)
    assert read_number(english.translate(str.maketrans(",.", ".,"))) == float(number)


@given(st.text(max_size=40))
def test_any_text_is_a_number_or_none(text: str) -> None:
    found = read_number(text)
    assert found is None or np.isfinite(found)


def test_cells_become_numbers_where_a_column_is_stated_to_be_one() -> None:
    rule = Numbers(columns=["price"])
    found = says(rule, {"price": "$1,200", "code": "1,200"})
    assert found.data.cells == {"price": "1200", "code": "1,200"} == found.facts
    assert says(rule, {"price": "$1,200.5"}, typed=True).data.cells == {"price": 1200.5}
    assert says(rule, {"price": "12.50"}) is None and says(rule, {"price": ""}) is None
    assert isinstance(says(rule, {"price": "dear"}), Leave)
    assert says(Numbers(columns=["price"], otherwise="missing"), {"price": "x"}).data.cells == {
        "price": ""
    }
    with pytest.raises(ValueError, match="no column 'price'"):
        says(rule, {"cost": "1"})


def test_missing_cells_and_limits() -> None:
    assert says(Missing(), {"a": "?", "b": "1"}) is None
    assert says(Missing(), {"a": "?", "b": "", "c": "1"}).value == pytest.approx(2 / 3, abs=1e-3)
    assert says(Missing(never=["a"]), {"a": "NA", "b": "1", "c": "2"}).why == "no a"
    rule = OutOfRange(limits={"age": [0, 120], "gain": [None, 5]})
    assert says(rule, {"age": "40", "gain": "-9"}) is None and says(rule, {"age": ""}) is None
    assert says(rule, {"age": "-1"}).why == "age under 0"
    assert says(rule, {"age": 3, "gain": 5.5}, typed=True).why == "gain over 5"
    with pytest.raises(ValueError, match=r"limits.a=\[3, 1\]"):
        OutOfRange(limits={"a": [3, 1]})


def test_outliers_are_far_from_the_middle_half() -> None:
    draw = np.random.default_rng(0)
    rows = [{"x": str(v), "y": "0", "z": "text"} for v in draw.normal(0, 1, 500)]
    rows[7]["x"], rows[9]["y"] = "40", "1000"
    assert set(decided(Outlying(), rows)) == {7}, "y is one number nearly throughout"
    assert decided(Outlying(columns=["y"]), rows) == {}


def test_copies_are_seen_when_numbers_are_rounded() -> None:
    rows = [{"x": "1.23456", "t": "A b"}, {"x": "1.23461", "t": "a  B"}, {"x": "1.24", "t": "A b"},
            {"x": "-0.0", "t": ""}, {"x": 0, "t": None}]  # fmt: skip
    assert {i: s.value.place for i, s in decided(Rounded(digits=3), rows).items()} == {1: 0, 4: 3}
    assert decided(Rounded(digits=6), rows).keys() == {4}
    twice = [{"id": "1", "x": "2"}, {"id": "3", "x": "2"}]
    assert decided(Rounded(), twice) == {} and decided(Rounded(without=["id"]), twice).keys() == {1}


def test_columns_that_teach_nothing_are_named() -> None:
    rows = [{"id": f"k{i}", "one": "x", "x": str(i / 7), "c": str(i % 3)} for i in range(60)]
    rule = IdleColumns()
    held = [rule.sketch(Example("", Row(cells, False), cells), Tables()) for cells in rows]
    told = list(rule.tells(held))
    assert [advice.drop for advice in told] == ["id", "one"]
    assert "'id' has another value" in told[0].says and "'one' has one" in told[1].says


def test_personal_data_in_cells() -> None:
    found = says(PersonalCells(), {"note": "ask jo@example.org", "n": "4111111111111111", "x": 3})
    assert found.data.cells == {"note": "ask <EMAIL>", "n": "4111111111111111", "x": 3}
    assert isinstance(says(PersonalCells(action="leave"), {"a": "jo@example.org"}), Leave)


def prepared(tmp_path: Path, path: Path, *more: str) -> tuple[dict, Path]:
    from genlab.runs.prepare import prepare_command

    to = tmp_path / "set"
    prepare_command(["kind=table", f"from={path}", f"to={to}", "processes=1", *more])
    return json.loads((to / "dataset.json").read_text()), to


def test_a_csv_is_curated_and_trained_on_with_its_split(tmp_path: Path) -> None:
    from genlab.data.sources.tables import CsvFile
    from genlab.data.table import Table
    from genlab.runs.settings.prepared import chosen

    with (tmp_path / "raw.csv").open("w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["code", "price", "note", "licence"])
        out.writerows([f"{i % 5:03d}", f"${i},000", f"=1+{i % 4}", "MIT"] for i in range(1, 61))
        out.writerow(["001", "1000", "=1+1", "MIT"])
        out.writerow(["", "", "", "MIT"])
        out.writerow(["002", "free", "x", "MIT"])
        out.writerow(["003", "9"])
    words = ["+rule@rules.numbers=numbers", "rules.numbers.columns=[price]"]
    dataset, to = prepared(tmp_path, tmp_path / "raw.csv", *words)
    left = {k: v for k, v in dataset["left_out"].items() if v}
    # rules that are added come after the recipe's: the copy was seen as its text alone
    assert left == {"readable": 1, "missing": 1, "numbers": 1}
    assert (dataset["raws"], dataset["kept"]) == (64, 61)
    rows = list(csv.DictReader((to / "rows.csv").open()))
    assert rows[0]["note"].startswith("=1+") and rows[0]["code"].startswith("00")
    assert {float(r["price"]) % 1000 for r in rows} == {0}
    assert any("'licence' has one value" in note for note in dataset["notes"])
    words = chosen(["data=prepared", f"data.root={to}"])
    assert words == [
        "data=table", f"data.path={to / 'rows.csv'}", "data.split=split", "data.val_fraction=null"
    ]  # fmt: skip
    data = Table(source=CsvFile(path=str(to / "rows.csv"), split="split"), shape=None, widths=None,
                 batch_size=8, seed=0, val_fraction=None)  # fmt: skip
    data.load()
    assert len(data.train) + len(data.val) == 61 and len(data.val) == dataset["by_split"]["val"]
    names = [c.name for c in data.columns.columns]
    assert names == ["code", "price", "note", "licence"], "the split is no column of x"


def test_types_of_a_file_that_has_them_are_kept(tmp_path: Path) -> None:
    import pyarrow

    rows = [{"code": f"{i:03d}", "n": i, "x": i / 8, "ok": i % 2 == 0, "gone": None,
             "day": dt.date(1970, 1, 1) + dt.timedelta(days=i), "more": [i]}
            for i in range(40)]  # fmt: skip
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "raw.parquet")
    dataset, to = prepared(tmp_path, tmp_path / "raw.parquet", "rules.split.val=0")
    first = json.loads((to / "rows.jsonl").read_text().splitlines()[3])
    assert first == {"code": "003", "n": 3, "x": 0.375, "ok": False, "gone": None,
                     "day (days from 1970-01-01)": 3, "more": "[3]", "split": "train"}  # fmt: skip
    assert dataset["kept"] == 40


def test_rules_of_facts_see_the_columns(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("a", "b"):
        lines = [f"{i},{name}{i // 4},{'GPL-3.0' if i % 2 else 'MIT'}" for i in range(40)]
        (tmp_path / "raw" / f"{name}.csv").write_text("\n".join(["n,group,licence", *lines]))
    dataset, to = prepared(
        tmp_path, tmp_path / "raw", "rules.split.group=group", "+rule@rules.licence=licence",
        "rules.licence.policy=permissive", "+rule@rules.balance=balance", "rules.balance.column=n",
    )  # fmt: skip
    assert dataset["left_out"]["licence"] == 40 and dataset["by_licence"] == {"MIT": 40}
    rows = list(csv.DictReader((to / "rows.csv").open()))
    sides = {(r["group"], r["split"]) for r in rows}
    assert len(sides) == len({g for g, _ in sides}) and {s for _, s in sides} == {"train", "val"}
    assert list(rows[0]) == ["n", "group", "licence", "weight", "split"]


@pytest.mark.parametrize(
    ("files", "says_"),
    [
        ({"a.csv": "a;b\n1;2\n"}, r"one column, 'a;b': part its cells by commas"),
        ({"a.csv": "a,b\n1,2\n", "b.csv": "a,c\n1,2\n"}, r"b.csv: its columns are not those of"),
        ({"a.csv": "a\n1\n", "b.jsonl": '{"a": 1}\n'}, r"csv files.*prepare them by themselves"),
    ],
)
def test_tables_that_do_not_fit_are_refused_in_a_line(tmp_path, files, says_) -> None:
    from genlab.runs.say.errors import UserError

    (tmp_path / "raw").mkdir()
    for name, text in files.items():
        (tmp_path / "raw" / name).write_text(text)
    with pytest.raises(UserError, match=says_):
        prepared(tmp_path, tmp_path / "raw")


def test_a_set_of_one_row_says_that_nothing_is_left_to_train_on(tmp_path, capsys) -> None:
    (tmp_path / "raw.csv").write_text("a,b\n1,2\n")
    dataset, _ = prepared(tmp_path, tmp_path / "raw.csv")
    assert "train is empty: 1 rows are too few for the split" in dataset["notes"][-1]
    assert "train is empty" in capsys.readouterr().err


def test_a_change_of_a_row_is_shown_beside_what_it_was() -> None:
    kind, before = Tables(), Row({f"c{i}": str(i) for i in range(20)}, False)
    after = Row({**before.cells, "c19": "<b>"}, False)
    assert kind.shown(before, after).splitlines()[0] == "c19: 19"
    assert kind.shown(after, before).splitlines()[0] == "c19: <b>"
    again = kind.parse(kind.dump(after))
    assert again == after and isinstance(says(Numbers(columns=["c0"]), {"c0": "1,5"}), Change)
