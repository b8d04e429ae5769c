"""`genlab evaluate` says which share of held-out examples train has too, and measures without."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from running import fit, genlab_here

from genlab.runs.leaked import told_of_leakage
from genlab.runs.page.write import write_report

TEXT = ["model=autoregressive", "net=gru", "net.width=16", "data=text_file", "data.block=64",
        "metric.num_samples=4", "budget.examples=32"]  # fmt: skip


def rows(path: Path, copies: int) -> Path:
    """60 training documents of 255 letters, four windows each, and 36 held out, some twice."""
    draw = np.random.default_rng(0)
    vocabulary = ["".join(draw.choice([*"abcdefghij"], 5)) for _ in range(2000)]
    made = [" ".join(draw.choice(vocabulary, 43))[:255] for _ in range(96)]
    told = [{"text": t, "split": "train"} for t in made[:60]]
    told += [{"text": t, "split": "val"} for t in made[:copies]]
    told += [{"text": t, "split": "val"} for t in made[60:]]
    path.write_text("".join(json.dumps(r) + "\n" for r in told))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("leaked")
    rows(folder / "clean.jsonl", 0)
    return fit([*TEXT, f"data.path={rows(folder / 'rows.jsonl', 4)}"], folder / "run")


def evaluated(run: Path, *words: str, to: Path) -> tuple[str, dict]:
    done = genlab_here("evaluate", f"run={run}", f"to={to}", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((to / "evaluation.json").read_text())


@pytest.mark.whole
def test_every_figure_is_given_on_all_and_on_the_clean_part(run, tmp_path) -> None:
    said, found = evaluated(run, to=tmp_path / "a")
    leak = found["leakage"]
    assert (leak["copies"], leak["looked_at"], leak["over"]) == (16, 160, True)
    assert leak["share"] == pytest.approx(0.1) and leak["interval"][0] < 0.1 < leak["interval"][1]
    assert "16 of 160 held-out examples have a near copy in train: 10.00%" in said
    assert "without them:" in said and found["clean"]["num_held_out"] == 144
    other = run.parent / "clean.jsonl"
    said, right = evaluated(run, f"data.path={other}", to=tmp_path / "b")
    assert "0 of 144 held-out examples have a near copy in train (at most 2.60%)" in said
    assert "without them" not in said and "clean" not in right
    for part in ("metrics", "floor", "interval"):
        assert found["clean"][part].keys() == right[part].keys()
        for name, value in right[part].items():
            assert found["clean"][part][name] == pytest.approx(value, rel=1e-6), name
    assert found["metrics"]["loss"] != found["clean"]["metrics"]["loss"]


@pytest.mark.whole
def test_the_limit_is_a_setting_and_the_run_s_metric_need_not_know(run, tmp_path) -> None:
    _, found = evaluated(run, "leak_limit=0.2", "metric=likelihood", to=tmp_path / "a")
    assert found["leakage"]["copies"] == 16, "words, though likelihood measures any kind"
    assert "clean" not in found and not found["leakage"]["over"]
    _, found = evaluated(run, "leak_limit=null", "metric=likelihood", to=tmp_path / "b")
    assert "leakage" not in found
    done = genlab_here("evaluate", f"run={run}", "leak_limit=2")
    assert done.returncode == 2 and "leak_limit=2: write a share from 0 to 1" in done.stderr


@pytest.mark.whole
def test_the_report_shows_both(run) -> None:
    done = genlab_here("evaluate", f"run={run}")
    assert done.returncode == 0, done.stderr
    page = write_report(run).read_text()
    assert "16 of 160 held-out examples have a near copy in train" in page
    section = page.split("without the near copies")[1].split("</table>")[0]
    assert "bits per byte" in section


@pytest.mark.whole
def test_data_that_never_end_leak_nothing(tmp_path) -> None:
    words = ["model=vae", "data=ring", "budget.examples=64", "metric.num_samples=100"]
    run = fit(words, tmp_path / "run")
    said, found = evaluated(run, to=tmp_path / "a")
    assert found["leakage"] == {"none": "training examples are drawn without end"}
    assert "near copy" not in said


@pytest.mark.parametrize(
    "leak",
    [3, {}, {"copies": "x"}, {"copies": 1, "looked_at": 0, "interval": [0, 1]},
     {"copies": 1, "looked_at": 2, "interval": [0, "y"]}, {"copies": 1, "looked_at": 2}],
)  # fmt: skip
def test_what_is_malformed_is_not_shown(leak) -> None:
    assert told_of_leakage({"leakage": leak, "clean": {"metrics": 3}}) == []
    right = {"copies": 1, "looked_at": 2, "interval": [0, 1], "near": "a\nb"}
    told = told_of_leakage({"leakage": right, "clean": {"metrics": {"x\ny": 1.0}}})
    assert len(told) == 3 and not any("\n" in line for line in told)
