"""From a command line to the plan of a run.

Read: `settle`: what Hydra composed is resolved, the data says what it finds in its files, and the
plan is checked. What can be told without torch is told before it is imported.
"""

from __future__ import annotations

import inspect
import math
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from genlab.runs.devices.memory import check_weights
from genlab.runs.devices.ranks import shared_name
from genlab.runs.first_stage import EXPERIMENT, folder_of
from genlab.runs.gate import classes
from genlab.runs.gate.files import check_unfolding, folder_name
from genlab.runs.gate.reach import keep_inside, said_by
from genlab.runs.say.errors import UserError, root_cause
from genlab.runs.settings.checks import check_fit, check_run
from genlab.runs.settings.conf import conf_dir, options_with
from genlab.runs.settings.mistakes import check_values
from genlab.runs.settings.plan import Plan, named

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
# a codec's latent map: a quarter of each side, which the YAML's reader may change
OmegaConf.register_new_resolver(
    "genlab.quarter", lambda shape, axis: shape[axis] // 4 if len(shape) == 3 else 1, replace=True
)
OmegaConf.register_new_resolver(
    "genlab.cells", lambda map, stages: math.prod(map[1:]) * stages, replace=True
)
OmegaConf.register_new_resolver("genlab.size", lambda shape: math.prod(shape), replace=True)
# of a waveform: its samples over the strides
OmegaConf.register_new_resolver(
    "genlab.strided", lambda shape, strides: shape[-1] // math.prod(strides), replace=True
)
# in a model's defaults: the option that goes with the kind of data that the data's file states
OmegaConf.register_new_resolver(
    "genlab.of_kind", lambda kind, options: options.get(kind, options["image"]), replace=True
)
# of two optimisers: as the one, but for what the other sets
OmegaConf.register_new_resolver(
    "genlab.but",
    lambda *both: _but(*(OmegaConf.to_container(o, resolve=True) for o in both)),
    replace=True,
)


def composed(words: Sequence[str], *own: Path, name: str = "train") -> DictConfig:
    """What Hydra composes of these overrides, its own settings too; `own` are --config-dir's.

    `name`: the file of conf/ that it begins with.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from genlab.runs.settings.flags import quoted

    GlobalHydra.instance().clear()
    places = ",".join(quoted(f"file://{p.absolute()}") for p in own)
    more = [f"hydra.searchpath=[{places}]"] if own else []
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg = compose(name, [*words, *more], return_hydra_config=True)
            if own:  # from several files together
                check_unfolding(OmegaConf.to_container(cfg), " ".join(map(str, own)))
            return cfg
    finally:
        GlobalHydra.instance().clear()


def plan_of(words: Sequence[str], *own: Path) -> tuple[Plan, dict[str, str | None]]:
    """The plan of a run that is composed, not started, and the options chosen."""
    from hydra.core.hydra_config import HydraConfig

    cfg = composed(words, *own)
    HydraConfig.instance().set_config(cfg)
    choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return settle(cfg, words, choices), choices


def settle(
    cfg: DictConfig, words: Sequence[str], choices: dict[str, str | None], *, here: bool = False
) -> Plan:
    """The plan of what these words composed; `here`: it is to run on this machine."""
    inline_parts(cfg)
    try:
        settings = resolved(cfg, choices)
    except UserError:  # what the data finds may be what another part asks for
        if OmegaConf.missing_keys(cfg.data):
            raise
        settings = None
    if settings is None:
        settled_data(cfg, list(cfg.get("trust") or ()))
        settings = resolved(cfg, choices)
    check_values(words, choices, settings)
    check_run(settings, here=here)
    data = settled_data(cfg, settings.get("trust") or ())
    return _fitting(keep_inside({**resolved(cfg, choices), "data": data}, said_by(words)))


def checked(settings: dict[str, Any], words: Sequence[str], *, here: bool = False) -> Plan:
    """The plan of settings that were settled before: of a run that goes on by these words."""
    settings = keep_inside(settings, said_by(words))
    # its weights are a checkpoint's: what it began from may be gone
    check_run({**settings, "init_from": None}, here=here)
    return _fitting(settings)


def _but(usual: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`usual` with what `own` sets: what is null there stays as it is."""
    set_there = {k: v for k, v in own.items() if v is not None}
    inner = {k: _but(usual[k], v) for k, v in set_there.items()
             if isinstance(v, dict) and isinstance(usual.get(k), dict)}  # fmt: skip
    return {**usual, **set_there, **inner}


