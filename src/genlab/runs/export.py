"""`genlab export run=RUN to=FOLDER`: a model to hand on, as files that hold no code.

model.safetensors (the averaged weights), config.yaml (what rebuilds the model, plain data) and
card.md (what it is, where from, how good). `genlab.load(FOLDER)` takes it; manifest.sha256 guards
all three. The card is made here; what it does not know it says.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from genlab.metrics.figures import measured
from genlab.runs.folder import trained_on
from genlab.runs.folder.exported import FILES
from genlab.runs.folder.layout import find_run, hash_line, read_json, write_text, write_yaml
from genlab.runs.say.errors import UserError
from genlab.runs.say.terminal import say
from genlab.runs.settings.overrides import drawer
from genlab.shown import described, figure, number, visible

MOST = 100  # classes that a card names
ROWS = 200  # origins that it names; all stand in the weights' own notes
# what Markdown reads as more than itself; an underscore within a word is none
MARKUP = re.compile(r"[\\`*\[\]>|~]|(?<!\w)_|_(?!\w)")


def export_command(overrides: list[str]) -> None:
    from genlab.runs.settings.overrides import parse, writable

    asked, _ = parse("export", overrides)
    rule = {key: asked[key] for key in ("policy", "unknown")}
    if asked["to"] in (None, "???"):
        raise UserError("`genlab export` needs to=FOLDER: a new folder to write")
    say(f"genlab: exported to {export(asked['run'], writable(Path(asked['to'])), **rule)}")


def export(path: str, to: Path, *, policy: str | None = None, unknown: str = "refuse") -> Path:
    """Write the folder; an existing one is refused, and what a policy on licences forbids."""
    from safetensors.torch import save_file

    from genlab.runs.folder.load import load_data, read_run

    if to.exists():
        raise UserError(f"{to} is there already: name a new folder")
    loaded = read_run(path)
    sets = trained_on.kept(loaded["genlab"])
    trained_on.check_policy(sets, policy, unknown)
    say(f"genlab: licences of what it has learnt from: {trained_on.licences(sets)}")
    weights, settings = merged(loaded, path)
    state = {k: v.clone().contiguous() for k, v in weights.items()}
    own = {**loaded["genlab"], "settings": settings, "trained_on": sets}
    kept = {"genlab": own, "clock": loaded["clock"]}
    rule = f"{policy}, an unknown licence: {unknown}" if policy else "none was asked for"
    told = partial(card, path, load_data(path), kept, state, rule)
    to.parent.mkdir(parents=True, exist_ok=True)
    beside = to.with_name(f".{to.name[:100]}.{os.getpid()}.tmp")  # whole, or not at all
    beside.mkdir()
    try:
        save_file(state, beside / "model.safetensors")
        # safetensors lets nobody else read it
        (beside / "model.safetensors").chmod(0o666 & ~umask())
        write_yaml(beside / "config.yaml", kept)
        write_text(beside / "card.md", told((beside / "model.safetensors").stat().st_size))
        write_text(beside / "manifest.sha256", "".join(hash_line(beside / n) for n in FILES))
        os.rename(beside, to)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return to


def merged(loaded: dict[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights and settings of the plain model: an adapter's updates are added to its weights."""
    settings = loaded["genlab"]["settings"]
    if not settings.get("adapt"):
        return loaded["state_dict"], settings
    from genlab.runs.folder.load import load_model
    from genlab.runs.settings.plan import Plan

    model = load_model(path)
    Plan({"adapt": settings["adapt"]}).build("adapt").merge(model)
    return model.state_dict(), {**settings, "adapt": None}


