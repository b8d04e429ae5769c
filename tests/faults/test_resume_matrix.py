"""Resume is bitwise: every family, with and without EMA, stopped at every kind of place."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytorch_lightning import Callback
from record import record
from running import TINY, settled
from test_runs import FAMILIES, Stop, digest, parts

from genlab.callbacks.look import Look
from genlab.runs import train
from genlab.runs.folder.checkpoint import newest, read, save
from genlab.runs.folder.load import load_model
from genlab.runs.settings.plan import Plan

SIZE, BATCHES = 128, 14  # an epoch of digits is 11.2 batches
# after which batches the run is broken: 7 is where a look comes, 11 the last whole batch of an
# epoch and 12 the first of the next
STOPS = {
    "mid-epoch": [4], "at a look": [7], "an epoch's end": [11], "past it": [12],
    "twice in an epoch": [3, 6],
}  # fmt: skip


class Watch(Callback):
    """Notes what every batch held, by the clock; breaks the run at `stop`."""

    def __init__(self, seen: dict[int, str], stop: int | None) -> None:
        self.seen, self.stop = seen, stop

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        k = pl_module.clock.batches
        if k == self.stop:
            raise Stop
        self.seen[k] = digest([trainer.datamodule.train_ids(k), dict(batch)])


def watched(family: str, ema: str, run: Path, seen: dict, stop: int | None = None) -> None:
    """Train to the end, or up to `stop` batches with a checkpoint there; goes on if begun."""
    settings = settled([
        *TINY, *FAMILIES[family], f"callbacks={ema}", "optim.warmup=640",
        f"data.batch_size={SIZE}", f"budget.examples={SIZE * BATCHES}",
        f"look_every={SIZE * 7}", f"save_every={SIZE * (stop or BATCHES)}",
    ])  # fmt: skip
    resume = run.exists()
    run.mkdir(parents=True, exist_ok=True)
    original = train.Training.assemble

    def with_watch(*arguments, **options):
        data, model, trainer = original(*arguments, **options)
        trainer.callbacks.insert(0, Watch(seen, stop))
        return data, model, trainer

    train.Training.assemble = with_watch
    try:
        if stop is None:
            train.Training(Plan(settings), run).fit(resume=resume)
        else:
            with pytest.raises(Stop):
                train.Training(Plan(settings), run).fit(resume=resume)
    finally:
        train.Training.assemble = original


def outcome(run: Path, seen: dict[int, str]) -> dict[str, str]:
    """parts() holds weights, averages, optimisers, the ledger (losses, learning rates), looks."""
    (run / "config.yaml").touch()  # what makes a folder a run's; `parts` reads none of it
    drawn = digest([load_model(run, raw=raw).sample(4, seed=9) for raw in (False, True)])
    return {**parts(run), "batches": digest([seen[k] for k in range(BATCHES)]), "drawn": drawn}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    made: dict[tuple[str, str], dict[str, str]] = {}

    def get(family: str, ema: str) -> dict[str, str]:
        if (family, ema) not in made:
            run, seen = tmp_path_factory.mktemp("whole") / "run", {}
            watched(family, ema, run, seen)
            made[family, ema] = outcome(run, seen)
        return made[family, ema]

    return get


def cell(family: str, ema: str, stops: list[int], run: Path) -> dict[str, str]:
    seen: dict[int, str] = {}
    for stop in [*stops, None]:
        watched(family, ema, run, seen, stop)
    return outcome(run, seen)


def broken_look(self, trainer, pl_module) -> None:
    if trainer.state.fn == "fit":
        raise Stop


def test_a_run_stopped_within_a_look_looks_again(whole, tmp_path: Path, monkeypatch) -> None:
    """A save before the look would say that it was done, and its row would be missing."""
    run, seen = tmp_path / "run", {}
    with monkeypatch.context() as patch:
        patch.setattr(Look, "on_validation_epoch_end", broken_look)
        watched("vae", "default", run, seen, stop=7)
    watched("vae", "default", run, seen)
    assert outcome(run, seen) == whole("vae", "default")


@pytest.mark.faults
@pytest.mark.parametrize("ema", ["default", "no_ema"])
@pytest.mark.parametrize("family", FAMILIES)
def test_resume_is_bitwise_wherever_it_stopped(family: str, ema: str, whole, tmp_path) -> None:
    expected = whole(family, ema)
    differ = {}
    for name, stops in STOPS.items():
        found = cell(family, ema, stops, tmp_path / name.replace(" ", "_").replace("'", ""))
        if wrong := [k for k in expected if found.get(k) != expected[k]]:
            differ[name] = wrong
    record(
        f"bitwise resume, {family}, {'EMA' if ema == 'default' else 'no EMA'}",
        len(STOPS), len(STOPS) - len(differ), "stopped " + ", ".join(STOPS),
    )  # fmt: skip
    assert not differ


def zero_moments(held: dict) -> None:
    for state in held["optimizer_states"][0]["state"].values():
        state["exp_avg_sq"].zero_()


def clock_off_by_one(held: dict) -> None:
    held["clock"] = {"batches": held["clock"]["batches"] + 1,
                     "examples": held["clock"]["examples"] + SIZE}  # fmt: skip


def without_average(held: dict) -> None:
    held["state_dict"] = held["current_model_state"]


@pytest.mark.faults
@pytest.mark.parametrize("harm", [zero_moments, clock_off_by_one, without_average])
def test_the_comparison_sees_what_is_left_out(harm, whole, tmp_path: Path) -> None:
    """Negative controls: each harm to the checkpoint shows in the weights."""
    run, seen = tmp_path / "run", {}
    watched("diffusion", "default", run, seen, 4)
    path = newest(run)
    held = read(path)
    harm(held)
    save(held, path)
    watched("diffusion", "default", run, seen)
    seen.setdefault(4, "")
    expected, found = whole("diffusion", "default"), outcome(run, seen)
    caught = found["state_dict"] != expected["state_dict"]
    record(f"negative control: {harm.__name__.replace('_', ' ')} is caught", 1, int(caught))
    assert caught


def test_the_sums_of_a_row_survive_a_stop(tmp_path: Path) -> None:
    """With log_every=5 a row's means span the stop in their middle."""
    from running import fit
    from test_runs import stopped_at

    from genlab.rows import read_rows

    overrides = [*FAMILIES["vae"], "callbacks.ledger.log_every=5"]
    fit(overrides, tmp_path / "whole")
    stopped_at(7, overrides, tmp_path / "broken")
    fit(overrides, tmp_path / "broken", resume=True)
    rows = [read_rows(tmp_path / x / "metrics.jsonl") for x in ("whole", "broken")]
    losses = [[r["train/loss"] for r in x if r["kind"] == "train"] for x in rows]
    assert losses[0] == losses[1] and len(losses[0]) == 4
