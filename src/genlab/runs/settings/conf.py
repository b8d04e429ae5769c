"""conf/: where the YAML files are, its groups, and their options by their first comment line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from genlab.runs.gate.files import read_text

SWEEPERS = "hydra/sweeper"  # the one group of Hydra's own that genlab has options of
# no part of a run's settings: published numbers (runs/papers/row.py), recipes of `genlab prepare`
APART = ("paper", "prepare", "rule", "pool")


def conf_dir() -> Path:
    """Where the YAML files are: in the wheel, or at the repository's root."""
    here = Path(__file__).resolve().parents[2]
    for folder in (here / "conf", here.parent.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError("genlab's conf/ is not where it was installed; install genlab again")


def options(group: str, *own: Path) -> dict[str, str]:
    """The options of a group with their first comment line; `own` are folders of --config-dir."""
    found = {}
    for folder in (conf_dir(), *own):
        for file in sorted((folder / group).glob("*.yaml")):
            lines = read_text(file).splitlines() if file.is_file() else []
            comments = (line[1:].strip() for line in lines if line.startswith("#"))
            found[file.stem] = next((c for c in comments if not c.startswith("@")), "")
    return found


def options_that(group: str, right: Callable[[dict[str, Any]], bool]) -> list[str]:
    """The options of a group whose settings, as their file states them, are right."""
    files = {name: conf_dir() / group / f"{name}.yaml" for name in options(group)}
    nodes = {name: yaml.safe_load(file.read_text()) for name, file in files.items()}
    return [name for name, node in nodes.items() if node and right(node)]


def options_with(group: str, keys: set[str]) -> list[str]:
    """The options of a group that have all these keys."""
    return options_that(group, lambda node: keys <= node.keys())


def groups(*own: Path) -> list[str]:
    """The folders that hold YAML files, in conf/ and in one's own folders; and the sweepers'."""
    found = {file.parent.name for f in (conf_dir(), *own) for file in f.glob("*/*.yaml")}
    return [*sorted(found - {*APART}), SWEEPERS]
