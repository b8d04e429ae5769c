"""No hostile config takes effect: each is refused with the place named, and the marker never is."""

from __future__ import annotations

import copy
import functools
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from corpus import CONFIGS, Config
from running import genlab, settled

from genlab.runs.folder.layout import read_settings
from genlab.runs.folder.load import load_model
from genlab.runs.gate.files import check_command_line, check_folder, folder_name
from genlab.runs.say.errors import UserError, of_composition
from genlab.runs.settings import compose
from genlab.runs.settings.mistakes import explain
from genlab.runs.settings.plan import Plan


@functools.cache
def _base() -> dict[str, Any]:
    return settled(["logger=none", "trainer=cpu"])


def put(settings: dict[str, Any], place: str, node: Any) -> None:
    *path, last = place.split(".")
    for part in path:
        settings = settings.setdefault(part, {})
    settings[last] = [node] if last == "list" else node


def gate_node(payload: dict[str, Any], folder: Path) -> None:
    settings = copy.deepcopy(_base())
    put(settings, payload["place"], payload["node"])
    compose.checked(settings, [])


def gate_folder(files: dict[str, str], folder: Path) -> None:
    """What `genlab train --config-dir FOLDER experiment=evil` does before it builds anything."""
    conf = folder / "conf"
    for name, text in files.items():
        (conf / name).parent.mkdir(parents=True, exist_ok=True)
        (conf / name).write_text(text, encoding="utf-8")
    check_command_line(["--config-dir", str(conf), "experiment=evil"])
    try:
        compose.plan_of(["experiment=evil"], conf)
    except UserError:
        raise
    except Exception as error:
        if of_composition(error):
            raise UserError(explain(error, ["experiment=evil"], conf)) from error
        raise


def gate_yaml(text: str, folder: Path) -> None:
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"config\.yaml"):
        read_settings(folder)
    check_folder(folder)


def gate_name(name: str, folder: Path) -> None:
    with pytest.raises(UserError):
        folder_name(name)
    compose.checked({**_base(), "name": name}, [])


def gate_settled(changes: dict[str, Any], folder: Path) -> None:
    """As a run folder, whose own `trust` counts for nothing, and as a checkpoint."""
    settings = {**copy.deepcopy(_base()), **changes}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    path = folder / "x.ckpt"
    own = {"settings": settings, "data_state": {}}
    torch.save({"genlab": own, "state_dict": {}, "clock": {}}, path)
    with pytest.raises(UserError):
        load_model(path)
    compose.checked({**read_settings(folder), "trust": []}, [])


GATES = {
    "node": gate_node, "folder": gate_folder, "yaml": gate_yaml, "name": gate_name,
    "settled": gate_settled,
}  # fmt: skip


def test_the_corpus_is_large_and_its_names_are_distinct() -> None:
    assert len(CONFIGS) >= 150 and len({c.name for c in CONFIGS}) == len(CONFIGS)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
def test_a_hostile_config_is_refused(config: Config, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("c")
    marker = folder / "marker"
    payload = config.make(folder, str(marker))
    began = time.process_time()
    with pytest.raises(UserError) as refused:
        GATES[config.kind](payload, folder)
    assert time.process_time() - began < 10
    assert not marker.exists()
    assert config.says in str(refused.value), str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_honest_folder_of_configs_is_let_in(tmp_path: Path) -> None:
    """The negative control: interpolation, anchors, groups and packages of one's own work."""
    text = (
        "# @package _global_\n# mine\ndefaults: [override /model: vae]\nname: mine\n"
        "seed: &s 3\nlook_every: *s\nsave_every: '${data.batch_size}'\n"
    )
    gate_folder({"experiment/evil.yaml": text}, tmp_path)


def test_a_double_resolution_cannot_name_a_class(tmp_path: Path) -> None:
    """Found here: a text in a checkpoint became a node when Hydra resolved it, and it ran."""
    marker = tmp_path / "marker"
    text = (
        '${oc.create:"{_target_: pathlib.Path.touch, _args_:'
        f' [{{_target_: pathlib.Path, _args_: [{marker}]}}]}}"}}'
    )
    with pytest.raises(UserError, match="log_every"):
        Plan({"x": {"_target_": "genlab.callbacks.ledger.Ledger", "log_every": text}})
    assert not marker.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--experimental-rerun", "x.pickle"], "pickle"),
        (["--config-path", "x"], "--config-dir"),
        (["hydra.searchpath=[pkg://antigravity]"], "--config-dir"),
        (["+hydra.searchpath=[x]"], "--config-dir"),
    ],
)
def test_options_that_bring_in_code_are_refused(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_command_line(words)


@pytest.mark.parametrize("name", ["hydra callback", "hydra job logging", "name climbs"])
def test_the_command_refuses_with_code_2(name: str, tmp_path: Path) -> None:
    config = next(c for c in CONFIGS if c.name == f"folder: {name}")
    marker, conf = tmp_path / "marker", tmp_path / "conf"
    for file, text in config.make(tmp_path, str(marker)).items():
        (conf / file).parent.mkdir(parents=True, exist_ok=True)
        (conf / file).write_text(text)
    done = genlab(
        "train", "--config-dir", str(conf), "experiment=evil", GENLAB_OUTPUTS=str(tmp_path / "o")
    )
    assert done.returncode == 2 and config.says in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and "\x1b" not in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["conf"]
