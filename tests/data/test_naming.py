"""A table's columns: any name can be typed, and what each was taken for is said before training."""

from __future__ import annotations

import json
import random
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from running import genlab_here, settled
from test_table import table, write

from genlab.data import naming
from genlab.runs.say.errors import UserError
from genlab.runs.settings.flags import readable
from genlab.runs.settings.mistakes import read

ODD = [
    "a,b", "my age", "size.cm", "x=y", "hue [rgb]", "it's", 'say "hi"', "größe", "{a: b}", "[rgb]",
    "(p)", "a:b", "$HOME", "~x", "back\\", "1", "1.5", "null", "true", "a#b", "?", "-x", "x" * 40,
]  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    draws = random.Random(0)
    rows = [[draws.randint(0, 9) for _ in ODD] for _ in range(60)]
    return write(tmp_path_factory.mktemp("odd") / "odd.csv", ODD, rows)


def heard(typed: str) -> tuple[str, Any]:
    """(key, value) of an override as a message writes it: past the shell and Hydra's grammar."""
    (word,) = shlex.split(typed)
    override = read(readable(word))
    assert not override.is_sweep_override(), word
    return override.key_or_group, override.value()


@pytest.mark.parametrize("name", ODD)
def test_any_column_can_be_named_as_the_messages_write_it(name: str, odd: Path) -> None:
    key, value = heard(
        naming.typed(f"data.drop=[{','.join(map(naming.item, [name, 'x y', 'z']))}]")
    )
    assert (key, value) == ("data.drop", [name, "x y", "z"])
    assert heard(naming.typed(f"data.target={naming.item(name)}")) == ("data.target", name)
    assert heard(naming.drop(name)) == ("data.drop", [name])
    key, value = heard(naming.kind(name, "category"))
    stated = value if key == "data.columns" else {key.removeprefix("data.columns."): value}
    assert naming.kinds(stated) == {name: "category"}


def test_odd_names_arrive_at_the_table(odd: Path) -> None:
    more = [
        """data.drop=["it's","(p)",'a:b']""", """data.target='x=y'""",
        """data.columns=["a,b=category","hue [rgb]=category"]""",
    ]  # fmt: skip
    found = settled(["data=table", f"data.path={odd}", "net=mlp", *map(readable, more)])["data"]
    assert found["drop"] == ["it's", "(p)", "a:b"] and found["target"] == "x=y"
    assert sorted(found["widths"]) == [1] * (len(ODD) - 5) + [10] * 2
    data = table(odd, columns=found["columns"], drop=found["drop"], target="x=y")
    assert [c.name for c in data.columns.columns if c.kind == "category"] == ["a,b", "hue [rgb]"]


def test_any_column_can_be_given(odd: Path) -> None:
    data = table(odd)
    told = {name: i % 10 for i, name in enumerate(ODD)}
    known = data.asked(1, given=json.dumps(told))[1]
    assert data.decode(known["x"]) == [told]
    with pytest.raises(ValueError, match=re.escape("""'given={"a,b": ...}'""")):
        data.asked(1, given="a,b=3")
    with pytest.raises(ValueError, match=r'no column .z.; there are "a,b", "my age".* 3 more$'):
        data.asked(1, given='{"z": 3}')


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("data.drop=[a,b]", """'data.drop=["a,b"]'"""),
        ("data.drop=[hue [rgb]]", """'data.drop=["A, B","C [1]"]'"""),
        ("data.drop=[1]", """'data.drop=["TEXT"]'"""),
        ("data.target=a,b", """"data.target='a,b'\""""),
        ("data.target=a", """'data.target="a,b"'"""),
        ("data.target=1", """'data.target="TEXT"'"""),
        ("+data.columns.my age=category", """'data.columns=["my age=category"]'"""),
        ("+data.columns.a=category", """'data.columns=["a,b=category"]'"""),
        ("data.columns=[a]", """'data.columns=["a, b=category"]'"""),
        ("data.columns=3", """'data.columns=["a, b=category"]'"""),
        ("data.columns.zip=category", "write +data.columns.zip=VALUE"),
        ("data.columns=['x=y=name']", "data.columns.x=y=name: allowed are integer,"),
    ],
)
def test_a_name_that_was_not_quoted_says_how(typed: str, remedy: str, odd: Path) -> None:
    done = genlab_here("check", "data=table", f"data.path={odd}", typed)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert remedy in done.stderr, done.stderr


