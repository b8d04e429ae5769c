"""What a run's settings must be, each mistake one line with its remedy.

Read: `check_run` (numbers, what a run cannot do without: no torch), then `check_fit` (whether its
parts fit one another, as the traits of their classes say, and this machine).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.runs.devices.processes import processes_here
from genlab.runs.gate import classes
from genlab.runs.gate.files import check_plain, folder_name
from genlab.runs.say.errors import UserError
from genlab.runs.settings.bounds import check_bounds
from genlab.runs.settings.conf import options_that
from genlab.runs.settings.plan import at, metric_places, named

# numbers of the run itself: the least that each may be, and whether it may be null
NUMBERS = (
    ("seed", 0, False), ("budget.examples", 1, False), ("budget.minutes", 0.0, True),
    ("look_every", 1, True), ("save_every", 1, False), ("data.batch_size", 1, False),
    ("trainer.accumulate", 1, False), ("trainer.num_nodes", 1, False), ("trainer.threads", 1, True),
    ("trainer.clip", 0.0, True), ("trainer.timeout_minutes", 0.0, True),
)  # fmt: skip

# in others the noise, which is drawn in float32, does not meet the weights
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def check_run(settings: dict[str, Any], *, here: bool = False) -> None:
    """Refuse what a run cannot do; `here`: it is to run on this machine's devices."""
    check_plain(settings)
    _check_parts(settings)
    folder_name(settings["name"])
    trust = settings.get("trust") or ()
    if not isinstance(trust, list | tuple):
        raise UserError(f"trust={trust}: a list of packages, 'trust=[{trust}]'")
    classes.check_names(settings, trust)
    if here and {"devices", "accelerator", "num_nodes"} <= set(settings["trainer"] or ()):
        processes_here(settings["trainer"])
    for key in ("path", "test_path") if here else ():
        name = settings["data"].get(key)
        if isinstance(name, str) and not Path(name).expanduser().exists():
            raise UserError(f"data.{key}={name}: there is no such file")
    for key, least, optional in NUMBERS:
        _check_number(key, at(settings, key), least, optional)
    check_bounds(settings)
    batch, budget = settings["data"]["batch_size"], settings["budget"]["examples"]
    if batch > budget:
        raise UserError(
            f"data.batch_size={batch}: more than budget.examples={budget}, so not one step is"
            " whole; a smaller batch or a longer budget"
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
    _check_start(settings.get("init_from"))


def _check_parts(settings: dict[str, Any]) -> None:
    """Refuse settings that lack what every run has: a run folder may be a stranger's."""
    for key in ("name", "evaluate"):
        if key not in settings:
            raise UserError(f"{key} is missing from the settings")
    for key in ("data", "model", "budget", "callbacks", "trainer"):
        if not isinstance(part := settings.get(key), dict):
            raise UserError(f"{key}={part!s:.60}: it must be a group of settings")
        if key in ("data", "model") and "_target_" not in part:
            raise UserError(f"{key}: a group without a class: it has no _target_")


def _check_number(key: str, value: Any, least: float, optional: bool) -> None:
    if value is None and optional:
        return
    kind, types = ("whole ", int) if isinstance(least, int) else ("", (int, float))
    right = isinstance(value, types) and not isinstance(value, bool)
    if not right or not (value >= least if types is int else value > least):
        bound = f"at least {least}" if types is int else f"above {least:g}"
        raise UserError(f"{key}={value}: it must be a {kind}number, {bound}")


def _check_start(init_from: Any) -> None:
    """Refuse a start from a run that is not there."""
    from genlab.runs.folder.layout import find_run

    for part, run in named(init_from or {}).items():
        if not Path(run).is_file() and not (Path(run) / "model.safetensors").is_file():
            try:
                find_run(run)
            except UserError as error:
                key = f"init_from.{part}" if part else "init_from"
                raise UserError(f"{key}={run}: {error}") from None


def check_fit(settings: dict[str, Any]) -> None:
    """Refuse parts that do not fit one another, as the traits of their classes say."""
    trust = settings.get("trust") or ()
    model = classes.find(settings["model"]["_target_"], trust, "model")
    takes = takes_of(settings["model"], trust)
    there = made_of(settings["data"], trust)
    if takes not in ("either", there):
        what = {"tokens": "tokens", "values": "images or points, not tokens"}.get(takes, takes)
        right = options_that("data", lambda node: made_of(node, trust) == takes)
        others = options_that("model", lambda node: takes_of(node, trust) == there)
        raise UserError(
            f"model {model.__name__} needs {what}: for this data write model={', '.join(others)};"
            f" it learns from data={', '.join(right)}"
        )
    _check_codec(settings, trust)
    if settings["trainer"].get("strategy") == "fsdp" and not getattr(model, "shards", True):
        raise UserError(
            f"trainer.strategy=fsdp: the step of a {model.__name__} does not run under FSDP;"
            " write trainer=ddp (on CPUs trainer=ddp_cpu)"
        )
    parts = settings["trainer"].get("accumulate", 1)
    if parts > 1 and getattr(model, "steps_itself", False):
        raise UserError(
            f"trainer.accumulate={parts}: the step of a {model.__name__} takes the whole batch;"
            " set it to 1"
        )
    for place, (theirs, mine) in other_kinds(settings, trust).items():
        raise UserError(f"{place} measures {theirs} data, data is {mine}: leave {place} out")


def takes_of(model: dict[str, Any], trust: Sequence[str]) -> str:
    return getattr(classes.find(model["_target_"], trust, "model"), "takes", "either")


def made_of(data: dict[str, Any], trust: Sequence[str]) -> str:
    """What an example of the data is made of, as `takes` of a model says it."""
    cls = classes.find(data["_target_"], trust, "data")
    tokens = data.get("vocab") is not None or "vocab" in getattr(cls, "finds", ())
    return getattr(cls, "made_of", "") or ("tokens" if tokens else "values")


def other_kinds(settings: dict[str, Any], trust: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The metrics that measure another kind of data than these: place -> (that kind, this kind)."""
    places = ["data", *metric_places(settings.get("metric")).values()]
    nodes = {place: at(settings, place) for place in places}
    classes.check_names(nodes, trust)
    found = {place: classes.find(n["_target_"], trust, place) for place, n in nodes.items()}
    kinds = {place: getattr(cls, "kind", None) for place, cls in found.items()}
    mine = kinds.pop("data")
    return {p: (kind, mine) for p, kind in kinds.items() if mine and kind and kind != mine}


def _check_codec(settings: dict[str, Any], trust: Sequence[str]) -> None:
    """Refuse a codec of other data, and one whose latents the prior does not take."""
    codec, prior = (settings["model"].get(k) for k in ("codec", "prior"))
    if not isinstance(codec, dict) or not isinstance(prior, dict):
        return
    there, here = (list(node.get("shape") or ()) for node in (codec, settings["data"]))
    if there != here:
        raise UserError(
            f"codec: it was trained on examples of shape {there}, data has {here}: write"
            f" data.shape={str(there).replace(' ', '')}, or train a codec on these"
        )
    cls = classes.find(prior["_target_"], trust, "model.prior")
    takes, codes = getattr(cls, "takes", "either"), settings["space"]["vocab"] is not None
    if takes not in ("either", "tokens" if codes else "values"):
        wants, remedy = (
            ("codes", "vqvae")
            if takes == "tokens"
            else ("values", "vae net=conv_codec conditions=none")
        )
        raise UserError(
            f"codec: a prior of {cls.__name__} takes {wants}, which this codec does not give;"
            f" name a run of model={remedy}"
        )
