"""A table as tokens: there and back, exact likelihoods, places that only their own tokens fill."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from data_of import people
from running import fit, genlab_here

from genlab.data.sources.tables import CsvFile
from genlab.data.table import Table
from genlab.data.table_tokens import TableTokens
from genlab.models.autoregressive import Autoregressive
from genlab.nn.rnn import GRU
from genlab.objectives.tokens import CrossEntropy
from genlab.samplers.tokens import Sample


def both(path: Path, **given) -> tuple[Table, TableTokens]:
    settings = {"source": CsvFile(path=str(path)), "batch_size": 8, "seed": 0}
    return Table(shape=None, widths=None, **settings), TableTokens(**settings, **given)


def made(path: Path) -> Path:
    """A number of few values, one of many, one with missing cells, and a category."""
    lines = [f"{i % 5},{i * 0.37:.2f},{'' if i % 4 == 0 else i % 90},{'xyz'[i % 3]}"
             for i in range(400)]  # fmt: skip
    path.write_text("few,many,some,letter\n" + "\n".join(lines) + "\n")
    return path


def test_there_and_back(tmp_path) -> None:
    table, tokens = both(made(tmp_path / "a.csv"), bins=100)
    for data in (table, tokens):
        data.load()
    assert tokens.slots == [5, 100, 90, 2, 3] and tokens.vocab == 100 and tokens.shape == (5,)
    ids = torch.arange(len(table.train))
    theirs = table.decode(table.train.batch(ids)["x"])
    mine = tokens.decode(tokens.train.batch(ids)["x"])
    exact = ("few", "some", "letter")
    for a, b in zip(theirs, mine):
        assert [a[n] for n in exact] == [b[n] for n in exact]
        assert abs(a["many"] - b["many"]) < 1.5 * 400 * 0.37 / 100  # a part of its rank
    again = tokens.train.batch(ids)["x"]
    laid = tokens.coordinates(again)
    assert laid.shape == (len(ids), table.columns.width)
    assert [r["few"] for r in table.decode(laid)] == [r["few"] for r in mine]


def model(slots: list[int], vocab: int) -> Autoregressive:
    torch.manual_seed(0)
    net = GRU(vocab, width=16, depth=1)
    return Autoregressive(
        net, objective=CrossEntropy(), sampler=Sample(), shape=[len(slots)], vocab=vocab,
        slots=slots,
    )  # fmt: skip


def test_all_rows_that_can_be_have_probability_one_together() -> None:
    slots = [2, 4, 3]
    net = model(slots, 4)
    rows = torch.tensor(list(itertools.product(*map(range, slots))))
    total = net.log_prob({"x": rows}).double().exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-5)
    x = net.sample(200)
    assert (x < torch.tensor(slots)).all() and {*x[:, 1].tolist()} == {0, 1, 2, 3}
    with pytest.raises(ValueError, match=r"model\.slots=\[2\]: 3 numbers from 1 to 4"):
        Autoregressive(net.net, objective=CrossEntropy(), sampler=Sample(), shape=[3], vocab=4,
                       slots=[2])  # fmt: skip


def test_an_own_table_column_after_column(tmp_path) -> None:
    path = people(tmp_path / "people.csv")
    words = ["data=table_tokens", f"data.path={path}", "model=autoregressive", "net=gru",
             "net.width=16", "data.val_examples=4"]  # fmt: skip
    run = fit(words, tmp_path / "run")
    drawn = tmp_path / "drawn"
    done = genlab_here("sample", f"run={run}", "num=3", 'given={"a": 5}', f"to={drawn}")
    assert done.returncode == 0, done.stderr
    rows = next(drawn.rglob("*.csv")).read_text().splitlines()
    assert rows[0] == "a,b" and all(r.startswith("5,") for r in rows[1:4]), rows
    done = genlab_here("sample", f"run={run}", "num=3", 'given={"b": "x"}')
    assert done.returncode == 2 and "must be the first tokens" in done.stderr, done.stderr


def test_what_is_stated_otherwise_is_told(tmp_path) -> None:
    data = both(people(tmp_path / "a.csv"), slots=[7, 4], shape=[2], vocab=7)[1]
    with pytest.raises(ValueError, match=r"data\.slots=\[7,4\] but .* has \[7,3\]"):
        data.load()
    with pytest.raises(ValueError, match=r"data\.bins=1: "):
        both(tmp_path / "a.csv", bins=1)
