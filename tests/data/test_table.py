"""Tables: rows come back as they were, whatever their cells; errors name their remedy."""

from __future__ import annotations

import csv
import gzip
import math
import os
import random
import string
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import CONF
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab.data.columns import Categories, Integers, Numbers
from genlab.data.kinds import fit_column, fit_columns, infer, restored
from genlab.data.sources.tables import Adult, CsvFile, parsed
from genlab.data.table import Table
from genlab.runs.folder.layout import write_yaml

ADULT = yaml.safe_load((CONF / "data" / "adult.yaml").read_text())


def adult(**changes: Any) -> Table:
    both = {k: ADULT[k] for k in ("shape", "widths", "target")}
    data = Table(source=Adult(), batch_size=64, seed=0, **{**both, **changes})
    data.prepare()
    data.load()
    return data


@pytest.fixture(scope="module")
def real() -> Table:
    if not os.environ.get("GENLAB_DATA"):
        pytest.skip("GENLAB_DATA does not name the folder of data sets")
    return adult()


def write(path: Path, names: list[str], rows: list[list[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([names, *rows])
    return path


def table(path: Path, *, delimiter: str = ",", **changes: Any) -> Table:
    """The table at a path, its shape and widths taken from what it says of them."""
    source = CsvFile(path=str(path), delimiter=delimiter)
    make = {"source": source, "batch_size": 8, "seed": 0, **changes}
    try:
        Table(shape=[0], widths=[], **make).load()
    except ValueError as error:
        if "write data.shape=" not in str(error):
            raise
        words = str(error).split(": write ")[1].split()
    told = {w.split("=")[0].removeprefix("data."): yaml.safe_load(w.split("=")[1]) for w in words}
    data = Table(**told, **make)
    data.load()
    return data


def people(path: Path, num: int = 60, **changes: Any) -> Table:
    draws = random.Random(0)
    rows = [
        [draws.randint(18, 70), f"{draws.uniform(1, 2):.2f}", draws.choice(["red", "green", ""]),
         draws.choice(["", "7", "8.5"]), draws.choice(["no", "yes"])]
        for _ in range(num)
    ]  # fmt: skip
    return table(
        write(path / "people.csv", ["age", "size", "hue", "score", "ill"], rows), **changes
    )


# --- rows come back -------------------------------------------------------------------------------


def test_every_training_row_of_adult_comes_back(real) -> None:
    packed = Path(os.environ["GENLAB_DATA"]) / "adult" / "train.csv.gz"
    names, cells = parsed(gzip.decompress(packed.read_bytes()), where="x")
    rows = real.rows(real.train) + real.rows(real.val)
    theirs = [[None if c == "?" else c for c in row] for row in cells]
    mine = [[None if v is None else str(v) for v in row.values()] for row in rows]
    assert names == list(rows[0]) and len(mine) == 32_561
    left = sorted(map(tuple, theirs), key=str), sorted(map(tuple, mine), key=str)
    wrong = sum(a != b for a, b in zip(*left))
    assert wrong <= 10  # a held-out number that no training row has is its nearest
    train = [tuple(row.values()) for row in real.rows(real.train)]
    known = {tuple(int(c) if c and c.isdigit() else c for c in row) for row in theirs}
    assert set(train) <= known


def test_adult_is_split_as_published_and_its_types_are_exact(real) -> None:
    assert (len(real.train), len(real.val), len(real.test)) == (29_305, 3_256, 16_281)
    assert "6 integer, 9 category" in real.describe() and "16,281 for split=test" in real.describe()
    row = real.rows(real.test)[0]
    kinds = {c.name: c.kind for c in real.columns.columns}
    for name, value in row.items():
        assert isinstance(value, int if kinds[name] == "integer" else str), name
    x = torch.randn(500, 110, generator=torch.Generator().manual_seed(0)) * 3  # of no row
    for drawn in real.decode(x):
        for name, value in drawn.items():
            assert (
                isinstance(value, int)
                if kinds[name] == "integer"
                else value is None or (isinstance(value, str))
            )


def test_numbers_have_a_normal_scale_and_no_infinite_density(real) -> None:
    x = real.train.batch(torch.arange(len(real.train)))["x"]
    numbers = x[:, real.train._at]
    assert numbers.std(0).min() > 0.4 and numbers.std(0).max() < 1.1
    assert set(x[:, 1:10].unique().tolist()) == {-1.0, 1.0}
    assert (x[:, 1:10] == 1).sum(1).eq(1).all()
    for column in numbers.T:  # no value stands twice at the very same place for long
        assert column.unique(return_counts=True)[1].max() < 200


@pytest.mark.parametrize("drawn", [False, True])
def test_what_is_drawn_within_a_values_place_is_that_value(real, drawn) -> None:
    ids = torch.arange(0, len(real.train), 7)
    generator = torch.Generator().manual_seed(3)
    draws = torch.rand(len(ids), real.train.draws, generator=generator) if drawn else None
    batch = real.train.batch(ids, draws)
    rows = real.rows(real.train)
    assert real.decode(batch["x"]) == [rows[i] for i in ids]


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=7)
CELL = {
    "texts": TEXT,
    "few": st.sampled_from(["a", 'b "quoted"', "c, d", "é\n2", ""]),
    "whole": st.integers(-(2**40), 2**40).map(str),
    "small": st.integers(0, 5).map(str),
    "holes": st.sampled_from(["", "1", "2", "?", "40"]),
    "prices": st.decimals(-1000, 1000, places=2, allow_nan=False).map(str),
    "one": st.just("3"),
    "empty": st.just(""),
    "name": st.just("only"),
}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_table_comes_back(data, tmp_path_factory) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(CELL)), min_size=1, max_size=5))
    names = data.draw(
        st.lists(NAMES.map(str.strip).filter(bool), min_size=len(kinds), max_size=len(kinds),
                 unique=True)
    )  # fmt: skip
    num = data.draw(st.integers(12, 40))
    rows = [[data.draw(CELL[k]) for k in kinds] for _ in range(num)]
    path = write(tmp_path_factory.mktemp("t") / "t.csv", names, rows)
    found = table(path)
    again = Table(source=CsvFile(path="nowhere"), shape=[found.shape[0]], widths=found.widths,
                  batch_size=4, seed=0)  # fmt: skip
    write_yaml(path.with_suffix(".yaml"), found.state())  # as an export keeps it
    again.load_state(yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8")))
    for split in (found.train, found.val):
        x = split.batch(torch.arange(len(split)), torch.rand(len(split), split.draws))["x"]
        assert x.shape == (len(split), *found.shape) and torch.isfinite(x).all()
        decoded = again.decode(x)
        for column, values in zip(found.columns.columns, split.read):
            cells = [row[column.name] for row in decoded]
            if isinstance(column, Categories):
                assert cells == [column.values[i] for i in values]
                continue
            span = column.values[-1] - column.values[0]
            for cell, value in zip(cells, values):
                assert (cell is None) == math.isnan(value)
                if cell is None:
                    continue
                assert isinstance(cell, int if column.kind == "integer" else float)
                if split is found.train:
                    assert abs(cell - value) <= 1e-6 * span + (column.kind == "integer") * 0.5
                    if len(column.values) * 5 <= len(split):
                        assert cell == value


def test_a_column_of_many_values_draws_those_between_and_one_of_few_does_not() -> None:
    cells = [str(i * 10) for i in range(50)]
    many = Integers.fit("n", torch.arange(0, 500, 10).double().numpy(),
                       decimals=0, missing=False)  # fmt: skip
    z = torch.linspace(-4, 4, 2001).numpy()[:, None]
    assert len(set(many.decode(z))) > 300
    few = fit_column("n", cells * 9, cells * 9, None)
    assert set(few.decode(z)) == {int(c) for c in cells}
    assert abs(sum(v == 0 for v in few.typical(500)) - 10) <= 1


def test_kinds_are_inferred() -> None:
    assert infer(["1", "-2", None]) == "integer"
    assert infer(["1.5", "2", "1e-3"]) == "continuous"
    assert (
        infer(["007", "12"]) == infer(["1,5", "2"]) == infer([None]) == infer(["x"]) == "category"
    )
    assert infer(["49301112223334445", "1"]) == "category"  # no float holds it
    assert fit_column("a", ["1", "2"], ["1", "2"], "category").values == ["1", "2"]
    assert fit_column("a", ["1.25", "2.5"], ["1.25", "2.5"], None).decimals == 2


def test_decoding_needs_no_file_and_the_fingerprint_is_of_the_cells(tmp_path) -> None:
    one, other = people(tmp_path), people(tmp_path)
    assert one.fingerprint() == other.fingerprint()
    assert people(tmp_path, num=61).fingerprint() != one.fingerprint()
    x = one.val.batch(torch.arange(4))["x"]
    far = Table(source=CsvFile(path=None), shape=one.shape, widths=one.widths, batch_size=4, seed=0)
    far.load_state(one.state())
    assert far.decode(x) == one.decode(x) == one.rows(one.val)[:4]


# --- classes, and what is known -------------------------------------------------------------------


def test_the_target_is_a_class_or_a_column(real) -> None:
    data = adult(num_classes=2, shape=[108], widths=ADULT["widths"][:-1])
    batch = data.train_batch(0)
    assert batch["x"].shape == (64, 108) and set(batch["cond"].tolist()) == {0, 1}
    assert data.class_names == ["<=50K", ">50K"]
    assert data.rows(data.val) == real.rows(real.val)
    assert "2 classes (<=50K, >50K)" in data.describe()


def test_known_columns_are_given_exactly(tmp_path) -> None:
    data = people(tmp_path)
    asked = [{"age": 30, "hue": None}, {"ill": "yes", "score": None}]
    known = data.known(asked)
    assert known["mask"].sum(1).tolist() == [1 + 3, 2 + 3]
    x = torch.where(known["mask"], known["x"], torch.randn(known["x"].shape))
    for row, values in zip(data.decode(x), asked):
        assert {k: row[k] for k in values} == values
    for wrong, match in (
        ({"agee": 3}, "given: there is no column 'agee'; there are age, .*; nearest: age"),
        ({"age": 300}, r"given.age=300: the rows that were seen have \d+ to \d+$"),
        ({"hue": "blue"}, "given.hue=blue: allowed are green, red"),
        ({"age": "old"}, "given.age=old: write a number"),
        ({"age": None}, "given.age=None: write a number"),
    ):
        with pytest.raises(ValueError, match=match):
            data.known([wrong])
    told = data.asked(3, given='{"age": 30, "hue": null}')[1]
    assert torch.equal(told["mask"], known["mask"][:1].repeat(3, 1))
    assert [r["age"] for r in data.decode(told["x"])] == [30] * 3
    for words in ("30", "{age: 30", "[1]"):
        with pytest.raises(ValueError, match="write columns and their values"):
            data.asked(3, given=words)


# --- mistakes -------------------------------------------------------------------------------------


def test_a_wrong_width_says_what_to_write(tmp_path) -> None:
    path = write(tmp_path / "t.csv", ["a", "b"], [[i, "xy"[i % 2]] for i in range(20)])
    with pytest.raises(ValueError) as error:
        Table(source=CsvFile(path=str(path)), shape=[1], widths=[1], batch_size=4, seed=0).load()
    assert str(error.value) == (
        "data.shape=[1] but t.csv has [3]: write data.shape=[3] data.widths=[1,2]"
    )


MISTAKES = {
    "header": ("", "is empty: its first line names the columns"),
    "twice": ("a,a\n1,2\n", "two columns called 'a'"),
    "ragged": ("a,b\n1,2\n3\n", "row 2: 1 cells, the first line has 2"),
    "quotes": ('a,b\n1,"2\n', "line 2: unexpected end"),
    "latin": (b"a,b\n1,\xe9\n", "not UTF-8 text: byte 6 is 0xe9"),
    "few": ("a,b\n1,2\n", "1 rows: too few"),
    "semicolons": ("a;b\n1;2\n", "one column, 'a;b': write 'data.delimiter=\";\"'"),
    "tabs": ("a\tb\n1\t2\n", r"write 'data.delimiter=\"\\t\"'"),
    "slip": ("a\n" + "\n".join(f"{i}.5" for i in range(90)) + "\nabc", "numbers, but 'abc' too"),
    "texts": ("a\n" + "\n".join(f"t{i}" for i in range(900)), r"leave it out, 'data.drop=\[a\]'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_files_that_are_no_table(name, tmp_path) -> None:
    text, match = MISTAKES[name]
    (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=match) as error:
        table(tmp_path / "t.csv")
    assert "\n" not in str(error.value)


def test_a_tab_is_typed_as_people_do_and_a_slip_can_be_kept(tmp_path) -> None:
    rows = [f"{i}.5\t{i % 3}" for i in range(90)]
    (tmp_path / "t.csv").write_text("\n".join(["a\tb", *rows, "abc\t1"]))
    assert len(table(tmp_path / "t.csv", delimiter="\\t", missing=["abc"]).columns.columns) == 2
    kept = table(tmp_path / "t.csv", delimiter="\t", columns={"a": "category"})
    assert kept.columns.columns[0].kind == "category"


def test_columns_that_teach_nothing_are_named(tmp_path) -> None:
    rows = [f"{1000 + i},{i % 7},,{i * i}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["id,a,gone,b", *rows]))
    said = table(tmp_path / "t.csv").describe()
    assert "'id' numbers the rows: leave it out, 'data.drop=[id]'" in said
    assert "'gone' is empty" in said and "'a'" not in said and "'b'" not in said


@pytest.mark.parametrize(
    "changes, match",
    [
        (
            {"target": "ages"},
            r"data.target=ages: people.csv has no such column, but age, .*; nearest: age",
        ),
        ({"drop": ["wage"]}, r"data.drop=wage: people.csv has no such column"),
        ({"columns": {"wage": "integer"}}, r"data.columns=wage: people.csv has no such column"),
        ({"columns": {"age": "ordinal"}}, r"data.columns.age=ordinal: allowed are integer,"),
        ({"columns": {"hue": "integer"}}, r"data.columns.hue=integer: there is a cell 'green'"),
        ({"num_classes": 2}, "data.target=null: which column"),
        ({"num_classes": 2, "target": "age"}, "data.target=age: a class is a text in every row"),
        ({"num_classes": 2, "target": "hue"}, "this column has missing cells"),
        ({"num_classes": 3, "target": "ill"}, "data.num_classes=3 but the column ill has 2"),
        ({"target": "ill", "drop": ["ill"]}, "data.drop=ill: it is data.target"),
        ({"val_fraction": 1.0}, "data.val_fraction=1.0"),
        ({"limit": 0}, "data.limit=0"),
        ({"vocab": 3}, "data.vocab=3: a table has none"),
    ],
)
def test_wrong_settings(changes, match, tmp_path) -> None:
    with pytest.raises(ValueError, match=match):
        people(tmp_path, **changes)


def test_sources_that_are_not_there(tmp_path, monkeypatch) -> None:
    with pytest.raises(ValueError, match=r"data.path=null: which file\?"):
        CsvFile(path=None).cells()
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        CsvFile(path=str(tmp_path / "none.csv")).cells()
    monkeypatch.setenv("GENLAB_DATA", str(tmp_path))
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no train.csv.gz .*archive.ics.uci.edu"):
        Adult().prepare()
    (tmp_path / "adult").mkdir()
    for split in ("train", "test"):
        (tmp_path / "adult" / f"{split}.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    Adult().prepare()
    with pytest.raises(ValueError, match="is damaged or another file"):
        Adult().cells()


def test_a_packed_file_and_one_of_test_rows(tmp_path) -> None:
    path = write(tmp_path / "t.csv", ["a"], [[i] for i in range(30)])
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert CsvFile(path=str(packed)).cells().train == CsvFile(path=str(path)).cells().train
    test = write(tmp_path / "test.csv", ["a"], [[7], [8]])
    data = table(path, source=CsvFile(path=str(path), test_path=str(test)))
    assert [r["a"] for r in data.rows(data.test)] == [7, 8] and len(data.val) == 3
    other = write(tmp_path / "other.csv", ["b"], [[7]])
    with pytest.raises(ValueError, match="give both the same header"):
        CsvFile(path=str(path), test_path=str(other)).cells()


def test_a_big_table_is_read_at_once(tmp_path) -> None:
    draws = random.Random(0)
    words = ["".join(draws.choices(string.ascii_letters, k=5)) for _ in range(20)]
    rows = [[draws.random(), draws.randint(0, 99), draws.choice(words)] for _ in range(50_000)]
    data = table(write(tmp_path / "t.csv", ["x", "n", "w"], rows))
    assert len(data.train) == 45_000 and data.widths == [1, 1, 20]


def test_widths_are_found_where_none_are_stated(tmp_path) -> None:
    from running import settled

    path = write(tmp_path / "my people.csv", ["a", "b"], [[i, "xyz"[i % 3]] for i in range(40)])
    words = ["data=table", f"data.path='{path}'", "net=mlp"]
    found = settled(words)
    assert found["data"]["widths"] == [1, 3] and found["model"]["net"]["shape"] == [4]
    assert found["data"]["source"]["path"] == str(path) and "path" not in found["data"]
    vae = ["data=table", f"data.path='{path}'", "model=vae", "net=mlp_vae", "objective=elbo_table",
           "data.target=b", "data.num_classes=3"]  # fmt: skip
    assert settled(vae)["objective"]["likelihood"]["widths"] == [1]
    with pytest.raises(ValueError, match=r"data.path=null: which file\?"):
        settled(["data=table", "net=mlp"])


def test_a_delimiter_that_is_not_the_files_is_told(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("age,name\n1,a\n2,b\n")
    with pytest.raises(ValueError, match=r"one column, 'age,name': write 'data.delimiter=\",\"'"):
        parsed(path.read_bytes(), where="people.csv", delimiter=";")


@pytest.mark.parametrize(
    "change",
    [{"kind": "name"}, {"kind": None}, {"values": []}, {"values": [2, 1]}, {"values": [1, "2"]},
     {"low": [0.0]}, {"high": [0.0, math.nan]}, {"low": [0.0, math.inf]}, {"decimals": 10**400},
     {"missing": None}, {"name": 3}, {"more": 1}],
    ids=str,
)  # fmt: skip
def test_an_odd_column_is_refused(change: dict[str, Any]) -> None:
    """A stranger's checkpoint: it was taken, and failed when rows were drawn."""
    state = fit_column("c", ["1", "1", "2", "2"] * 9, [], "integer").state()
    assert isinstance(restored(state), Numbers)
    with pytest.raises(ValueError, match="no column"):
        restored({**state, **change})
    with pytest.raises(ValueError, match="no column"):
        restored({"name": "c", "kind": "category", "values": ["a", 1], "shares": [0.5, 0.5]})


def read_whole(path: Path) -> None:
    """What training does first: what the columns hold is found, and the rows are read."""
    found = CsvFile(path=str(path)).cells()
    for j, name in enumerate(found.names[:5]):
        cells = [row[j] for row in found.train]
        fit_column(name, cells, cells, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [(",".join(f"c{i}" for i in range(130_000)) + "\n", "130,000 columns"),
     ("a,b\n" + "".join(f"w{i},1\n" for i in range(120_000)), "different texts"),
     ("a,b\n" + "".join(f"{'1' * 40_000}x,{i}\n" for i in range(22)), "letters")],
    ids=["wide", "many words", "long cells"],
)  # fmt: skip
def test_what_would_cost_its_square_is_quick(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    began = time.process_time()
    with pytest.raises(ValueError, match=says):
        read_whole(path)
    assert time.process_time() - began < 8


def test_columns_that_cannot_be_learned_are_named_together() -> None:
    cells = {"key": [f"k{i}" for i in range(700)], "a": ["1"] * 700,
             "the day": [f"{i} May" for i in range(700)]}  # fmt: skip
    none = {name: [] for name in cells}
    with pytest.raises(ValueError, match=r"'key' has 700 .*1 more.*data\.drop=\[key,\"the day\"\]"):
        fit_columns(cells, none, {})
    with pytest.raises(ValueError, match=r"data\.drop=\[key\]'$"):
        fit_columns({"key": cells["key"], "a": cells["a"]}, none, {})


def test_a_packed_table_is_bounded_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 10**7))
    with pytest.raises(ValueError, match="times its size, unpacked"):
        read_whole(path)