def _fitting(settings: dict[str, Any]) -> Plan:
    check_fit(settings)
    plan = Plan(settings, settings.get("trust") or (), secrets=True)
    check_weights(plan)
    return plan


def resolved(cfg: DictConfig, choices: dict[str, str | None]) -> dict[str, Any]:
    """The composed config as plain data; a missing piece is named with its remedy."""
    try:
        if missing := OmegaConf.missing_keys(cfg):
            raise UserError(f"{sorted(missing)[0]} has no value: set it on the command line")
        settings = OmegaConf.to_container(cfg, resolve=True)
    except InterpolationKeyError as error:
        raise UserError(_misfit(cfg, error.full_key, choices)) from error
    except OmegaConfBaseException as error:
        if isinstance(cause := root_cause(error), UserError):
            raise cause from None
        raise UserError(" ".join(str(error).split())) from error
    assert isinstance(settings, dict)
    reads = settings.get("data")  # of `genlab prepare` there are none
    if settings.get("tokenizer") and reads is not None and "tokenizer" not in reads:
        tokenizer, data = (choices.get(k) for k in ("tokenizer", "data"))
        raise UserError(f"tokenizer={tokenizer}: data={data} takes none; leave it out")
    return settings


def settled_data(cfg: DictConfig, trust: Sequence[str] = ()) -> dict[str, Any]:
    """The data's settings, with what its class finds in its files; `cfg` is told that too.

    A source's YAML says `root: ${data.root}`, so that one types data.root=FOLDER: what the data's
    class does not take itself is its source's alone, and left out.
    """
    data: Any = OmegaConf.to_container(cfg.data, resolve=True)
    classes.check_names(data, trust, "data")
    cls = classes.find(data["_target_"], trust, "data")
    if isinstance(source := data.get("source"), dict):
        taken = inspect.signature(cls).parameters
        data = {k: v for k, v in data.items() if k not in source or k in taken or k[0] == "_"}
    if any(data.get(key) is None for key in getattr(cls, "finds", ())):
        found = Plan({"data": data}, trust).build("data").found()
        with open_dict(cfg):
            cfg.data.update(found)
        data |= found
    return data


def inline_parts(cfg: DictConfig) -> None:
    """The settings of parts that are models of their own, from the runs that trained them.

    Such a part stands in the config, or in its model, with no value (`codec: ???`).
    """
    take_codec(cfg)
    name_last(cfg)
    take_replayed(cfg)
    init_from = cfg.get("init_from")
    parts = named(OmegaConf.to_container(init_from)) if isinstance(init_from, DictConfig) else {}
    model = cfg.get("model")
    own = model if isinstance(model, DictConfig) else OmegaConf.create()
    for part in own:
        if OmegaConf.is_missing(own, part) and part not in parts:
            remedy = f"{part}=RUN" if part == "codec" else f"'init_from={{{part}: RUN}}'"
            raise UserError(f"model.{part} comes from a run that trained it: write {remedy}")
    for part, run in parts.items():
        # a key without a value is not "in" a config
        place = next((c for c in (cfg, own) if OmegaConf.is_missing(c, part)), None)
        if place is None:
            continue  # a network of this model: only its weights are taken
        key = f"codec={run}" if part == "codec" else f"init_from.{part}={run}"
        if Path(run).is_file():
            raise UserError(f"{key}: name the run's folder, not a file in it")
        settings = _model_of(run, key)
        family = classes.find(settings["_target_"], list(cfg.get("trust") or ()), key)
        codec = all(hasattr(family, n) for n in ("encode", "decode")) and "latent_shape" in settings
        if part == "codec" and not codec:
            raise UserError(
                f"{key}: a {family.__name__} is no codec; name a run of model=vqvae, or of"
                " model=vae net=conv_codec conditions=none"
            )
        with open_dict(cfg):
            place[part] = {**settings, "optim": None}


