"""Representation: shares in the data and in samples, with intervals; what is commoner is found."""

from __future__ import annotations

import contextlib
import math

import pytest
import torch
from data_of import digits, text_file

from genlab.data.sources.tables import CsvFile
from genlab.data.table import Table
from genlab.metrics import features
from genlab.metrics.interval import share_interval
from genlab.metrics.representation import (
    Columns,
    Labels,
    Languages,
    Words,
    difference,
    sampling_floor,
)
from genlab.models.conditions import Conditions


class Draws:
    """A model that draws from a pool of examples."""

    likelihood, device, conditions = "none", torch.device("cpu"), Conditions()

    def __init__(self, pool: torch.Tensor) -> None:
        self.pool = pool

    def sample(self, num, cond=None, given=None, *, seed=0, first=0) -> torch.Tensor:
        g = torch.Generator().manual_seed(1000 * seed + first)
        return self.pool[torch.randint(len(self.pool), (num,), generator=g)]

    def drawing(self):
        return contextlib.nullcontext()


@pytest.fixture
def people(tmp_path) -> Table:
    """1000 rows: four in five are "m", who earn from 0 to 99; "f" from 50 to 149."""
    path = tmp_path / "people.csv"
    lines = [f"{'fm'[i % 5 > 0]},{i * 7 % 100 + 50 * (i % 5 == 0)}" for i in range(1000)]
    path.write_text("sex,pay\n" + "\n".join(lines) + "\n")
    return Table(source=CsvFile(path=str(path)), shape=[3], widths=[2, 1], batch_size=8, seed=0)


def rows_of(data: Table, sex: str) -> torch.Tensor:
    x = data.train.batch(torch.arange(len(data.train)))["x"]
    return x[[r["sex"] == sex for r in data.decode(x)]]


def test_what_is_drawn_as_the_data_are_amplifies_nothing_and_what_is_not_does(people) -> None:
    x = people.train.batch(torch.arange(len(people.train)))["x"]
    found = Columns(columns=["sex"], num_samples=2000)(Draws(x), people)
    low, high = found.interval["amplification"]
    assert low < 0 < high and found.floor["share/m"] == pytest.approx(0.8, abs=0.02)
    assert found.metrics["total_variation"] < 3 * found.floor["total_variation"]
    men, women = rows_of(people, "m"), rows_of(people, "f")
    nine = torch.cat([men[:90], women[:10]])
    found = Columns(columns=["sex"], num_samples=2000)(Draws(nine), people)
    assert found.metrics["share/m"] == pytest.approx(0.9, abs=0.02)
    low, high = found.interval["amplification"]
    assert low > 0.05 and high < 0.15 and "of m:" in found.remarks["amplification"]
    assert found.metrics["total_variation"] == pytest.approx(found.metrics["amplification"])
    turned = Columns(columns=["sex"], num_samples=500)(
        Draws(torch.cat([men[:30], women[:70]])), people
    )
    assert turned.metrics["amplification"] < -0.4  # of what is commonest in the data
    p = found.floor["share/m"]
    assert f"m x{0.5 / p:.2f}, f x{0.5 / (1 - p):.2f}" == found.notes["balanced_weights"]
    kish = 1 / (p * (0.5 / p) ** 2 + (1 - p) * (0.5 / (1 - p)) ** 2)
    assert found.notes["balanced_counts_as"] == f"{kish:.0%}"


def test_columns_together_and_numbers_by_parts(people) -> None:
    x = people.train.batch(torch.arange(len(people.train)))["x"]
    found = Columns(columns=["sex", "pay"], parts=2, num_samples=500)(Draws(x), people)
    names = [n.removeprefix("share/") for n in found.metrics if n.startswith("share/")]
    assert len(names) == 4 and all(n.startswith("sex=") and "pay=" in n for n in names)
    shares = [found.floor[f"share/{n}"] for n in names]
    assert sum(shares) == pytest.approx(1)
    below = [s for n, s in zip(names, shares) if "under" in n]
    assert sum(below) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match=r"no column 'age', but sex, pay"):
        Columns(columns=["age"])(Draws(x), people)


def test_pictures_are_counted_by_what_a_classifier_sees(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(features.RECIPE, "min_examples", 6000)
    data = digits()
    batch = data.train.batch(torch.arange(len(data.train)))
    ones = batch["x"][batch["cond"] == 1]
    found = Labels(num_samples=200, cache=str(tmp_path))(Draws(ones), data)
    assert found.metrics["share/1"] > 0.9
    assert found.metrics["total_variation"] > 0.8 and found.floor["total_variation"] < 0.1
    with pytest.raises(ValueError, match="no classes"):
        Labels(num_samples=200)(Draws(ones), digits(num_classes=None))


def test_texts_by_words_and_by_language(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("she sang a song in the evening. he ran.  " * 200)
    data = text_file(tmp_path / "a.txt", block=40)
    her, both = (
        torch.from_numpy(data.tokenizer.encode(t))[None].long()
        for t in ("she sings it all day", "he and she go")
    )
    groups = {"women": ["she", "her"], "men": ["he"]}
    found = Words(groups=groups, num_samples=50)(Draws(her), data)
    names = {n for n in found.metrics if n.startswith("share/")}
    assert found.metrics.get("share/women", found.metrics.get("share/all others")) == 1.0, names
    found = Words(groups=groups, num_samples=50)(Draws(both), data)
    assert found.metrics["share/women and men"] == 1.0
    pytest.importorskip("py3langid")
    german = data.tokenizer.encode("und dann ging der Mann in das Haus zurück.")
    german = torch.from_numpy(german)[None].long()
    found = Languages(num_samples=50)(Draws(german), data)
    assert found.metrics["share/all others"] == 1.0 and found.metrics["share/en"] == 0.0


def test_the_interval_of_a_difference_is_newcombes() -> None:
    low, high = difference(56 / 70, 70, 48 / 80, 80)  # his table II, case (a), method 10
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)
    assert share_interval(56, 70)[0] < 0.8


def test_the_floor_of_total_variation_is_what_draws_have() -> None:
    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    g = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(p, 400 * 500, replacement=True, generator=g).view(500, 400)
    shares = torch.stack([(drawn == i).double().mean(1) for i in range(4)], 1)
    mean = float((shares - p).abs().sum(1).mean() / 2)
    assert sampling_floor(dict(enumerate(p.tolist())), 400) == pytest.approx(mean, rel=0.05)
    assert math.isclose(sampling_floor({"a": 1.0}, 10), 0.0)
