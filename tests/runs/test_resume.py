"""What may change when a run goes on, and what may not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from running import TINY, genlab_here

from genlab.clock import steps
from genlab.rows import append, read_rows
from genlab.runs.folder.provenance import command_again, with_resume
from genlab.runs.folder.resume import continue_ledger, measured

VAE = [*TINY, "model=vae", "net=mlp_vae"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "run"
    done = genlab_here("train", *VAE, f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of one run: each test goes on with its own."""
    return shutil.copytree(trained, tmp_path / "run")


def rates(run: Path) -> dict[int, float]:
    rows = read_rows(run / "metrics.jsonl")
    return {r["examples"]: r["train/lr"] for r in rows if r["kind"] == "train"}


def test_a_longer_budget_takes_the_schedule_with_it(run: Path) -> None:
    assert rates(run)[256] < 1e-4
    done = genlab_here("train", f"resume={run}", "budget.examples=512", "save_every=64")
    assert done.returncode == 0, done.stderr
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert settings["model"]["optim"]["horizon"] == 512
    assert settings["callbacks"]["checkpoint"]["save_every"] == 64
    assert rates(run)[272] > 4e-4 and rates(run)[512] < 1e-4
    (resumed,) = json.loads((run / "provenance.json").read_text())["resumed"]
    assert resumed["examples"] == 256 and "git" not in resumed and "versions" not in resumed
    command = f"genlab train resume={run} budget.examples=512 save_every=64"
    assert resumed["command"] == command
    assert command in (run / "report.html").read_text()
    done = genlab_here("train", f"resume={run}", "budget.examples=528")
    assert done.returncode == 0, done.stderr
    resumed = json.loads((run / "provenance.json").read_text())["resumed"]
    assert [r["examples"] for r in resumed] == [256, 512]
    assert resumed[1]["command"] == f"genlab train resume={run} budget.examples=528"


@pytest.mark.parametrize("resumed", [5, "x", ["x"], {"a": 1}, [{"command": "a b 'c"}], None])
def test_how_a_run_went_on_is_told_whatever_stood_there(resumed, tmp_path: Path) -> None:
    told = with_resume(
        {"command": "genlab train a=1", "resumed": resumed}, ["a=1", "b=2"], tmp_path, 9
    )
    last = told["resumed"][-1]
    assert last["command"] == f"genlab train resume={tmp_path} b=2" and last["examples"] == 9
    assert last["versions"]["torch"]  # not told before
    again = with_resume(told, ["a=1", "b=2"], tmp_path, 10)["resumed"][-1]
    assert again["command"] == f"genlab train resume={tmp_path}" and "versions" not in again


def test_the_command_to_train_it_again_has_what_a_resume_changed() -> None:
    told = {"command": "genlab train data=ring budget.examples=100 'name=a b'"}
    assert command_again(told) == told["command"] and command_again({}) is None
    told["resumed"] = [
        {"command": "genlab train resume=outputs/r budget.examples=200"},
        {"command": "genlab train resume=outputs/r budget.examples=300 logger=none"}, 7,
    ]  # fmt: skip
    expected = "genlab train data=ring 'name=a b' budget.examples=300 logger=none"
    assert command_again(told) == expected


@pytest.mark.parametrize("batch", [1, 7, 16, 128, 1000])
@pytest.mark.parametrize("looks", [1, 3, 4, 10])
def test_looks_at_equal_distances_end_where_the_run_does(looks: int, batch: int) -> None:
    for every in (1, 96, 1000, 50_000):
        assert looks * steps(every, batch) >= steps(looks * every, batch)
        if every >= looks * batch:  # and none of them is lost
            assert (looks - 1) * steps(every, batch) < steps(looks * every, batch)


def test_the_ledger_goes_on_where_the_checkpoint_ends(tmp_path: Path, capsys) -> None:
    ledger = tmp_path / "metrics.jsonl"
    for batches in (1, 2, 3, 4):
        append(ledger, {"kind": "train", "batches": batches})
    held = {"clock": {"batches": 2, "examples": 32}, "ledger": {"rows": 3}}
    continue_ledger(tmp_path, held, ["something was damaged"])
    rows = read_rows(ledger)
    assert [r["batches"] for r in rows if r["kind"] == "train"] == [1, 2]
    told = ["something was damaged", "metrics.jsonl holds 2 of the 3 rows up to the checkpoint"]
    assert [r["notice"] for r in rows if r["kind"] == "notice"] == told
    assert all(notice in capsys.readouterr().err for notice in told[:1])
    continue_ledger(tmp_path, {}, [])
    assert [r for r in read_rows(ledger) if r["kind"] == "train"] == [], "it begins again"


def test_a_run_is_measured_where_its_newest_checkpoint_is(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for number in (5, 64):
        (tmp_path / "checkpoints" / f"examples={number:012d}.ckpt").touch()
        assert not measured(tmp_path)
        told = {"checkpoint": f"examples={number:012d}.ckpt"}
        (tmp_path / "evaluation.json").write_text(json.dumps(told))
        assert measured(tmp_path)


def test_a_run_ends_with_a_look(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = genlab_here("train", *VAE, "look_every=96", "save_every=64", f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    rows = read_rows(run / "metrics.jsonl")
    assert [r["examples"] for r in rows if r["kind"] == "look"] == [0, 96, 192, 256]
    assert max(p.stem for p in (run / "samples").glob("0*")) == f"{256:012d}"


def test_the_same_command_says_that_it_is_done(run: Path) -> None:
    done = genlab_here("train", *VAE, f"hydra.run.dir={run}")
    assert done.returncode == 0 and "is finished" in done.stderr
    before = (run / "config.yaml").read_bytes()
    done = genlab_here("train", *VAE, "net.latent_dim=3", f"hydra.run.dir={run}")
    assert done.returncode == 2 and "another" in done.stderr and "latent_dim" in done.stderr
    assert (run / "config.yaml").read_bytes() == before


def test_a_logger_is_chosen_anew(run: Path) -> None:
    more = [f"resume={run}", "budget.examples=272"]
    done = genlab_here("train", *more, "logger=wandb")
    assert done.returncode == 0, done.stderr
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert settings["logger"]["wandb"]["name"] == settings["name"] == "digits_vae"
    done = genlab_here("train", f"resume={run}", "budget.examples=288", "logger=none")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("budget.exmples=512", "nearest: examples"),
        ("net.width=8", "init_from"),
        ("logger.wandb.mode=online", "no such setting"),
        ("budget.examples=many", "budget.examples"),
    ],
)
def test_what_cannot_change_is_named(change: str, says: str, run: Path) -> None:
    before = (run / "config.yaml").read_bytes()
    done = genlab_here("train", f"resume={run}", change)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1
    assert (run / "config.yaml").read_bytes() == before


def test_other_data_under_the_same_name_is_refused(tmp_path: Path) -> None:
    text, run = tmp_path / "a.txt", tmp_path / "run"
    text.write_text("abcd efgh\n" * 200)
    words = ["data=text_file", f"data.path={text}", "model=autoregressive", "net=gru",
             "net.width=16", "data.block=16"]  # fmt: skip
    done = genlab_here("train", *TINY, *words, f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    text.write_text("abcd efgi\n" * 200)
    done = genlab_here("train", f"resume={run}", "budget.examples=512")
    assert done.returncode == 2 and "data has changed" in done.stderr, done.stderr
    text.write_text("abcd efgh\n" * 200)
    done = genlab_here("train", f"resume={run}", "budget.examples=512")
    assert done.returncode == 0, done.stderr