def take_codec(cfg: DictConfig) -> None:
    """codec=RUN is init_from={codec: RUN}, where the model has a codec.

    codec=experiment:NAME is the run that first_stage.py trains.
    """
    codec = cfg.get("codec")
    with open_dict(cfg):
        cfg.pop("codec", None)
    if codec is None:
        return
    if "codec" not in list(cfg.get("model") or ()):  # without a value it is not "in" it
        raise UserError(
            f"codec={codec}: this model has none; write model=latent_diffusion or"
            " model=vq_transformer, or leave it out"
        )
    if str(codec).startswith(EXPERIMENT):
        run = folder_of(str(codec))
        if not (run / "config.yaml").is_file():
            raise UserError(
                f"codec={codec}: it is not trained yet; `genlab train` with the same words trains"
                " it first"
            )
        codec = run
    before = cfg.get("init_from") or {}
    before = named(OmegaConf.to_container(before) if isinstance(before, DictConfig) else before)
    if "codec" in before:
        raise UserError(f"codec={codec}: init_from names another codec; leave one of them out")
    with open_dict(cfg):
        cfg.init_from = {**before, "codec": str(codec)}


def take_replayed(cfg: DictConfig) -> None:
    """The data of the runs that edits name: their settings stand in this run's from now on."""
    from genlab.runs.folder.layout import find_run, read_settings

    edits: Any = cfg.get("edits") or {}
    for name in edits:
        node = edits[name]
        if not node or node.get("data", "") is not None or OmegaConf.is_missing(node, "run"):
            continue
        try:
            run = find_run(node.run)
            settings = read_settings(run)["data"]
        except UserError as error:
            raise UserError(f"edits.{name}.run={node.run}: {error}") from None
        with open_dict(cfg):
            node.update({"run": str(run), "data": settings})


def name_last(cfg: DictConfig) -> None:
    """The run that "last" means now, in init_from: tomorrow it means another."""
    from genlab.runs.folder.layout import find_run

    init_from = cfg.get("init_from")
    init_from = OmegaConf.to_container(init_from) if OmegaConf.is_config(init_from) else init_from
    runs = named(init_from or {})
    if "last" in runs.values():
        runs = {part: str(find_run(run)) if run == "last" else run for part, run in runs.items()}
        with open_dict(cfg):
            cfg.init_from = runs[""] if list(runs) == [""] else runs


def _model_of(run: str, key: str) -> dict[str, Any]:
    """The settings of a run's model, or of an exported one's."""
    from genlab.runs.folder.layout import find_run, read_settings

    try:
        if (Path(run) / "model.safetensors").is_file():
            from genlab.runs.folder.load import read_run

            return read_run(run)["genlab"]["settings"]["model"]
        return read_settings(find_run(run))["model"]
    except UserError as error:
        raise UserError(f"{key}: {error}") from None


def _misfit(cfg: DictConfig, place: str, choices: dict[str, str | None]) -> str:
    """What the interpolation at `place` asks for, and who would have it."""
    node: Any = OmegaConf.to_container(cfg, resolve=False)
    for part in place.replace("[", ".").replace("]", "").split("."):
        node = node[int(part)] if isinstance(node, list) else node[part]
    needs = str(node).strip("${}")
    group, model = needs.partition(".")[0], OmegaConf.to_container(cfg.model)
    asked = map(str, model.values() if isinstance(model, dict) else ())
    keys = {v[3 + len(group) : -1] for v in asked if v.startswith(f"${{{group}.")}
    if keys and (fitting := options_with(group, keys)):
        return (
            f"model={choices.get('model')} needs {needs}, which {group}={choices.get(group)} does"
            f" not have; {group}s that fit: {', '.join(fitting)}"
        )
    return f"{needs} is not there (needed by {place}); data={choices.get('data')}"
