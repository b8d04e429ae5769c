"""What a file may not reach: places to write beside the run folder, and anybody's server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from running import TINY, fit, genlab_here

from genlab.runs.gate.reach import keep_inside, said_by
from genlab.runs.say import dashboard
from genlab.runs.settings.compose import plan_of
from genlab.runs.settings.overrides import parse

pytestmark = pytest.mark.whole

WANDB = "pytorch_lightning.loggers.WandbLogger"
SMALL = ["model=vae", "net.encoder.width=8", "net.decoder.width=8"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return fit(SMALL, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


@pytest.fixture
def opened(monkeypatch) -> list[dict]:
    """The nodes of wandb that a command would open."""
    nodes: list[dict] = []
    monkeypatch.setattr(dashboard, "prepare_wandb", lambda node, run: nodes.append(node))
    return nodes


@pytest.fixture
def caches(monkeypatch) -> list[Path | None]:
    """Where feature networks would be written; measuring ends there."""
    asked: list[Path | None] = []

    def reference(*args, cache, **more):
        asked.append(cache)
        raise ValueError("far enough")

    monkeypatch.setattr("genlab.metrics.image.reference", reference)
    return asked


def change(run: Path, **more) -> None:
    """A stranger's config.yaml, with no seal that tells."""
    settings = yaml.safe_load((run / "config.yaml").read_text())
    for key, value in more.items():
        settings[key] = {**(settings.get(key) or {}), **value}
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    (run / "config.yaml.sha256").unlink(missing_ok=True)


COMMANDS = {"evaluate": ("evaluate", "run={}"), "resume": ("train", "resume={}", "evaluate=true",
            "budget.examples=512")}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_a_run_folder_names_is_not_filled(command, run, caches, tmp_path) -> None:
    change(run, metric={"cache": str(tmp_path / "victim")})
    done = genlab_here(*(word.format(run) for word in COMMANDS[command]))
    assert caches == [None], done.stderr
    assert f"metric.cache={tmp_path / 'victim'} is left out" in done.stderr
    assert not (tmp_path / "victim").exists()


def test_a_folder_that_the_command_line_names_is_filled(run, caches, tmp_path) -> None:
    mine = tmp_path / "mine"
    genlab_here("evaluate", f"run={run}", f"metric.cache={mine}")
    words = [*TINY, *SMALL, "evaluate=true", f"metric.cache={mine}", f"hydra.run.dir={run}2"]
    done = genlab_here("train", *words)
    assert caches == [mine, mine], done.stderr


SENDING = [
    {"mode": "online"}, {"mode": "run"}, {"mode": "shared"}, {"mode": "Online"}, {"mode": True},
    {"mode": "offline", "entity": "theirs"},
]  # fmt: skip


@pytest.mark.parametrize("more", SENDING, ids=str)
def test_a_run_folder_sends_nothing(more, run, opened) -> None:
    change(run, logger={"wandb": {"_target_": WANDB, "project": "x", "name": "x", **more}})
    done = genlab_here("train", f"resume={run}", "budget.examples=512")
    assert done.returncode == 0, done.stderr
    assert [(n["mode"], n.get("entity")) for n in opened] == [("offline", None)]
    assert "only the command line" in done.stderr
    kept = yaml.safe_load((run / "config.yaml").read_text())["logger"]["wandb"]
    assert (kept["mode"], kept.get("entity")) == ("offline", None), "what its workers read"


def test_what_is_said_on_resume_is_sent(run, opened) -> None:
    change(run, logger={"wandb": {"_target_": WANDB, "mode": "run", "entity": "theirs"}})
    words = ["budget.examples=512", "logger.wandb.mode=online", "logger.wandb.entity=mine"]
    genlab_here("train", f"resume={run}", *words)
    assert [(n["mode"], n["entity"]) for n in opened] == [("online", "mine")]


@pytest.mark.parametrize(
    "text",
    ["name: online\nlogger: {wandb: {mode: '${name}'}}", "logger: {wandb: {mode: run}}",
     "a: run\nlogger: {wandb: {mode: '${a}'}}", "logger: {wandb: {entity: theirs}}"],
)  # fmt: skip
def test_a_folder_of_configs_sends_nothing(text, tmp_path, capsys) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "evil.yaml").write_text(f"# @package _global_\n{text}\n")
    logger = plan_of(["experiment=evil"], tmp_path)[0]["logger"]["wandb"]
    assert (logger["mode"], logger.get("entity")) == ("offline", None)
    assert "only the command line" in capsys.readouterr().err
    words = ["experiment=evil", "logger.wandb.mode=online", "logger.wandb.entity=me"]
    logger = plan_of(words, tmp_path)[0]["logger"]["wandb"]
    assert (logger["mode"], logger["entity"]) == ("online", "me")


def test_the_keys_of_a_command_line() -> None:
    words = ["+logger={wandb: {mode: online}}", "seed=1,2", "++metric.cache=x", "~model"]
    assert said_by(words) >= {"logger.wandb.mode", "logger.wandb", "seed", "metric.cache"}
    settings = {"metric": {"a": {"cache": "x"}}, "logger": {"wandb": {"mode": "online"}}}
    kept = {"metric": {"a": {"cache": None}}, "logger": {"wandb": {"mode": "online"}}}
    assert keep_inside(settings, said_by(words)) == kept
    assert keep_inside({"a": [{"b": ({"cache": "x"},)}]}, []) == {"a": [{"b": [{"cache": None}]}]}
    assert parse("evaluate", ["run=x", "metric.cache=y"])[1] == [("metric.cache", "y")]


def test_a_value_that_came_from_the_environment_may_be_no_word_of_a_command_line(
    monkeypatch,
) -> None:
    """Hydra's overrides are read with their interpolations filled in."""
    assert said_by(["+service.mine=a word with space #1", "seed=2"]) == {"service.mine", "seed"}
    monkeypatch.setenv("MY_PASSWORD", "canary04 with space #1")
    words = [*TINY, *SMALL, "+service.mine=${oc.env:MY_PASSWORD}"]
    done = genlab_here("train", *words, "budget.examples=32", "look_every=null")
    assert done.returncode == 0, done.stderr
