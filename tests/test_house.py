"""The house rules: who may import whom, conf mirrors the code, headers and README are true."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from conftest import CONF, ROOT

SRC = ROOT / "src" / "genlab"
COMMON = {"batch", "clock", "rng", "shapes"}
MAY = {
    "data": COMMON,
    "nn": COMMON,
    "objectives": COMMON,
    "samplers": COMMON,
    "models": COMMON | {"optim", "objectives", "samplers"},
    "metrics": COMMON | {"nn"},
    "callbacks": COMMON | {"models", "metrics"},
    "runs": COMMON | {"data", "models", "callbacks", "metrics", "cli"},
    "optim": {"clock"},
    "cli": {"runs"},
}
FILES = sorted(SRC.rglob("*.py"))


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{a.name}" for a in node.names} | {node.module}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_import_directions(file: Path) -> None:
    part = file.relative_to(SRC).parts[0].removesuffix(".py")
    if part not in MAY:
        return
    own = {n.split(".")[1] for n in imports(file) if n.startswith("genlab.")} - {
        part,
        "__version__",
    }
    assert own <= MAY[part], f"{file.name} may not import {sorted(own - MAY[part])}"


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_hydra_only_in_runs_and_wandb_nowhere(file: Path) -> None:
    roots = {n.split(".")[0] for n in imports(file)}
    assert "wandb" not in roots
    if file.relative_to(SRC).parts[0] not in ("runs", "cli.py"):
        assert not roots & {"hydra", "omegaconf"}


def calls(name: str, attribute: str | None = None, *, bare: bool = False) -> list[str]:
    found = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            f = node.func
            if isinstance(f, ast.Name) and attribute is None and f.id == name:
                found.append(str(file.relative_to(SRC)))
            if (
                not bare
                and isinstance(f, ast.Attribute)
                and f.attr == (attribute or name)
                and (attribute is None or (isinstance(f.value, ast.Name) and f.value.id == name))
            ):
                found.append(str(file.relative_to(SRC)))
    return found


def test_one_instantiate_and_one_torch_load() -> None:
    assert calls("instantiate") == ["runs/compose.py"]
    assert calls("torch", "load") == ["runs/checkpoint.py"]
    for banned in ("eval", "exec", "__import__"):
        assert not calls(banned, bare=True), banned


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_files_open_with_what_they_are_and_stay_small(file: Path) -> None:
    text = file.read_text()
    assert ast.get_docstring(ast.parse(text)), "a file opens with a docstring"
    assert text.count("\n") <= 400, "over 400 lines: is it two things?"
    assert file.name not in ("utils.py", "helpers.py", "misc.py")


YAMLS = sorted(CONF.rglob("*.yaml"))


@pytest.mark.parametrize("file", YAMLS, ids=lambda p: str(p.relative_to(CONF)))
def test_every_yaml_says_what_it_is(file: Path) -> None:
    lines = [x for x in file.read_text().splitlines() if not x.startswith("# @package")]
    assert lines[0].startswith("# ") and len(lines[0]) > 10


MIRROR = {
    "data": "data", "net": "nn", "model": "models", "objective": "objectives",
    "sampler": "samplers", "metric": "metrics", "callbacks": "callbacks", "optim": "optim",
}  # fmt: skip


@pytest.mark.parametrize("group", MIRROR)
def test_conf_mirrors_the_package(group: str) -> None:
    for file in sorted((CONF / group).glob("*.yaml")):
        names = re.findall(r"_target_: (genlab[\w.]+)", file.read_text())
        for name in names:
            assert name.startswith(f"genlab.{MIRROR[group]}."), f"{file}: {name}"


@pytest.mark.parametrize("file", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda p: p.stem)
def test_experiments_say_command_hardware_time_result_source(file: Path) -> None:
    text = file.read_text()
    for field in ("command:", "hardware:", "time:", "result:", "source:"):
        line = re.search(rf"^# {field}\s*(\S.*)$", text, re.M)
        assert line, f"{file.name} has no line '# {field} ...'"
        assert "not measured" not in line[1] and line[1] != "?", f"{file.name}: {field} {line[1]}"
    assert f"genlab train experiment={file.stem}" in text
    assert yaml.safe_load(text)["name"] == file.stem


def test_the_readmes_tree_is_true() -> None:
    readme = (ROOT / "README.md").read_text()
    tree = re.search(r"```text\nsrc/genlab/\n(.*?)```", readme, re.S)
    assert tree, "README.md holds the tree of src/genlab"
    named = set(re.findall(r"([\w]+\.py)", tree[1]))
    there = {f.name for f in FILES if f.name != "__init__.py"}
    assert named - {"__init__.py"} == there
