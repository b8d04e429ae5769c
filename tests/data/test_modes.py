"""Numbers as modes: found where they are, back as they were, an odd state refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genlab.data.kinds import fit_column, restored
from genlab.data.modes import Modes
from genlab.data.sources.tables import CsvFile
from genlab.data.table import Columns, Table, TableExamples
from genlab.data.table_tokens import TableTokens


def hills(num: int = 4000) -> np.ndarray:
    """A third around -10, two thirds around 30, to one decimal."""
    draws = np.random.default_rng(0)
    low = draws.random(num) < 1 / 3
    return np.where(low, draws.normal(-10, 1, num), draws.normal(30, 4, num)).round(1)


def column(values=None, missing: bool = False) -> Modes:
    cells = [f"{v:.1f}" for v in (hills() if values is None else values)]
    return fit_column("c", [*cells, None] if missing else cells, cells + [None] * missing, "modes")


def test_the_hills_are_found_with_their_shares_and_spreads() -> None:
    found = column()
    near = [np.abs(found.means - at).argmin() for at in (-10, 30)]
    assert found.means[near] == pytest.approx([-10, 30], abs=0.5)
    assert found.shares[found.means < 0].sum() == pytest.approx(1 / 3, abs=0.02)
    assert found.stds[near[0]] == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("missing", [False, True])
def test_numbers_come_back_and_x_says_mode_and_place(missing: bool) -> None:
    found, values = column(missing=missing), hills()[:200]
    if missing:
        values[::7] = np.nan
    rows = TableExamples(Columns([found]), [values], None, split="train")
    x = rows.batch(torch.arange(200))["x"].numpy()
    assert x.shape == (200, sum(found.widths)) and np.isfinite(x).all()
    decoded = found.decode(x)
    for value, back in zip(values, decoded):
        assert (back is None) == bool(np.isnan(value)) and (back is None or back == value)
    there = x[~np.isnan(values)]
    ones = there[:, 1 : 1 + len(found.means)] == 1
    assert (ones.sum(1) == 1).all() and np.abs(there[:, 0]).max() < 1
    low = values[~np.isnan(values)] < 0
    assert ((found.means[ones.argmax(1)] < 0) == low).all()


def test_no_number_is_drawn_beyond_those_that_were_seen() -> None:
    found = column()
    far = np.zeros((2, sum(found.widths)))
    far[:, 0] = [-50, 50]
    assert found.decode(far) == [hills().min(), hills().max()]


def test_a_column_of_one_value_is_one_mode() -> None:
    found = column(np.full(50, 7.0))
    assert found.widths == [1, 2] and found.decode(np.array([[0.0, 1, -1]])) == [7.0]
    assert str(found) == "c one mode around 7"


def test_it_is_fitted_alike_again_and_keeps_its_state() -> None:
    found = column()
    assert column().state() == found.state()
    again = restored(found.state())
    assert isinstance(again, Modes) and again.state() == found.state()
    spread = np.array(found.typical(300))
    assert (spread < 0).mean() == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize(
    "change",
    [{"stds": [0.0]}, {"shares": [-1.0]}, {"means": []}, {"decimals": 1e9}, {"low": 2.0},
     {"high": "x"}],
)  # fmt: skip
def test_an_odd_state_is_refused(change) -> None:
    one = {"means": [0.0], "stds": [1.0], "shares": [1.0], "decimals": 1, "missing": False,
           "low": -1.0, "high": 1.0}  # fmt: skip
    assert restored({"name": "c", "kind": "modes", **one})
    with pytest.raises(ValueError, match="no column of a table"):
        restored({"name": "c", "kind": "modes", **one, **change})


def test_a_table_takes_the_kind_by_name(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{v},{'xy'[i % 2]}\n" for i, v in enumerate(hills(300))))
    data = Table(source=CsvFile(path=str(path)), shape=None, widths=None, batch_size=8, seed=0,
                 columns={"a": "modes"})  # fmt: skip
    data.load()
    assert data.columns.columns[0].kind == "modes" and data.widths[0] == 1
    batch = data.train_batch(0)
    assert all(isinstance(row["a"], float) for row in data.decode(batch["x"]))
    tokens = TableTokens(source=CsvFile(path=str(path)), shape=None, slots=None, batch_size=8,
                         seed=0, columns={"a": "modes"})  # fmt: skip
    with pytest.raises(ValueError, match=r"data\.columns\.a=modes: .*write .*continuous"):
        tokens.load()
