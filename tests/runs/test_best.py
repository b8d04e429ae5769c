"""callbacks.checkpoint.best: the checkpoint of the best look is kept, and is the run's model.

The ledger says which one it is, so a run that is killed and resumed keeps what one alone would.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from running import fit, genlab_here, looks, valid_checkpoints

from genlab.callbacks.checkpoint import best_look
from genlab.rows import append, read_rows
from genlab.runs.folder.best import best, chosen
from genlab.runs.folder.checkpoint import newest, read
from genlab.runs.folder.load import find_checkpoint, load_model
from genlab.runs.folder.resume import measured
from genlab.runs.say.errors import UserError

# so high a rate that the held-out loss falls and rises again
WORDS = [
    "data=ring", "model=vae", "net=mlp_vae", "objective=elbo_gaussian", "sampler=prior_noise",
    "net.encoder.width=8", "net.decoder.width=8", "callbacks.checkpoint.best=val/loss",
    "look_every=32", "save_every=64", "budget.examples=320", "callbacks.look.num=0",
    "optim.optimizer.lr=0.3", "optim.decay=constant", "callbacks=no_ema",
]  # fmt: skip


def names(run: Path) -> list[int]:
    good, notices = valid_checkpoints(run)
    assert not notices
    return sorted(int(p.stem.partition("=")[2]) for p in good)


def losses(run: Path) -> dict[int, float]:
    rows = read_rows(run / "metrics.jsonl")
    return {r["examples"]: r["val/loss"] for r in rows if r["kind"] == "look" and r["examples"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return fit(WORDS, tmp_path_factory.mktemp("best") / "run")


def test_the_best_is_kept_beside_the_newest_and_is_the_runs_model(run: Path) -> None:
    found = losses(run)
    least = min(found, key=found.get)
    assert least < 256, "the test wants a run whose best look is none of its last"
    assert {least, 320} <= set(names(run)) and len(names(run)) <= 4
    assert best(run).name == f"examples={least:012d}.ckpt" == find_checkpoint(run).name
    assert newest(run).name == "examples=000000000320.ckpt"
    assert load_model(run).clock.examples == least
    assert chosen(run, "newest") == newest(run) and chosen(run, "best") == best(run)


def test_stopped_anywhere_and_resumed_it_keeps_the_same(run: Path, tmp_path: Path) -> None:
    """From each checkpoint that a run may be left with: the same looks, the same files, the same
    weights; its best of then lies beside it."""
    whole = losses(run)
    for stop in (96, 160, 256):
        part = fit([*WORDS, f"budget.examples={stop}"], tmp_path / f"{stop}")
        rows = {e: loss for e, loss in losses(part).items()}
        assert rows == {e: whole[e] for e in rows}
        for file in names(part)[-2:]:
            now = best_look(read_rows(part / "metrics.jsonl"), "val/loss", until=file)
            assert now in names(part), "each of the newest has the best of its time beside it"
        resumed = tmp_path / f"{stop}_resumed"
        shutil.copytree(part, resumed)
        fit(WORDS, resumed, resume=True)
        assert losses(resumed) == whole and best(resumed).name == best(run).name
        mine, theirs = (read(best(r))["state_dict"] for r in (resumed, run))
        assert all((mine[k] == theirs[k]).all() for k in theirs)


def test_what_came_after_the_checkpoint_is_forgotten(run: Path, tmp_path: Path) -> None:
    """Killed after a look that never was saved: its row is cut, and counts for nothing."""
    killed = tmp_path / "killed"
    shutil.copytree(run, killed)
    row = {"kind": "look", "examples": 999, "batches": 999, "val/loss": -9.0}
    append(killed / "metrics.jsonl", row)
    assert best(killed) is None, "the file of that look was never written"
    fit([*WORDS, "budget.examples=352"], killed, resume=True)
    assert best(killed).name == best(run).name


def test_a_damaged_best_is_told_of_and_the_newest_taken(run: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    shutil.copytree(run, torn)
    best(torn).write_bytes(b"torn")
    with pytest.warns(UserWarning, match="skipped: the best"):
        assert find_checkpoint(torn) == newest(torn)
    with pytest.warns(UserWarning), pytest.raises(UserError, match="none that is whole"):
        chosen(torn, "best")


@pytest.mark.whole
def test_evaluate_measures_the_best_or_the_newest(tmp_path: Path) -> None:
    words = [*WORDS, "metric.num_samples=40", "metric.chunk=40"]
    run = fit(words, tmp_path / "run")

    def evaluated(*more: str) -> dict:
        done = genlab_here("evaluate", f"run={run}", *more)
        assert done.returncode == 0, done.stderr
        return json.loads((run / "evaluation.json").read_text())

    assert evaluated()["checkpoint"] == best(run).name
    assert measured(run)
    assert evaluated("checkpoint=newest")["checkpoint"] == newest(run).name != best(run).name
    assert not measured(run)
    assert evaluated("checkpoint=best")["checkpoint"] == best(run).name
    for words, said in (
        (["checkpoint=last"], "allowed are best and newest"),
        (["checkpoint=best", f"run={newest(run)}"], "is one checkpoint already"),
    ):
        given = words if any(w.startswith("run=") for w in words) else [f"run={run}", *words]
        done = genlab_here("evaluate", *given)
        assert done.returncode == 2 and said in done.stderr


def test_a_run_that_keeps_none_says_so(tmp_path: Path) -> None:
    run = fit([w for w in WORDS if ".best" not in w], tmp_path / "run")
    assert best(run) is None and find_checkpoint(run) == newest(run)
    with pytest.raises(UserError, match="it keeps none"):
        chosen(run, "best")
    assert len(names(run)) == 2


def test_a_figure_that_no_look_gives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"best=val/los: looks give val/kl, val/loss"):
        fit([*WORDS, "callbacks.checkpoint.best=val/los"], tmp_path / "run")
    with pytest.raises(ValueError, match=r"without looks there is no best one"):
        fit([*WORDS, "look_every=null"], tmp_path / "none")


def test_the_best_of_a_foreign_ledger() -> None:
    rows = [
        {"kind": "look", "examples": n, "f": value}
        for n, value in ((0, -1), (8, 3.0), (16, float("nan")), (24, "x"), (32, 2.0), (40, 2.0))
    ]
    rows += [
        {"kind": "look", "examples": 48, "f": 10**400},
        {"kind": "train", "examples": 50, "f": 0},
    ]
    rows += [{"kind": "look", "f": -5.0}]
    assert best_look(rows, "f") == 32, "the first of equal ones, and no baseline"
    assert best_look(rows, "f", until=31) == 8
    assert best_look(rows, "g") is None


def test_looks_are_as_without(run: Path, tmp_path: Path) -> None:
    """Keeping the best changes nothing of the training."""
    other = fit([w for w in WORDS if ".best" not in w], tmp_path / "run")
    assert looks(other) == looks(run)
