"""The command lines that start from a trained model: of sample, evaluate, export and report.

Their few knobs stand in conf/COMMAND.yaml. A group that the run already has (its sampler; to
measure, its metric and data too) is changed in place: `sampler=ddim` takes another option of the
group, `sampler.num_steps=40` sets one knob of it. Texts (a prompt, a path) are taken as they are
typed, all other values are read as Hydra reads them; what is wrong is refused before anything is
loaded, under the name that it has on the command line.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import math
import os
import re
import tempfile
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from genlab.runs.folder.layout import find_run, outputs, started
from genlab.runs.gate import classes
from genlab.runs.gate.types import fits, hints_of, wanted
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.settings.compose import composed, settled_data
from genlab.runs.settings.conf import conf_dir, options, options_with
from genlab.runs.settings.flags import readable, without_dashes
from genlab.runs.settings.mistakes import read
from genlab.runs.settings.plan import Plan

GROUPS = {"sample": ("sampler",), "evaluate": ("sampler", "metric", "data")}
TEXTS = (
    "run", "to", "prompt", "given", "mask", "device", "split", "checkpoint", "who", "policy",
    "unknown", "weaker",
)  # fmt: skip
MAY_BE_NULL = ("to", "given", "mask", "checkpoint", "policy", "weaker", "between")
LEAST, MOST = {"num": 1, "first": 0, "seed": 0, "batch_size": 1, "port": 0, "between": 2}, 10**18
Change = tuple[str, str]  # a group or a knob of one, and what was typed for it


def parse(command: str, overrides: list[str]) -> tuple[dict[str, Any], list[Change]]:
    """The command's own settings, and the changes to the run's groups: options before knobs."""
    settings = yaml.safe_load((conf_dir() / f"{command}.yaml").read_text())
    groups, given = GROUPS.get(command, ()), {}
    for i, override in enumerate(overrides):
        key, equals, text = override.partition("=")
        if key.startswith("-"):
            meant = key.lstrip("-").replace("-", "_")
            ours = meant in settings or meant.split(".")[0] in groups
            remedy = without_dashes(override, overrides[i + 1 :]) if ours else ""
            raise UserError(f"{key}: `genlab {command}` has no flags but --help{remedy}")
        if not equals and key in settings:
            raise UserError(f"{key} needs a value: {key}=VALUE")
        if not equals or "/" in key:  # `genlab evaluate outputs/...` is clear enough
            key, text = "run", override
        if key not in settings and key.split(".")[0] not in groups:
            knobs = [f"{group}.{key}" for group in groups if options_with(group, {key})]
            more = f"; nearest: {knobs[0]}" if knobs else nearest(key, [*settings, *groups])
            raise UserError(f"{override}: `genlab {command}` has no {key!r}{more}")
        if key in given:
            raise UserError(
                f"{key} is given twice ({given[key]!r} and {text!r}): `genlab {command}` takes one"
            )
        given[key] = text
    for key in settings.keys() & given.keys():
        settings[key] = _own(key, given[key])
    if settings["run"] == "???":
        raise UserError(f"`genlab {command}` needs run=RUN: a run folder, a checkpoint or run=last")
    if settings["run"] == "last" and command != "report":
        settings["run"] = str(last_with_weights())
    changes = [(k, v) for k, v in given.items() if k not in settings]
    return settings, sorted(changes, key=lambda change: "." in change[0])


def last_with_weights() -> Path:
    """The run that was started last; if it has no checkpoint, the newest that has one is named."""
    last = find_run("last")
    if any((last / "checkpoints").glob("*.ckpt")):
        return last
    older = [p.parent.parent for p in outputs().glob("**/checkpoints/*.ckpt")]
    good = [run for run in older if (run / "config.yaml").is_file()]
    other = f"; the newest run with one is run={max(good, key=started)}" if good else ""
    raise UserError(
        f"run=last: {last} has no checkpoint: wait for its first (save_every) if it still trains,"
        f" start it anew if it was stopped{other}"
    )


def _own(key: str, text: str) -> Any:
    """The value of one of the command's own keys."""
    if key in MAY_BE_NULL and text == "null":
        return None
    if key in TEXTS:
        if not text and key != "prompt":
            raise UserError(f"{key}= is empty: give it a value, or leave it out")
        return text
    if key == "cond":
        return _classes(text)
    value = read_value(key, text)
    if key in LEAST and (isinstance(value, bool) or not isinstance(value, int)):
        raise UserError(f"{key}={text}: it must be a whole number, at least {LEAST[key]}")
    if key in LEAST and not LEAST[key] <= value <= MOST:
        bound = f"least {LEAST[key]}" if value < MOST else "most 1e18"
        raise UserError(f"{key}={text[:60]}: it must be at {bound}")
    if key == "trust" and not (
        isinstance(value, list) and all(isinstance(v, str) and v for v in value)
    ):
        raise UserError(f"trust={text}: it is a list of packages: trust=[my_package]")
    return value


def _classes(text: str) -> int | str | list[int | str] | None:
    """Classes by number or by name, captions, or cells as JSON; the data knows which there are."""
    value = text if is_sentence(text) or are_cells(text) else read_value("cond", text)
    found = value if isinstance(value, list) else [value]
    words = (int, str)
    if value is not None and not (
        found and all(isinstance(c, words) and not isinstance(c, bool) and c != "" for c in found)
    ):
        raise UserError(
            f"cond={text}: give a class by its name or number, or a list: cond=owl, cond=[1,2]"
        )
    return value


