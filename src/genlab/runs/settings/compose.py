"""From a command line to plain settings, and from settings to objects.

`settle` resolves a composed config to plain data, `check` refuses what cannot be built, and `build`
is the one call of Hydra's `instantiate` in genlab. Nothing here imports torch.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from genlab.runs.devices.ranks import shared_name
from genlab.runs.gate import classes
from genlab.runs.gate.files import folder_name, plain
from genlab.runs.say.errors import UserError, is_users, nearest, root_cause
from genlab.runs.settings.build import inline_parts
from genlab.runs.settings.conf import conf_dir, groups, options

OmegaConf.register_new_resolver(
    "genlab.id", lambda *_: secrets.token_hex(3), use_cache=True, replace=True
)
OmegaConf.register_new_resolver(
    "genlab.start", lambda now: shared_name() or f"{now}_{secrets.token_hex(3)}",
    use_cache=True, replace=True,
)  # fmt: skip
# Hydra makes the run's folder before it calls genlab: the name is checked where the path is put
# together
OmegaConf.register_new_resolver("genlab.folder", folder_name, replace=True)
# which nets fit which model: for the message when they do not
NETS = {
    "gan": "dcgan, mlp_gan",
    "vae": "conv_vae, mlp_vae",
    "diffusion": "unet, dit, mlp",
    "flow_matching": "unet, dit, mlp",
    "autoregressive": "gpt, gru, lstm",
}

# numbers of the run itself: the least that each may be, and whether it may be null
NUMBERS = (
    ("seed", 0, False), ("budget.examples", 1, False), ("budget.minutes", 0.0, True),
    ("look_every", 1, True), ("save_every", 1, False), ("data.batch_size", 1, False),
    ("trainer.accumulate", 1, False), ("trainer.num_nodes", 1, False), ("trainer.threads", 1, True),
    ("trainer.clip", 0.0, True), ("trainer.timeout_minutes", 0.0, True),
)  # fmt: skip

# what torch and Python raise where a class of ours is given a number that it cannot work with
NO_FIT = (ValueError, TypeError, RuntimeError, ZeroDivisionError, IndexError, AssertionError)
# in others the noise, which is drawn in float32, does not meet the weights
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def settle(cfg: DictConfig, choices: dict[str, str | None] | None = None) -> dict[str, Any]:
    """The composed config as plain, resolved data; a missing piece is named with its remedy."""
    try:
        inline_parts(cfg)
        missing = OmegaConf.missing_keys(cfg)
        if missing:
            raise UserError(f"{sorted(missing)[0]} has no value: set it on the command line")
        plain = OmegaConf.to_container(cfg, resolve=True)
    except InterpolationKeyError as error:
        raise UserError(_misfit(str(error), choices or {})) from error
    except OmegaConfBaseException as error:
        if isinstance(cause := root_cause(error), UserError):
            raise cause from None
        raise UserError(" ".join(str(error).split())) from error
    assert isinstance(plain, dict)
    return plain


def _misfit(message: str, choices: dict[str, str | None]) -> str:
    key = re.search(r"key '([^']+)' not found", message)
    where = re.search(r"full_key: (\S+)", message)
    model, net = choices.get("model"), choices.get("net")
    if key and key.group(1).startswith("net.") and model in NETS:
        return (
            f"model={model} needs {key.group(1)}, which net={net} does not have;"
            f" nets that fit: {NETS[model]}"
        )
    place = f" (needed by {where.group(1)})" if where else ""
    return f"{key.group(1) if key else message} is not there{place}; data={choices.get('data')}"


def check(settings: dict[str, Any]) -> None:
    """Refuse what cannot be built: no plain data, targets, arguments, then what does not fit."""
    plain(settings)
    folder_name(settings["name"])
    trusted = settings.get("trust") or ()
    if not isinstance(trusted, list | tuple):
        raise UserError(f"trust={trusted}: a list of packages, 'trust=[{trusted}]'")
    classes.check_names(settings, trusted)
    model = classes.find(settings["model"]["_target_"], trusted, "model")
    takes = getattr(model, "takes", None)
    there = "tokens" if settings["data"].get("vocab") is not None else "values"
    if takes not in (None, "either", there):
        kinds = {
            "tokens": "digits_pixels, stdlib_code, shakespeare, text_file",
            "values": "digits, mnist, fashion_mnist, cifar10, image_folder, ring, grid, ...",
        }
        what = {"tokens": "tokens", "values": "images or points, not tokens"}[takes]
        raise UserError(f"model {model.__name__} needs {what}: data={kinds[takes]}")
    if settings.get("trainer", {}).get("strategy") == "fsdp" and not getattr(model, "shards", True):
        raise UserError(
            f"trainer.strategy=fsdp: the step of a {model.__name__} (two networks, second"
            " derivatives) does not run under FSDP; write trainer=ddp (on CPUs trainer=ddp_cpu)"
        )
    for key, least, optional in NUMBERS:
        value = settings
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None and optional:
            continue
        kind, types = ("whole ", int) if isinstance(least, int) else ("", (int, float))
        right = isinstance(value, types) and not isinstance(value, bool)
        if not right or not (value >= least if types is int else value > least):
            bound = f"at least {least}" if types is int else f"above {least:g}"
            raise UserError(f"{key}={value}: it must be a {kind}number, {bound}")
    classes.check_arguments(settings, trusted)
    if metric := settings.get("metric"):
        kinds = [_kind(n, trusted) for n in (settings["data"], metric)]
        if None not in kinds and kinds[0] != kinds[1]:
            raise UserError(
                f"metric measures {kinds[1]} data, data is {kinds[0]}: leave metric out"
            )
    if not isinstance(settings["evaluate"], bool):
        raise UserError(f"evaluate={settings['evaluate']}: true or false")
    if settings["evaluate"] and not settings["callbacks"].get("checkpoint"):
        raise UserError("callbacks.checkpoint=null: nothing to measure; write evaluate=false too")
    if not settings["callbacks"].get("ledger"):
        raise UserError("callbacks.ledger=null: the report, resume and the summary read its rows")
    precision = settings["trainer"].get("precision", "auto")
    if str(precision) not in (*PRECISIONS, "32"):
        raise UserError(f"trainer.precision={precision}: allowed are {', '.join(PRECISIONS)}")


def _kind(node: dict[str, Any], trusted: Sequence[str]) -> str | None:
    return getattr(classes.find(node["_target_"], trusted, ""), "kind", None)


def build(node: dict[str, Any], *, trusted: Sequence[str] = (), where: str = "") -> Any:
    """Make the object that a checked node describes."""
    from hydra.utils import instantiate

    plain(node, where)
    classes.check_names(node, trusted, where)
    classes.check_arguments(node, trusted, where)
    try:
        return instantiate(node, _convert_="all")
    except Exception as error:
        cause = root_cause(error)
        if trusted or is_users(cause) or not isinstance(cause, NO_FIT):
            raise
        key = re.search(r"full_key: (\S+)", str(error))
        place = f"{where}.{key[1]}" if key else where
        said = (str(cause).strip() or "no reason given").splitlines()[0]
        raise UserError(f"{place}: {type(cause).__name__}: {said}") from error


def explain(error: Exception, overrides: Sequence[str]) -> str:
    """One line for an error of Hydra's composition: the key, and the nearest right ones."""
    text = str(error)
    if match := re.search(r"Could not find '([^']+)'", text):
        group, _, option = match.group(1).rpartition("/")
        if group and (conf_dir() / group).is_dir():
            return f"{group}={option}: there is no such option{nearest(option, options(group))}"
        return f"{match.group(1)}: there is no such file in the configuration"
    if match := re.search(r"Could not override '([^']+)'", text):
        key = match.group(1)
        known = _keys_beside(key, overrides)
        word = key.rsplit(".", 1)[-1]
        head = key.split(".")[0]
        if not known and head != key and (top := _keys_beside(head, overrides)) and head not in top:
            return f"{key}: there is no key {head!r} in train.yaml{nearest(head, top)}"
        if "No match in the defaults list" in text:
            return f"{key}: there is no such group{nearest(word, groups())}"
        place = key.rpartition(".")[0] or "train.yaml"
        return f"{key}: there is no key {word!r} in {place}{nearest(word, known)}"
    if match := re.search(r"Ambiguous value for argument '([^=']+)=([^']*)'", text):
        key, value = match.groups()
        return (
            f"{key}={value}: several values are a sweep: add -m; one list is written"
            f" {key}=[{value}]"
        )
    if match := re.search(r"Error parsing override '([^']*)'\s+missing EQUAL", text):
        word = match.group(1)
        meant = [f"{g}={word}" for g in groups() if word in options(g)]
        return f"{word}: write NAME=VALUE{'; nearest: ' + ', '.join(meant) if meant else ''}"
    if match := re.search(r"In '([^']+)': (.*)", text, re.S):
        return f"{match.group(1)}: {' '.join(match.group(2).split())}"
    return " ".join(text.split())


def _keys_beside(key: str, overrides: Sequence[str]) -> list[str]:
    """The keys next to `key` in the config composed without the overrides that name it."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    word = key.split("=")[0]
    keep = [o for o in overrides if not o.lstrip("+~").startswith(word) and not o.startswith("-")]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg: Any = compose("train", [o for o in keep if "," not in o])
        for part in key.split(".")[:-1]:
            cfg = cfg[part]
        return list(cfg)
    except Exception:
        return []
    finally:
        GlobalHydra.instance().clear()