def test_a_name_with_dots_needs_no_quotes_and_yaml_takes_any(odd: Path) -> None:
    word = "+data.columns.size.cm=category"
    found = settled(["data=table", f"data.path={odd}", "net=mlp", word])["data"]
    assert naming.kinds(found["columns"]) == {"size.cm": "category"}
    assert naming.kinds({"a,b": "integer", 1: "category"}) == {"a,b": "integer", "1": "category"}
    assert table(odd, columns={"a,b": "category"}).columns.columns[0].kind == "category"
    with pytest.raises(UserError, match="this is no NAME=VALUE"):
        read("+data.columns.a b=integer")


# --- what columns were taken for ------------------------------------------------------------------


@pytest.fixture
def people(tmp_path: Path) -> Path:
    draws = random.Random(0)
    rows = [
        [draws.randint(18, 70), f"{draws.uniform(1, 2):.2f}", draws.choice(["red", ""]), f"id{i}"]
        for i in range(200)
    ]
    return write(tmp_path / "people.csv", ["age", "size, cm", "hue", "name"], rows)


def test_a_check_and_a_start_say_what_each_column_was_taken_for(people: Path) -> None:
    done = genlab_here("check", "data=table", f"data.path={people}", "data.batch_size=64")
    assert done.returncode == 0, done.stderr
    told = table(people).told()
    assert told[1] == (
        "columns: age integer 18 to 70; size, cm continuous 1 to 2; hue category of 2;"
        " name category of 200"
    )
    assert """'data.columns=["size, cm=category"]', or in YAML data: {columns: """ in told[2]
    for line in told[1:]:
        assert f"  {line}\n" in done.stdout
    assert "'name' has 180 texts in 180 rows, such as 'id0': leave it out" in done.stdout


def test_a_check_reads_no_known_set(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENLAB_DATA", str(tmp_path))
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    done = genlab_here("check", "data=adult")
    assert done.returncode == 0 and "columns:" not in done.stdout, done.stderr


def test_of_many_columns_the_first_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [f"c{i}" for i in range(90)], [range(90)] * 2 + [[2] * 90] * 9)
    columns, how = table(path).told()[1:]
    assert columns.count(" integer ") == 20 and columns.endswith("; and 70 more")
    assert "+data.columns.NAME=category" in how


@pytest.mark.parametrize(
    "cells",
    [["1,234", "12", "7,001"], ["3,5", "4,25"], ["$12", "$3"], ["12 %", "7.5 %"],
     ["1.234,50", "7,5", "2"], ["€1 000", "€20"], ["(12)", "3", "(4)"],
     ["12.50 USD", "3 USD"], ["+3", "+4"]],
    ids=str,
)  # fmt: skip
def test_numbers_in_a_notation_of_people_are_refused(cells: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["price", "b"], [[c, 1] for c in cells * 20])
    with pytest.raises(ValueError) as error:
        table(path)
    noted = min(c for c in cells if not c.isdigit())
    assert str(error.value) == (
        f"column 'price' holds {len(cells)} numbers, some written as {noted!r}: write them as"
        " 1234.5 in the file (genlab prepare kind=table ... +rule@rules.numbers=numbers does), or,"
        " where they are texts, +data.columns.price=category"
    )
    assert table(path, columns={"price": "category"}).widths[0] == len(cells)


@pytest.mark.parametrize(
    "cells",
    [["2020-01-02", "2021-02-03"], ["12:30", "1:05"], ["5 kg", "7 kg"], ["007", "030 123 456"],
     ["10.1.2.3", "10.1.2.4"], ["<=50K", ">50K"], ["a", "1,234"], ["1-2", "3-4"]],
    ids=str,
)  # fmt: skip
def test_texts_are_no_numbers(cells: list[str], tmp_path: Path) -> None:
    data = table(write(tmp_path / "t.csv", ["a", "b"], [[c, 1] for c in cells * 20]))
    assert data.columns.columns[0].kind == "category"


def test_a_slip_says_the_word_and_the_column(tmp_path: Path) -> None:
    rows: list[list[Any]] = [[f"{i}.5", 1] for i in range(90)] + [["n. a.", 1]]
    with pytest.raises(ValueError) as error:
        table(write(tmp_path / "t.csv", ["a b", "c"], rows))
    assert str(error.value) == (
        "column 'a b' holds numbers, but 'n. a.' too: mend the file, or write"
        """ 'data.missing=["","n. a."]' where it says nothing, or"""
        """ 'data.columns=["a b=category"]'"""
    )


@pytest.mark.parametrize(("different", "told"), [(200, True), (100, True), (60, False), (2, False)])
def test_texts_that_name_the_rows_are_told(different: int, told: bool, tmp_path: Path) -> None:
    rows = [[f"t{i % different}", i % 3] for i in range(200)]
    said = table(write(tmp_path / "t.csv", ["who", "b"], rows)).describe()
    assert ("'who' has " in said) == told
    assert ("such as 't" in said and "'data.drop=[who]'" in said) == told
