"""Every conf/data file: its head, the keys that others interpolate, and that it builds."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest
import yaml
from conftest import CONF

FILES = sorted((CONF / "data").glob("*.yaml"))
NAMES = {
    "digits", "digits_pixels", "mnist", "fashion_mnist", "cifar10", "image_folder", "ring", "grid",
    "moons", "spirals", "checkerboard", "stdlib_code", "shakespeare", "text_file", "adult", "table",
}  # fmt: skip
files = pytest.mark.parametrize("file", FILES, ids=lambda p: p.stem)


def build(node):
    """What instantiate does, for plain nodes: the class with its arguments, inner nodes first."""
    if isinstance(node, dict):
        node = {k: build(v) for k, v in node.items()}
        if "_target_" in node:
            module, _, name = node.pop("_target_").rpartition(".")
            return getattr(importlib.import_module(module), name)(**node)
    return [build(v) for v in node] if isinstance(node, list) else node


def settings(file: Path) -> dict:
    node = yaml.safe_load(file.read_text())
    node.pop("defaults")
    node["seed"] = 0
    if node.get("shape") == ["${data.block}"]:
        node["shape"] = [node["block"]]
    return node


def test_the_sets_are_there() -> None:
    assert {f.stem for f in FILES} >= NAMES


@files
def test_the_head_and_the_keys(file) -> None:
    node = yaml.safe_load(file.read_text())
    assert file.read_text().startswith("# ")
    data = build(settings(file))
    kind = data.kind  # a metric group is called by the kind that it measures
    assert node["defaults"][0] == {"override /metric@_global_.metric": kind}
    assert node["defaults"][1] == "_self_" and node["seed"] == "${seed}"
    assert {"shape", "num_classes", "vocab", "levels", "batch_size"} <= set(node)


@files
def test_every_argument_can_be_seen_in_the_file(file) -> None:
    node = settings(file)
    module, _, name = node.pop("_target_").rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    assert set(parameters) == set(node)
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())


@pytest.mark.parametrize(
    "name",
    ["digits", "digits_pixels", "ring", "grid", "moons", "spirals", "checkerboard", "stdlib_code"],
)
def test_sets_that_need_no_file(name) -> None:
    data = build({**settings(CONF / "data" / f"{name}.yaml"), **(
        {"limit": 10} if name == "stdlib_code" else {}
    )})  # fmt: skip
    data.prepare()
    data.load()
    batch = data.train_batch(0)
    assert batch["x"].shape == (data.batch_size, *data.shape)
    assert ("cond" in batch) == (data.num_classes is not None)
    assert len(data.decode(batch["x"])) == data.batch_size


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "shakespeare", "adult"])
def test_sets_on_disk(name, data_root) -> None:
    data = build(settings(CONF / "data" / f"{name}.yaml"))
    data.prepare()
    data.load()
    assert data.train_batch(0)["x"].shape == (data.batch_size, *data.shape)