def is_sentence(text: str) -> bool:
    """Whether it is a caption as people write it, which Hydra would cut at its commas or refuse for
    an apostrophe; the shell has taken the quotes around it away."""
    return " " in text.strip() and not text.lstrip().startswith(("[", "{", "'", '"'))


def are_cells(text: str) -> bool:
    """Whether it is JSON of cells by name, or a list of these: Hydra's grammar has no such keys."""
    try:
        found = json.loads(text)
    except ValueError:
        return False
    cells = found if isinstance(found, list) else [found]
    return bool(cells) and all(isinstance(c, dict) for c in cells)


def read_value(key: str, text: str) -> Any:
    """A number, a list, true, null or a word, as Hydra reads it."""
    try:
        override = read(f"x={text}" if text.isascii() else readable(f"x={text}"))
    except UserError:
        raise UserError(f"{key}={text[:60]}: this is no value that can be read") from None
    if override.is_sweep_override():
        raise UserError(f"{key}={text}: this is a sweep of values: give one, or [a list]")
    return override.value()


def changed(
    settings: dict[str, Any], changes: list[Change], trusted: list[str] | None = None
) -> dict[str, Any]:
    """The run's settings with groups and knobs replaced; what does not fit the model is refused."""
    full, trusted = copy.deepcopy(settings), trusted or []
    full["sampler"] = drawer(full["model"]).get("sampler") or {}
    for key, text in changes:
        group, _, rest = key.partition(".")
        if not rest:
            full[group] = _option(group, text, full)
            continue
        if group == "data" and rest in (full[group].get("source") or {}):
            rest = f"source.{rest}"  # data.root=FOLDER
        *path, last = rest.split(".")
        node, place = full.setdefault(group, {}), group
        for part in path:
            node, place = node.get(part), f"{place}.{part}"
            if not isinstance(node, dict):
                raise UserError(f"{key}: {place} has no knobs")
        hints = _arguments(node, trusted, place)
        if last not in {*node, *hints}:
            known = {*node, *hints} - {"_target_"}
            raise UserError(f"{key}: there is no {last!r} in {place}{nearest(last, known)}")
        node[last] = _knob(key, text, hints.get(last), node.get(last))
    if full["sampler"]:
        drawer(full["model"])["sampler"] = full["sampler"]
    if any(key.partition(".")[0] == "sampler" for key, _ in changes):
        # its type, its knobs, and what it refuses itself
        classes.check_arguments(full["model"], trusted, "model")
        Plan({"sampler": full["sampler"]}, trusted).build("sampler")
    return full


def drawer(model: dict[str, Any]) -> dict[str, Any]:
    """The settings of the model that draws: a model of latents has its prior do it."""
    prior = model.get("prior")
    return drawer(prior) if isinstance(prior, dict) and "sampler" not in model else model


@functools.lru_cache(maxsize=32)
def _composed(word: str) -> DictConfig:
    """What Hydra composes of one option; a page tries every sampler."""
    return composed([word])


def _option(group: str, name: str, full: dict[str, Any]) -> Any:
    if name not in options(group):
        raise UserError(f"{group}={name}: there is no such option{nearest(name, options(group))}")
    chosen, merged = copy.deepcopy(_composed(f"{group}={name}")), OmegaConf.create(full)
    merged[group] = chosen.get(group, {})
    if group == "data":
        merged.tokenizer = chosen.get("tokenizer")
        return settled_data(merged)
    return OmegaConf.to_container(merged[group], resolve=True)


def _arguments(node: dict[str, Any], trusted: list[str], place: str) -> dict[str, Any]:
    """What the node's constructor takes, with the types that it states (None: not known)."""
    if "_target_" not in node:
        return {}
    classes.check_names(node, trusted, place)
    cls = classes.find(node["_target_"], trusted, place)
    hints = hints_of(cls)
    return {key: hints.get(key) for key in inspect.signature(cls).parameters}


def _knob(key: str, text: str, hint: Any, before: Any) -> Any:
    """What was typed for a knob, as the type that its constructor states; inf only where it was."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = typing.get_args(hint) if union else (hint,)
    listed = any(typing.get_origin(k) in (list, tuple, Sequence) for k in kinds)
    if str in kinds and not (listed and text.startswith("[")):
        return None if text == "null" and types.NoneType in kinds else text
    value = read_value(key, text)
    if hint is None or value == before:
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key}={text}: it must be a finite number")
    if not fits(value, hint, lambda name: None):
        raise UserError(f"{key}={text}: it must be {wanted(hint)}")
    return value


def device_of(name: str) -> str:
    """The device that device=NAME stands for, which is there."""
    if not (found := re.fullmatch(r"auto|cpu|mps|cuda(?::(\d{1,3}))?", name)):
        raise UserError(f"device={name}: allowed are auto, cpu, cuda, cuda:N and mps")
    import torch

    num = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if num else "cpu"
    if name.startswith("cuda") and not num:
        raise UserError(f"device={name}: there is no GPU here; use device=cpu or device=auto")
    if int(found[1] or 0) >= max(num, 1):
        raise UserError(f"device={name}: the GPUs here are cuda:0 to cuda:{num - 1}")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError("device=mps: it is not there; use device=cpu or device=auto")
    return name


def writable(folder: Path) -> Path:
    """The folder, which is there or can be made, and written in."""
    there = next(p for p in (folder, *folder.absolute().parents) if os.path.lexists(p))
    if not there.is_dir():
        raise UserError(f"to={folder}: {there} is a file; name a folder")
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".genlab_"):
            return folder
    except OSError:
        raise UserError(f"to={folder}: {there} cannot be written in; name another folder") from None
