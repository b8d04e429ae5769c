"""`genlab export run=RUN to=FOLDER`: a model to hand on, as files that hold no code.

model.safetensors (the averaged weights), config.yaml (what rebuilds the model, plain data) and
card.md (what it is, where from, how good). `genlab.load(FOLDER)` takes it; manifest.sha256 guards
all three.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from genlab.runs.errors import UserError
from genlab.runs.folder import find_run, write_text, write_yaml
from genlab.runs.strangers import BYTES, read_text, read_yaml
from genlab.runs.terminal import say

FILES = ("model.safetensors", "config.yaml", "card.md")
HEADER = 16 * 2**20  # bytes of a safetensors file's table of contents


def export_command(overrides: list[str]) -> None:
    from genlab.runs.options import parse, writable

    asked, _ = parse("export", overrides)
    if asked["to"] in (None, "???"):
        raise UserError("`genlab export` needs to=FOLDER: a new folder to write")
    say(f"genlab: exported to {export(asked['run'], writable(Path(asked['to'])))}")


def export(path: str, to: Path) -> Path:
    """Write the folder; an existing one is refused."""
    from safetensors.torch import save_file

    from genlab.runs.checkpoint import read_run

    if to.exists():
        raise UserError(f"{to} is there already: name a new folder")
    loaded = read_run(path)
    to.mkdir(parents=True)
    state = {k: v.clone().contiguous() for k, v in loaded["state_dict"].items()}
    save_file(state, to / "model.safetensors")
    kept = {"genlab": loaded["genlab"], "clock": loaded["clock"]}
    write_yaml(to / "config.yaml", kept)
    write_text(to / "card.md", _card(path, kept))
    lines = [f"{_hash(to / name)}  {name}\n" for name in FILES]
    write_text(to / "manifest.sha256", "".join(lines))
    return to


def _hash(file: Path) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _card(path: str, kept: dict[str, Any]) -> str:
    settings = kept["genlab"]["settings"]
    lines = [f"# {settings['name']}\n", f"{kept['clock']['examples']:,} examples seen.\n"]
    try:
        found = json.loads((find_run(path) / "evaluation.json").read_text())
        lines += ["\n| metric | value | real held-out data |\n|---|---|---|\n"]
        for name, value in found["metrics"].items():
            floor = found["floor"].get(name)
            lines.append(f"| {name} | {value:.5g} | {'' if floor is None else f'{floor:.5g}'} |\n")
    except (OSError, ValueError):
        lines.append("\nNot evaluated.\n")
    lines.append(
        '\n```python\nimport genlab\nmodel = genlab.load("THIS_FOLDER")\n'
        "x = model.sample(16)\n```\n"
    )
    return "".join(lines)


def read_export(folder: Path) -> dict[str, Any]:
    """An exported folder's contents, after checking every file against the manifest."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    manifest = folder / "manifest.sha256"
    if not manifest.is_file():
        raise UserError(f"{folder} has no manifest.sha256: export it again")
    lines = [line.split() for line in read_text(manifest).splitlines()]
    expected = {words[-1]: words[0] for words in lines if words}
    for name in FILES:
        if not (folder / name).is_file() or _hash(folder / name) != expected.get(name):
            raise UserError(
                f"{folder / name} is missing or not as it was exported (sha256 differs)"
            )
    config = read_yaml(folder / "config.yaml", limit=16 * BYTES)
    if not isinstance(config, dict) or not isinstance(config.get("clock"), dict):
        raise UserError(f"{folder / 'config.yaml'} holds no settings of a model")
    file = folder / "model.safetensors"
    with file.open("rb") as f:
        if int.from_bytes(f.read(8), "little") > min(HEADER, file.stat().st_size):
            raise UserError(f"{file}: its header claims more than {HEADER:,} bytes")
    try:
        return {**config, "state_dict": load_file(file)}
    except SafetensorError as error:
        raise UserError(f"{file} is no file of safetensors: {error}") from None
