"""What a dashboard is given is the ledger's: read back from wandb's files and TensorBoard's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import genlab
from wandb_log import history, run_of

from genlab.rows import NOT_VALUES, read_rows
from genlab.runs.say.dashboard import placed, wandb_id
from genlab.views.base import log_rows
from genlab.views.table import Sheet
from genlab.views.texts import Texts

SMALL = [
    "train", "data.batch_size=16", "save_every=64", "callbacks.look.num=4", "net.width=8",
    "budget.examples=64", "look_every=32", "callbacks.ledger.log_every=1", "sampler.num_steps=2",
    "metric.num_samples=20", "trainer=cpu", "data.val_examples=64",
]  # fmt: skip


def wandb_files(run: Path) -> list[Path]:
    return sorted((run / "wandb").glob("offline-run-*/*.wandb"))


def ledger(run: Path) -> list[dict[str, float]]:
    """The ledger's numbers, row by row, as a dashboard is given them."""
    rows = read_rows(run / "metrics.jsonl")
    values = [({k: v for k, v in r.items() if k not in NOT_VALUES}, r["examples"]) for r in rows]
    return [{"examples": examples, **found} for found, examples in values if found]


def numbers(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The rows of numbers: pictures and tables have rows of their own."""
    plain = [{k: v for k, v in row.items() if k != "trainer/global_step"} for row in rows]
    return [
        row
        for row in plain
        if row.keys() - {"examples"} and not any(isinstance(v, dict | list) for v in row.values())
    ]


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Path:
    """A run that is trained and measured, measured later again, and trained on."""
    outputs = tmp_path_factory.mktemp("lived")
    done = genlab(*SMALL, GENLAB_OUTPUTS=str(outputs), WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    run = next(outputs.rglob("config.yaml")).parent
    for words in (["evaluate", f"run={run}", "seed=1"],
                  ["train", f"resume={run}", "budget.examples=128"]):  # fmt: skip
        done = genlab(*words, WANDB_MODE="offline")
        assert done.returncode == 0, done.stderr
    return run


@pytest.mark.whole
def test_every_number_offline_is_the_ledgers(lived: Path) -> None:
    logged = [row for path in wandb_files(lived) for row in numbers(history(path))]
    rows = ledger(lived)
    assert len(rows) >= 12 and {"train/loss", "val/loss", "evaluate/frechet_distance"} <= {
        name for row in rows for name in row
    }
    assert logged == rows, "each row, in order, to the last digit"


@pytest.mark.whole
def test_a_run_has_one_id_for_life(lived: Path) -> None:
    files = wandb_files(lived)
    assert len(files) == 3, "trained; measured later; trained on"
    assert len({run_of(path).run_id for path in files}) == 1
    assert {path.stem for path in files} == {f"run-{wandb_id(lived)}"}
    firsts = [numbers(history(path))[0]["examples"] for path in files]
    assert firsts == sorted(firsts), "`wandb sync` sends them in this order"


@pytest.mark.whole
def test_the_readmes_sync_takes_the_offline_folders(lived: Path) -> None:
    folders = [str(path.parent) for path in wandb_files(lived)]
    words = [str(Path(sys.executable).parent / "wandb"), "sync", "--dry-run", *folders]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert all(Path(folder).name in said for folder in folders), said


@pytest.mark.whole
def test_the_figures_stand_in_a_table_with_their_intervals(lived: Path) -> None:
    first = wandb_files(lived)[0]
    (table,) = (r["evaluate/figures"] for r in history(first) if "evaluate/figures" in r)
    held = json.loads((first.parent / "files" / table["path"]).read_text())
    assert held["columns"] == ["figure", "value", "low", "high", "floor"]
    row = next(r for r in held["data"] if r[0] == "frechet_distance")
    logged = [r for r in numbers(history(first)) if "evaluate/frechet_distance" in r]
    assert row[1] == logged[0]["evaluate/frechet_distance"] and row[2] < row[1] < row[3]
    said = json.loads((lived / "evaluation.json").read_text())  # of a later evaluation, same data
    assert row[4] == pytest.approx(said["floor"]["frechet_distance"], rel=0.5) and row[4] > 0
    last = json.loads((lived / "evaluation.json").read_text())
    (table,) = (r["evaluate/figures"] for r in history(wandb_files(lived)[-1])
                if "evaluate/figures" in r)  # fmt: skip
    held = json.loads((wandb_files(lived)[-1].parent / "files" / table["path"]).read_text())
    for name, value, low, high, floor in held["data"]:
        assert value == last["metrics"][name] and floor == last["floor"].get(name)
        assert [low, high] == last["interval"].get(name, [None, None])


@pytest.mark.whole
def test_pictures_and_the_film_are_logged(lived: Path) -> None:
    rows = history(wandb_files(lived)[-1])
    names = {k for row in rows for k in row}
    assert {"samples", "evaluate/samples", "evaluate/real", "film"} <= names
    kept = {p.suffix for p in wandb_files(lived)[-1].parent.rglob("*") if "media" in p.parts}
    assert {".png", ".gif", ".json"} <= kept


@pytest.mark.whole
def test_the_cells_of_a_sweep_are_a_group(tmp_path: Path) -> None:
    sweep = tmp_path / "widths"
    words = ["-m", "net.width=8,16", f"hydra.sweep.dir={sweep}", "evaluate=false"]
    done = genlab(*SMALL[:4], *SMALL[5:], *words, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    found = {}
    for cell in sorted(p for p in sweep.iterdir() if p.is_dir()):
        run = run_of(wandb_files(cell)[0])
        assert (run.run_group, run.display_name) == ("widths", cell.name)
        found[cell.name] = list(run.tags)
    assert list(found.values()) == [["net.width=8"], ["net.width=16"]]


def test_what_is_asked_for_stands(tmp_path: Path) -> None:
    node = {"_target_": "x", "name": "mine", "group": "theirs", "tags": ["a"]}
    assert placed(node, tmp_path / "run") == node, "no sweep's cell, never logged before"
    (tmp_path / "multirun.yaml").write_text("hydra: {overrides: {task: ['seed=1,2']}}")
    cell = tmp_path / "0_x"
    (cell / "wandb" / "offline-run-20260101_000000-abc123").mkdir(parents=True)
    (cell / "overrides.yaml").write_text(json.dumps(["seed=1", "same=2" + "x" * 99]))
    told = placed(node, cell)
    assert (told["group"], told["name"], told["id"]) == ("theirs", "0_x", "abc123")
    assert told["tags"][:2] == ["a", "seed=1"] and all(len(t) <= 64 for t in told["tags"])
    assert placed({**node, "id": "own"}, cell)["id"] == "own"


class Told:
    """A logger that takes everything, and notes it."""

    def __init__(self) -> None:
        self.calls: dict[str, dict[str, Any]] = {}

    def log_image(self, key: str, images: list, step: int) -> None:
        self.calls[key] = {"images": images, "step": step}

    def log_text(self, key: str, columns: list, data: list, step: int) -> None:
        self.calls[key] = {"columns": columns, "data": data, "step": step}

    log_table = log_text


def test_texts_and_rows_are_logged_at_their_step(tmp_path: Path) -> None:
    told = Told()
    Texts().log(told, "samples", ["to be", "or not"], tmp_path / "x", step=7)
    assert told.calls["samples"]["data"] == [[0, "to be"], [1, "or not"]]
    rows = [{"age": 1, "job": "a"}, {"age": 2.5, "job": None}, {"age": "old", "job": "b"}] * 50
    Sheet().log(told, "rows", rows, tmp_path / "x.png", step=9)
    table = told.calls["rows/rows"]
    assert table["columns"] == ["age", "job"] and len(table["data"]) == 100
    assert table["data"][:3] == [["1", "a"], ["2.5", None], ["old", "b"]], "one type a column"
    assert told.calls["samples"]["step"] == 7 and table["step"] == 9
    log_rows(object(), "x", ["a"], [[1]], step=1)


@pytest.mark.whole
def test_tensorboards_numbers_are_the_ledgers_too(tmp_path: Path) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="pip install genlab[tensorboard]",
    )
    done = genlab(*SMALL, "logger=tensorboard", GENLAB_OUTPUTS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    run = next(tmp_path.rglob("config.yaml")).parent
    done = genlab("train", f"resume={run}", "budget.examples=128")
    assert done.returncode == 0, done.stderr
    (board,) = {p.parent for p in run.rglob("events.out.tfevents*")}
    found = reader.EventAccumulator(str(board)).Reload()
    rows = [r for r in read_rows(run / "metrics.jsonl")]
    names = {k for r in rows for k in r if k not in (*NOT_VALUES, "state")}
    assert names <= set(found.Tags()["scalars"])
    for name in names:
        wanted = [(r["batches"], float(np.float32(r[name]))) for r in rows if name in r]
        assert [(e.step, e.value) for e in found.Scalars(name)] == wanted, name
    assert "evaluate/figures/text_summary" in found.Tags()["tensors"]
