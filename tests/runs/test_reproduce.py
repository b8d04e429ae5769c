"""Published numbers: each row composes, verdicts are what they say, the table keeps failures."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time

import pytest
from running import genlab_here

from genlab.metrics.figures import better
from genlab.runs import reproduce as command
from genlab.runs.papers import table
from genlab.runs.papers.row import Claim, Row, names, read_row, row_of
from genlab.runs.papers.verdict import Obtained, judged, obtained, record_of, verdict
from genlab.runs.say.errors import UserError
from genlab.runs.settings.compose import plan_of
from genlab.runs.settings.overrides import parse

TINY = Row(
    name="tiny",
    title="A ring, hardly learnt",
    paper="Nobody 2026",
    place="Table 0",
    family="diffusion",
    kind="points",
    claims=(Claim("energy_distance", 0.5, within=0.1), Claim("high_quality_share", 0.1, 0.9)),
    train=(
        "data=ring",
        "model=diffusion",
        "net=mlp",
        "net.width=16",
        "net.depth=1",
        "sampler.num_steps=4",
        "trainer=cpu",
        "trainer.threads=1",
        "trainer.precision=32-true",
        "logger=none",
        "budget.examples=256",
        "data.batch_size=32",
        "look_every=256",
        "save_every=256",
        "callbacks.look.num=4",
    ),
    evaluate=("metric=points", "metric.num_samples=200"),
    seeds=2,
    minutes=0.1,
    protocol="None.",
)
WHERE = {
    "machine": {"system": "S", "cpu": "C", "cores": 2, "threads": 1},
    "versions": {},
    "commit": "abc",
    "dirty": False,
    "date": "2026-01-01",
}


@pytest.mark.parametrize("name", names())
def test_each_row_composes_and_says_what_it_must(name: str) -> None:
    row = read_row(name)
    try:  # a table's columns are found in its files
        plan = plan_of([*row.train, "seed=1", "evaluate=false"])[0]
    except FileNotFoundError as missing:
        pytest.skip(f"its data are not here: {missing}"[:150])
    assert plan["budget"]["examples"] > 0
    parse("evaluate", ["run=outputs/none", *row.evaluate])
    assert row.claims and row.seeds >= 1 and len(row.title) > 20 and row.place and row.protocol
    for claim in row.claims:
        assert claim.within > 0 and (better(claim.figure) or claim.figure == "val/loss")
    assert not any(w.startswith(("seed=", "evaluate=", "hydra.")) for w in row.train)
    assert "split=test" not in row.train, "nothing is tuned on the test split"


LESS, MORE = Claim("loss", 1.88, within=0.02), Claim("modes_covered", 6.3, within=0.5)


@pytest.mark.parametrize(
    ("claim", "mean", "said"),
    [(LESS, 1.90, "reproduced"), (LESS, 1.8599, "better"), (LESS, 1.91, "missed"),
     (MORE, 6.8, "reproduced"), (MORE, 7.0, "better"), (MORE, 5.7, "missed")],
)  # fmt: skip
def test_a_figure_is_judged_by_the_rows_tolerance(claim: Claim, mean: float, said: str) -> None:
    assert judged(claim, mean)[0] == said


def test_the_worst_figure_decides_and_what_was_shortened_is_said() -> None:
    row = dataclasses.replace(TINY, claims=(LESS, MORE), seeds=3)

    def say(loss: float, modes: float, seeds: int = 3, **changes: str) -> str:
        found = {"loss": obtained([loss]), "modes_covered": obtained([modes])}
        return verdict(dataclasses.replace(row, **changes), found, seeds)

    assert say(1.88, 6.3) == "reproduced"
    assert say(1.5, 8) == "better"
    assert say(1.5, 6.3) == "reproduced"
    assert say(1.98, 8) == "missed by 0.100 (loss)"
    assert say(1.88, 6.3, seeds=2) == "shortened: reproduced"
    assert say(1.98, 6.3, shortened="a tenth") == "shortened: missed by 0.100 (loss)"
    assert verdict(row, {"loss": obtained([1.0])}, 3) == "failed: no modes_covered came out"


def test_an_interval_is_over_seeds_and_of_one_seed_the_evaluations() -> None:
    assert obtained([1.0], (0.9, 1.1)) == Obtained((1.0,), (0.9, 1.1))
    low, high = obtained([1.0, 2.0, 3.0]).interval
    assert (low, high) == pytest.approx((2 - 2.484, 2 + 2.484), abs=1e-3)  # 4.303 / sqrt 3


def test_the_table_keeps_failures_and_rows_of_before(tmp_path) -> None:
    other = dataclasses.replace(TINY, name="other", claims=(LESS,))
    rows = {"tiny": TINY, "other": other}
    good = {c.figure: obtained([c.value]) for c in TINY.claims}
    records = {
        "tiny": record_of(TINY, good, seeds=2, minutes=1.26, where=WHERE),
        "other": record_of(other, {}, seeds=0, minutes=0, where=WHERE),
    }
    table.write(tmp_path, {"other": records["other"]}, rows)
    path = table.write(tmp_path, {"tiny": records["tiny"]}, rows)
    text = path.read_text()
    assert "| failed: no loss came out |" in text and "| reproduced |" in text
    assert "| 1.3 |" in text and "Nobody 2026; Table 0" in text
    kept = json.loads((tmp_path / "reproduction.json").read_text())
    assert set(kept) == {"tiny", "other"} and kept["tiny"]["claimed"]["energy_distance"]["within"]
    gone = table.write(tmp_path, {}, {"tiny": TINY}).read_text()
    assert "other" not in gone, "a row that no file states any more"


@pytest.mark.whole
def test_a_row_is_trained_measured_and_not_trained_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    record = command.reproduce(TINY, 2)
    got = record["obtained"]["energy_distance"]
    assert got["n"] == 2 and len(set(got["values"])) == 2 and got["interval"][0] < got["mean"]
    assert record["seeds"] == 2 and not record["verdict"].startswith(("failed", "shortened"))
    ledgers = sorted(tmp_path.glob("papers/tiny/*/metrics.jsonl"))
    before = [p.read_bytes() for p in ledgers]
    again = command.reproduce(TINY, 2)
    assert [p.read_bytes() for p in ledgers] == before
    assert again["obtained"] == record["obtained"]
    words = tuple(w.replace("net.depth=1", "net.depth=2") for w in TINY.train)
    deeper = command.reproduce(dataclasses.replace(TINY, train=words), 1)
    assert deeper["obtained"]["energy_distance"]["n"] == 1, "its own cell alone"
    assert command.reproduce(TINY, 2)["obtained"] == record["obtained"]


def test_a_row_whose_training_fails_is_kept_as_failed(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    record = command.reproduce(dataclasses.replace(TINY, train=("net.wdith=3",)), 1)
    assert record["verdict"].startswith("failed: no energy_distance") and record["seeds"] == 0


def test_mistakes_name_the_row_and_the_key(tmp_path) -> None:
    done = genlab_here("reproduce", "nanogpt_cup")
    assert done.returncode == 2 and "nearest: nanogpt_cpu" in done.stderr, done.stderr
    done = genlab_here("reproduce", "nanogpt_cpu", "sedes=1")
    assert done.returncode == 2 and "nearest: seeds" in done.stderr, done.stderr
    done = genlab_here("reproduce", "nanogpt_cpu", "seeds=0")
    assert done.returncode == 2 and "seeds=0" in done.stderr, done.stderr
    file = tmp_path / "mine.yaml"
    file.write_text("claimed: {loos: {value: 1, within: 1}}\ntrain: []\nevaluate: []\n")
    with pytest.raises(UserError, match=r"mine.yaml: claimed.loos"):
        row_of(file, "mine")


def test_without_words_the_rows_are_shown(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    done = genlab_here("reproduce")
    assert done.returncode == 0 and all(name in done.stdout for name in names())


TRAINS = """
import pathlib, signal, sys, time
place = pathlib.Path(sys.argv[1])
def save(number, frame):
    time.sleep(0.5)
    (place / f"saved{number}").touch()
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, save)
(place / "began").touch()
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_handed_to_the_training_and_its_saving_waited_for(tmp_path, number) -> None:
    code = (
        "import sys\nfrom genlab.runs.say.answer import answer\n"
        "from genlab.runs.reproduce import run_whole\n"
        f"sys.exit(answer(lambda: run_whole([sys.executable, '-c', {TRAINS!r}, sys.argv[1]])))"
    )
    outer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not (tmp_path / "began").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    outer.send_signal(number)
    assert outer.wait(timeout=60) != 0
    assert (tmp_path / "saved15").exists(), "it was killed before it had saved"
