"""Rows that come with a value: CTGAN's training-by-sampling has its law exactly, and its rows."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from conftest import CONF
from running import fit, genlab_here, settled

from genlab.data.columns import Categories
from genlab.data.edits.base import Picked
from genlab.data.sources.tables import CsvFile
from genlab.data.table import Table
from genlab.data.table_by_value import TableByValue, law_of
from genlab.runs.settings.plan import Plan

RARE = 6  # rows of 600


def made(path: Path, num: int = 600) -> Path:
    """Numbers, a column of which one value is in 1 % of the rows, one with missing cells, one of a
    value alone. A rare row's number is far from the others."""
    lines = ["size,hue,ill,land"]
    for i in range(num):
        rare = i % (num // RARE) == 3
        hue = "rare" if rare else ("red", "green", "green")[i % 3]
        lines.append(f"{100 + i if rare else i % 50},{hue},{('yes', 'no', '')[i % 7 % 3]},here")
    path.write_text("\n".join(lines) + "\n")
    return path


def by_value(path: Path, **given) -> TableByValue:
    source = CsvFile(path=str(made(path / "people.csv")))
    settings = {"shape": None, "widths": None, "batch_size": 64, "seed": 0, **given}
    data = TableByValue(source=source, **settings)
    data.load()
    return data


def counted(data: TableByValue) -> dict[str, int]:
    """How many training rows have each value, from the rows as people read them."""
    rows = data.rows(data.train)
    return {
        f"{c.name}={value}": sum(row[c.name] == value for row in rows)
        for c in data.columns.columns
        if isinstance(c, Categories)
        for value in [*c.values, *[""] * (c.width - len(c.values))]
    }


def test_the_law_is_the_logarithm_of_the_counts_in_a_column_drawn_evenly(tmp_path) -> None:
    data, counts = by_value(tmp_path), {}
    for name, num in counted(data).items():
        counts.setdefault(name.split("=")[0], []).append(num)
    assert list(counts) == ["hue", "ill", "land"]
    truth = [
        math.log(1 + n) / sum(math.log(1 + m) for m in some) / 3
        for some in counts.values()
        for n in some
    ]
    assert law_of(data.counts).tolist() == pytest.approx(truth, rel=1e-12)
    assert list(counted(data)) == data.class_names and data.num_classes == len(truth) == 8
    assert [n for c in data.counts for n in c] == list(counted(data).values())
    ends = data._by_value()[0]
    assert ends.diff(prepend=ends.new_zeros(1)).tolist() == pytest.approx(truth, rel=1e-9)


def test_what_is_drawn_follows_it_and_every_row_has_its_value(tmp_path) -> None:
    data = by_value(tmp_path, batch_size=512)
    labels = torch.cat([data.drawn(k)[1] for k in range(60)])
    share, truth = labels.bincount(minlength=8) / len(labels), law_of(data.counts)
    error = (truth * (1 - truth) / len(labels)).sqrt()
    assert ((share - truth).abs() <= 4 * error).all()
    assert share[data.class_names.index("land=")] == 0  # a place of x that no row has
    rows, seen = data.rows(data.train), set()
    for k in range(5):
        batch, ids = data.train_batch(k), data.train_ids(k)
        for drawn, i, label in zip(data.decode(batch["x"]), ids.tolist(), batch["cond"].tolist()):
            name, value = data.class_names[label].split("=")
            assert str(drawn[name]) == value and drawn == rows[i]
            seen.add((i, label))
    rare = data.class_names.index("hue=rare")
    have = {i for i, row in enumerate(rows) if row["hue"] == "rare"}
    assert {i for i, label in seen if label == rare} == have  # each of them, none else


def test_a_batch_is_a_function_of_seed_and_number_and_is_shared_out(tmp_path) -> None:
    data = by_value(tmp_path)
    whole, again = data.train_batch(7), by_value(tmp_path).train_batch(7)
    assert all(torch.equal(whole[k], again[k]) for k in ("x", "cond"))
    assert not torch.equal(whole["cond"], data.train_batch(8)["cond"])
    other = by_value(tmp_path, seed=1).train_batch(7)
    assert not torch.equal(whole["cond"], other["cond"])
    parts = [
        data.train_batch(7, rank=r, world=2, micro=m, accumulate=2) for m in (0, 1) for r in (0, 1)
    ]
    assert all(torch.equal(torch.cat([p[k] for p in parts]), whole[k]) for k in ("x", "cond"))


def test_held_out_rows_are_the_tables_own_with_a_value_each_in_turn(tmp_path) -> None:
    data = by_value(tmp_path)
    plain = Table(source=data.source, shape=None, widths=None, batch_size=64, seed=0)
    plain.load()
    ids = torch.arange(len(data.val))
    batch = data.val.batch(ids)
    assert torch.equal(batch["x"], plain.val.batch(ids)["x"])
    for i, (row, label) in enumerate(zip(data.rows(data.val), batch["cond"].tolist())):
        name, value = data.class_names[label].split("=")
        assert name == ["hue", "ill", "land"][i % 3] and str(row[name]) == value
    assert "cond" not in plain.train_batch(0) and plain.num_classes is None


def test_rows_that_an_edit_leaves_out_are_not_drawn(tmp_path) -> None:
    data = by_value(tmp_path)
    kept = torch.tensor([i for i, r in enumerate(data.rows(data.train)) if r["hue"] != "rare"])
    data._splits["train"], data._rows = Picked(data.train, kept), None
    seen = set()
    for k in range(20):
        batch = data.train_batch(k)
        for row, label in zip(data.decode(batch["x"]), batch["cond"].tolist()):
            name, value = data.class_names[label].split("=")
            assert str(row[name]) == value
            seen.add(row["hue"])
    assert seen == {"red", "green"}


@pytest.mark.parametrize(
    ("cond", "name"),
    [
        ({"hue": "rare"}, "hue=rare"), ('{"ill": "yes"}', "ill=yes"), ("hue=green", "hue=green"),
        ({"ill": None}, "ill=None"), (1, "hue=rare"),
    ],
)  # fmt: skip
def test_a_value_is_asked_for_by_name(tmp_path, cond, name) -> None:
    data = by_value(tmp_path)
    assert data.captions(data.asked(3, cond=cond)[0]) == [name] * 3
    if not isinstance(cond, str):
        two = data.asked(4, cond=[cond, "hue=red"])[0]
        assert data.captions(two) == [name, "hue=red"] * 2
    both = data.asked(3, cond='[{"hue": "red"}, {"ill": "no"}]')[0]
    assert data.captions(both) == ["hue=red", "ill=no", "hue=red"]
    assert data.asked(3)[0] is None  # the model draws its own


@pytest.mark.parametrize(
    ("cond", "said"),
    [
        ({"hue": "blue"}, "hue has no value 'blue'; allowed are green, rare, red"),
        ({"hues": "red"}, "no column of categories 'hues'.*hue"),
        ({"size": 3}, "no column of categories 'size'"),
        ({"hue": "red", "ill": "yes"}, "one value of one column"),
        ({}, "one value of one column"), ('{"hue"', "no such class"), ("[1", "no such class"),
        ("hue=gren", "nearest: hue=green"), (8, "0 to 7"),
        ("land=", "no training row has land="), ([], "give a class"),
    ],
)  # fmt: skip
def test_what_no_row_has_is_refused(tmp_path, cond, said) -> None:
    with pytest.raises(ValueError, match=said):
        by_value(tmp_path).asked(3, cond=cond)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"counts": [[], [1, 2, 3], [1, 2, 3], [4, 0]]}, "data.counts: not those .*counts=null"),
        ({"num_classes": 7}, "data.num_classes=7"), ({"limit": 0}, "data.limit=0"),
        ({"drop": ["hue", "ill", "land"]}, "no column of categories"),
    ],
)  # fmt: skip
def test_what_is_stated_is_held_against_the_rows(tmp_path, given, said) -> None:
    with pytest.raises(ValueError, match=said):
        by_value(tmp_path, **given)


