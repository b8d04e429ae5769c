"""What a run takes, foretold from a few of its steps; and a recipe made to fit."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from running import TINY, settled

from genlab.runs.check import parse_budget
from genlab.runs.preflight import Forecast, Preflight, Stop, fitted
from genlab.runs.say.errors import UserError
from genlab.runs.settings.plan import Plan


@pytest.mark.parametrize(
    ("text", "found"),
    [("20 min", (None, 20.0)), ("2 cores, 20 min", (2, 20.0)), ("1 core 1.5 h", (1, 90.0)),
     ("16 cores,90minutes", (16, 90.0))],
)  # fmt: skip
def test_a_budget_is_read(text: str, found: tuple) -> None:
    assert parse_budget(text) == found


@pytest.mark.parametrize("text", ["", "20", "two cores", "0 min", "20 min 2 cores", "-3 h"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="fit_to"):
        parse_budget(text)


def forecast(**parts: float) -> Forecast:
    return Forecast(parts, memory=0, disk=0, energy=None, examples_per_second=1)


NET = {"width": 256, "heads": 8, "depth": 4}
SETTINGS = {
    "net": NET, "budget": {"examples": 1_000_000}, "look_every": 250_000, "save_every": 500_000,
    "optim": {"warmup": 2_000},
}  # fmt: skip


def test_a_recipe_that_fits_is_left_as_it_is() -> None:
    assert fitted(Plan(SETTINGS), forecast(start=10, steps=500, looks=20), 10) == []


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_a_recipe_is_narrowed_and_shortened_to_the_time(share: float) -> None:
    """By the rule itself: a step costs as the width's square, and so does a look."""
    parts = {"start": 10.0, "steps": 9000.0, "looks": 200.0, "measuring": 300.0}
    whole = sum(parts.values())
    words = dict(
        w.split("=") for w in fitted(Plan(SETTINGS), forecast(**parts), whole * share / 60)
    )
    width, examples = int(words["net.width"]), int(words["budget.examples"])
    assert width % 16 == 0, "the heads still divide it, in even parts"
    narrow, short = (width / 256) ** 2, examples / 1e6
    assert narrow == pytest.approx(short, rel=0.35)  # rounded to 16
    took = 10 + 9000 * narrow * short + 500 * narrow
    assert took == pytest.approx(whole * share, rel=0.35)
    assert int(words["look_every"]) / examples == pytest.approx(0.25, rel=0.05)
    assert int(words["save_every"]) / examples == pytest.approx(0.5, rel=0.05)
    assert int(words["optim.warmup"]) / examples == pytest.approx(0.002, rel=0.05)


def test_starting_alone_may_take_too_long() -> None:
    with pytest.raises(UserError, match="starting alone takes 50 s of 60"):
        fitted(Plan(SETTINGS), forecast(start=50, steps=500), 1)


def test_every_net_with_a_width_is_narrowed() -> None:
    net = {"encoder": {"width": 64}, "decoder": {"width": 32}}
    words = fitted(Plan({**SETTINGS, "net": net}), forecast(start=1, steps=4000), 10)
    assert [w.partition("=")[0] for w in words][:2] == ["net.encoder.width", "net.decoder.width"]


def test_a_steps_time_is_that_of_the_middle_half() -> None:
    stop = Stop()
    times = [9.0, 5.0, 3.0] + [1.0] * 10 + [7.0]  # the first wait for memory, one for another
    stop.ends = [sum(times[:i]) for i in range(len(times) + 1)]
    assert stop.step == 1.0
    stop.ends = [0.0, 2.0]
    assert stop.step == 2.0


@pytest.mark.slow  # it takes wall time, which another test beside it would take too
def test_what_is_foretold_is_what_a_run_takes(tmp_path: Path, monkeypatch) -> None:
    """Within a half, for a run of some seconds; the bars are measured by scripts/bench."""
    from genlab.runs import preflight
    from genlab.runs.evaluate import evaluate_run
    from genlab.runs.train import Training, write_settings

    monkeypatch.setattr(preflight, "SECONDS", 1.0)
    words = [*TINY, "data=ring", "net=mlp", "net.width=64", "budget.examples=40_000",
             "look_every=20_000", "metric.num_samples=2_000", "evaluate=true"]  # fmt: skip
    plan = Plan(settled(words))
    found = Preflight(plan, time.time()).measure()
    assert set(found.parts) == {"start", "steps", "looks", "measuring"}
    began, run = time.time(), tmp_path / "run"
    run.mkdir()
    write_settings(run, plan.settings)
    Training(plan, run).fit(resume=False)
    evaluate_run(run)
    took = time.time() - began
    assert math.log(took / found.seconds) == pytest.approx(0, abs=math.log(1.6))
    size = sum(p.stat().st_size for p in (run / "checkpoints").glob("*.ckpt"))
    assert size <= found.disk < 3.2 * size


@pytest.mark.whole
def test_a_preflight_has_all_parts_of_a_run_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    from genlab.runs import preflight

    monkeypatch.setattr(preflight, "SECONDS", 0.2)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    words = [*TINY, "data=ring", "net=mlp", "net.width=16", "budget.examples=40_000",
             "look_every=20_000", "metric.num_samples=100", "evaluate=true"]  # fmt: skip
    found = Preflight(Plan(settled(words)), time.time()).measure()
    assert set(found.parts) == {"start", "steps", "looks", "measuring"}
    assert all(seconds > 0 for seconds in found.parts.values()) and found.disk > 10_000
    assert found.parts["steps"] == pytest.approx(40_000 / found.examples_per_second)
    assert not list(tmp_path.iterdir()), "the run that was begun is gone"
