"""`genlab export run=RUN to=FOLDER`: a model to hand on, as files that hold no code.

model.safetensors (the averaged weights), config.yaml (what rebuilds the model, plain data) and
card.md (what it is, where from, how good). `genlab.load(FOLDER)` takes it; manifest.sha256 guards
all three.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genlab.runs.folder.exported import FILES, file_hash
from genlab.runs.folder.layout import find_run, write_text, write_yaml
from genlab.runs.say.errors import UserError
from genlab.runs.say.terminal import say


def export_command(overrides: list[str]) -> None:
    from genlab.runs.settings.overrides import parse, writable

    asked, _ = parse("export", overrides)
    if asked["to"] in (None, "???"):
        raise UserError("`genlab export` needs to=FOLDER: a new folder to write")
    say(f"genlab: exported to {export(asked['run'], writable(Path(asked['to'])))}")


def export(path: str, to: Path) -> Path:
    """Write the folder; an existing one is refused."""
    from safetensors.torch import save_file

    from genlab.runs.folder.load import read_run

    if to.exists():
        raise UserError(f"{to} is there already: name a new folder")
    loaded = read_run(path)
    to.mkdir(parents=True)
    weights, settings = merged(loaded, path)
    state = {k: v.clone().contiguous() for k, v in weights.items()}
    save_file(state, to / "model.safetensors")
    kept = {"genlab": {**loaded["genlab"], "settings": settings}, "clock": loaded["clock"]}
    write_yaml(to / "config.yaml", kept)
    write_text(to / "card.md", _card(path, kept))
    lines = [f"{file_hash(to / name)}  {name}\n" for name in FILES]
    write_text(to / "manifest.sha256", "".join(lines))
    return to


def merged(loaded: dict[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights and settings of the plain model: an adapter's updates are added to its weights."""
    settings = loaded["genlab"]["settings"]
    if not settings.get("adapt"):
        return loaded["state_dict"], settings
    from genlab.runs.folder.load import load_model
    from genlab.runs.settings.compose import build

    model = load_model(path)
    build(settings["adapt"], where="adapt").merge(model)
    return model.state_dict(), {**settings, "adapt": None}


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