def test_a_checkpoints_columns_are_held_against_its_counts(tmp_path) -> None:
    data = by_value(tmp_path)
    settings = {"shape": list(data.shape), "widths": data.widths, "batch_size": 64, "seed": 0}
    other = TableByValue(source=CsvFile(path=None), counts=data.counts, num_classes=8, **settings)
    other.load_state(json.loads(json.dumps(data.state())))
    assert other.class_names == data.class_names
    assert torch.equal(other.looks(30)[0], data.looks(30)[0])
    wrong = TableByValue(source=CsvFile(path=None), counts=[[1, 2]], num_classes=2, **settings)
    with pytest.raises(ValueError, match=r"not those of data\.counts"):
        wrong.load_state(data.state())


def test_looks_are_in_the_shares_of_the_rows(tmp_path) -> None:
    data = by_value(tmp_path)
    share = data.looks(3000)[0].bincount(minlength=8) / 3000
    truth = [n / sum(c) / 3 for c in data.counts for n in c if c]
    assert share.tolist() == pytest.approx(truth, abs=0.002)
    assert torch.equal(data.looks(10)[0], data.looks(3000)[0][:10])


def test_other_columns_of_adult_are_found_where_its_counts_are_null(data_root) -> None:
    words = ["data=adult_by_value", "model=gan", "net=table_gan", "data.drop=[sex]"]
    with pytest.raises(ValueError, match=r"data\.shape"):
        Plan(settled(words)).build("data").load()
    plan = Plan(settled([*words, "data.counts=null"]))
    plan.build("data").load()
    assert plan["data"]["num_classes"] == plan["model"]["generator"]["num_classes"] == 102
    assert plan["model"]["conditions"]["counts"] == plan["data"]["counts"]


def test_adults_stated_counts_are_its_rows(data_root) -> None:
    import yaml

    from genlab.data.sources.tables import Adult

    node = yaml.safe_load((CONF / "data" / "adult_by_value.yaml").read_text())
    keys = "shape", "widths", "counts", "num_classes", "target"
    data = TableByValue(source=Adult(), batch_size=64, seed=0, **{k: node[k] for k in keys})
    data.prepare()
    data.load()
    assert data.num_classes == 104 and "104 values of 9 columns" in data.describe()


def test_a_run_is_asked_for_a_value_and_goes_on(tmp_path) -> None:
    path = made(tmp_path / "people.csv")
    words = ["model=gan", "data=table_by_value", f"data.path={path}", "net=table_gan",
             "net.generator.width=16", "net.discriminator.width=16"]  # fmt: skip
    run = fit(words, tmp_path / "run")
    asked = 'cond={"hue": "rare"}'
    done = genlab_here("sample", f"run={run}", "num=4", asked)
    assert done.returncode == 0, done.stderr
    assert len(next((run / "samples").rglob("*rare*.csv")).read_text().splitlines()) == 5
    refused = genlab_here("sample", f"run={run}", "num=4", 'cond={"hue": "blue"}')
    assert refused.returncode == 2 and "hue has no value 'blue'" in refused.stderr


def test_conditions_of_a_table_that_has_none_are_told(tmp_path) -> None:
    path = made(tmp_path / "people.csv")
    done = genlab_here("check", "model=gan", "data=table", f"data.path={path}",
                       "conditions=one_value")  # fmt: skip
    assert done.returncode == 2 and "data.counts" in done.stderr, done.stderr
