"""conf/: where the YAML files are, its groups, and their options by their first comment line."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """Where the YAML files are: in the wheel, or at the repository's root."""
    here = Path(__file__).resolve().parents[2]
    for folder in (here / "conf", here.parent.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError("genlab's conf/ is not where it was installed; install genlab again")


def options(group: str) -> dict[str, str]:
    """The options of a group with their first comment line."""
    found = {}
    for file in sorted((conf_dir() / group).glob("*.yaml")):
        comments = (line[1:].strip() for line in file.open() if line.startswith("#"))
        found[file.stem] = next((c for c in comments if not c.startswith("@")), "")
    return found


def groups() -> list[str]:
    return sorted(p.name for p in conf_dir().iterdir() if p.is_dir() and any(p.glob("*.yaml")))
