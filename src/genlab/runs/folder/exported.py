"""An exported folder: the files it holds, and reading it with every one of them checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genlab.runs.folder.layout import file_hash
from genlab.runs.gate.files import BYTES, read_text, read_yaml
from genlab.runs.say.errors import UserError

FILES = ("model.safetensors", "config.yaml", "card.md")
HEADER = 16 * 2**20  # bytes of a safetensors file's table of contents


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
        if not (folder / name).is_file() or file_hash(folder / name) != expected.get(name):
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