def umask() -> int:
    """This process's mask of permissions, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def card(
    path: str, data: Any, kept: dict[str, Any], state: dict[str, Any], rule: str, size: int
) -> str:
    """card.md: what the model is, what it has seen, how good it is, how to use it."""
    settings, clock = kept["genlab"]["settings"], kept["clock"]
    sets = kept["genlab"]["trained_on"]
    with contextlib.suppress(UserError):  # a checkpoint by itself, or an export
        path = str(find_run(path))
    provenance, found = (read_json(Path(path) / f"{n}.json") for n in ("provenance", "evaluation"))
    # a model's own buffers are kept too, but are not learnt
    parameters = number(provenance.get("parameters")) or sum(t.numel() for t in state.values())
    source = settings["data"].get("source") or settings["data"]
    versions = provenance.get("versions")
    made = versions.get("genlab", "unknown") if isinstance(versions, dict) else "unknown"
    facts = {
        "model": _family(settings["model"]),
        "parameters": f"{parameters:,.0f} ({size:,} bytes)",
        "trained on": f"{clock['examples']:,} examples seen,"
        f" seed {settings.get('seed', 'unknown')}",
        "data set": f"{_class(source)}: {provenance.get('data', 'size unknown')}",
        "data fingerprint": ", ".join(trained_on.fingerprints(sets)),
        "classes": classes(data),
        "licence of the data": trained_on.licences(sets),
        "policy on licences": rule,
        "sampler": described(drawer(settings["model"]).get("sampler")),
        "made with": f"genlab {made}, {provenance.get('time', 'at an unknown time')}",
    }
    lines = [f"# {inert(settings.get('name', 'a model'))}", ""]
    lines += [f"- {name}: {inert(text)}" for name, text in facts.items()]
    ours = found.get("examples") == clock["examples"]
    lines += ["", *_learnt(sets), "", *_figures(found if ours else {}), "", *_use(data)]
    return visible("\n".join(lines)) + "\n"


def classes(data: Any) -> str:
    """The classes by name, so that one can ask for them; by number where they have none."""
    if not data.num_classes:
        return "none"
    names = data.class_names or [str(i) for i in range(data.num_classes)]
    more = f" and {len(names) - MOST:,} more" if len(names) > MOST else ""
    numbered = (n if n == str(i) else f"{i} {n}" for i, n in enumerate(names[:MOST]))
    return f"{len(names)}: " + ", ".join(numbered) + more


def _learnt(sets: trained_on.Sets) -> list[str]:
    """The training examples by licence, source and consent, those of earlier models too."""
    rows = ["| learnt from | licence | source | consent | examples | such as |"]
    rows += ["|---|---|---|---|---|---|"]
    both = [(own, group) for own in sets for group in own["groups"]]
    for own, group in both[:ROWS]:
        cells = [own["data"], *(group[k] for k in ("licence", "source", "consent"))]
        cells += [f"{group['examples']:,} {own['noun']}", group["example"]]
        rows.append("| " + " | ".join(inert(cell) for cell in cells) + " |")
    if len(both) > ROWS:
        rows.append(
            f"| and {len(both) - ROWS:,} more, which the weights' own notes name | | | | | |"
        )
    return rows


def _figures(found: dict[str, Any]) -> list[str]:
    metrics = measured(found)
    if not metrics:
        return ["Not evaluated at these weights."]
    rows = ["| metric | value | 95 % interval | real held-out data |", "|---|---|---|---|"]
    for m in metrics:
        floor = "" if m.floor is None else figure(m.floor)
        rows.append(f"| {inert(m.title)} | {figure(m.value)} | {m.between} | {floor} |")
    return rows


def inert(text: Any) -> str:
    """A name that may be a stranger's, as Markdown that shows it: one line, and no markup."""
    line = " ".join(visible(str(text)[:20_000]).split())
    return MARKUP.sub(r"\\\g<0>", line.replace("&", "&amp;").replace("<", "&lt;"))


def _use(data: Any) -> list[str]:
    ask = "16, cond=0" if data.num_classes else "16"
    return [
        "```python",
        "import genlab",
        "from genlab.runs.notebook import data_of",
        "",
        'model, data = genlab.load("THIS_FOLDER"), data_of("THIS_FOLDER")',
        f"x = model.sample({ask})",
        'data.view.save(data.decode(x), "samples")',
        "```",
        "",
        "`genlab sample run=THIS_FOLDER` draws from it without a line of Python.",
    ]


def _family(model: dict[str, Any]) -> str:
    """The model's class, and those of its parts that are models: Latent (codec VAE, ...)."""
    parts = [f"{k} {_class(model[k])}" for k in ("codec", "prior") if k in model]
    return _class(model) + (f" ({', '.join(parts)})" if parts else "")


def _class(node: dict[str, Any]) -> str:
    return str(node["_target_"]).rpartition(".")[2]
