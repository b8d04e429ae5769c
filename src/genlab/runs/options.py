"""Settings of the commands that start from a trained model: sample and evaluate.

Their few knobs stand in conf/sample.yaml and conf/evaluate.yaml. A group that the run already has
(its sampler, its metric, its data) is changed in place: `sampler=ddim` takes another option of the
group, `sampler.num_steps=40` sets one knob of it.
"""

from __future__ import annotations

from typing import Any

import yaml
from omegaconf import OmegaConf

from genlab.runs.compose import conf_dir, options
from genlab.runs.errors import UserError, nearest

GROUPS = ("sampler", "metric", "data")


def parse(command: str, overrides: list[str]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """The command's own settings, and the changes to the run's groups, in order."""
    settings = yaml.safe_load((conf_dir() / f"{command}.yaml").read_text())
    changes: list[tuple[str, Any]] = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals and command in ("sample", "evaluate", "report") and not key.startswith("-"):
            key, text = "run", override  # `genlab evaluate outputs/...` is clear enough
        value = yaml.safe_load(text) if text else None
        if key.split(".")[0] in GROUPS and key.split(".")[0] not in settings:
            changes.append((key, value))
        elif key in settings:
            settings[key] = value
        else:
            raise UserError(
                f"{override}: `genlab {command}` has no {key!r}{nearest(key, [*settings, *GROUPS])}"
            )
    if settings["run"] == "???":
        raise UserError(f"`genlab {command}` needs run=RUN: a run folder, a checkpoint or run=last")
    return settings, changes


def changed(settings: dict[str, Any], changes: list[tuple[str, Any]]) -> dict[str, Any]:
    """The run's settings with groups and knobs replaced."""
    full = {k: v for k, v in settings.items()}
    full.setdefault("sampler", dict(full["model"].get("sampler") or {}))
    for key, value in changes:
        group, _, rest = key.partition(".")
        if not rest:
            full[group] = _option(group, value, full)
            continue
        *path, last = rest.split(".")
        node = full.setdefault(group, {})
        for part in path:
            node = node.get(part, {})
        known = set(node) | _arguments(node)
        if last not in known:
            raise UserError(f"{key}: there is no {last!r} in {group}{nearest(last, known)}")
        node[last] = value
    full["model"] = {**full["model"], "sampler": full["sampler"]}
    return full


def _option(group: str, name: str, full: dict[str, Any]) -> Any:
    if name not in options(group):
        raise UserError(f"{group}={name}: there is no such option{nearest(name, options(group))}")
    node = OmegaConf.load(conf_dir() / group / f"{name}.yaml")
    node.pop("defaults", None)
    merged = OmegaConf.create({**full, group: node})
    return OmegaConf.to_container(merged, resolve=True)[group]


def _arguments(node: dict[str, Any]) -> set[str]:
    """What the node's constructor takes, beside what its YAML states."""
    import inspect

    from genlab.runs import trust

    if "_target_" not in node:
        return set()
    trust.check_names(node)
    return set(inspect.signature(trust.find(node["_target_"], (), "")).parameters)


def device_of(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device={name}: there is no GPU here; use device=cpu or device=auto")
    return name
