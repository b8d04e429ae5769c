"""From a command line to plain settings, and from settings to objects.

`settle` resolves a composed config to plain data, `check` refuses what cannot be built, and `build`
is the one call of Hydra's `instantiate` in genlab. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from genlab.runs.devices.processes import memory_here
from genlab.runs.devices.ranks import shared_name
from genlab.runs.gate import classes
from genlab.runs.gate.files import check_plain, folder_name, walk
from genlab.runs.say.errors import UserError, is_users, root_cause
from genlab.runs.settings.bounds import check_bounds
from genlab.runs.settings.build import inline_parts, named
from genlab.runs.settings.conf import conf_dir
from genlab.runs.settings.mistakes import check_values

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
# in a model's defaults: the option that goes with the kind of data that the data's file states
OmegaConf.register_new_resolver(
    "genlab.of_kind", lambda kind, options: options.get(kind, options["image"]), replace=True
)
# which nets fit which model: for the message when they do not
NETS = {
    "gan": "dcgan, mlp_gan",
    "vae": "conv_vae, mlp_vae",
    "diffusion": "unet, dit, mlp",
    "flow_matching": "unet, dit, mlp",
    "autoregressive": "gpt, gru, lstm",
    "vqvae": "conv_vq",
    "latent_diffusion": "unet, dit, mlp",
    "vq_transformer": "gpt, gru, lstm",
}

# numbers of the run itself: the least that each may be, and whether it may be null
NUMBERS = (
    ("seed", 0, False), ("budget.examples", 1, False), ("budget.minutes", 0.0, True),
    ("look_every", 1, True), ("save_every", 1, False), ("data.batch_size", 1, False),
    ("trainer.accumulate", 1, False), ("trainer.num_nodes", 1, False), ("trainer.threads", 1, True),
    ("trainer.clip", 0.0, True), ("trainer.timeout_minutes", 0.0, True),
)  # fmt: skip

# whole numbers of a network that are at least 1
SIZES = ("width", "depth", "heads", "kv_heads", "blocks", "patch", "latent_dim", "head_dim")

ORDINARY = 2048  # no network whose numbers are all below fills a machine's memory

# what torch and Python raise where a class of ours is given a number that it cannot work with
NO_FIT = (ValueError, TypeError, RuntimeError, ZeroDivisionError, IndexError, AssertionError)
# in others the noise, which is drawn in float32, does not meet the weights
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def composed(words: Sequence[str], *own: Path) -> DictConfig:
    """What Hydra composes of these overrides, its own settings too; `own` are --config-dir's."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    more = [f"hydra.searchpath=[{','.join(f'file://{p.absolute()}' for p in own)}]"] if own else []
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return compose("train", [*words, *more], return_hydra_config=True)
    finally:
        GlobalHydra.instance().clear()


def settings_of(words: Sequence[str], *own: Path) -> tuple[dict[str, Any], dict[str, str | None]]:
    """The checked settings of a run that is composed, not started, and the options chosen."""
    from hydra.core.hydra_config import HydraConfig

    cfg = composed(words, *own)
    HydraConfig.instance().set_config(cfg)
    choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    settings = settle(cfg, choices)
    check_values(words, choices, settings)
    check(settings)
    return settings, choices


def settle(cfg: DictConfig, choices: dict[str, str | None] | None = None) -> dict[str, Any]:
    """The composed config as plain, resolved data; a missing piece is named with its remedy."""
    try:
        inline_parts(cfg)
        settle_data(cfg)
        missing = OmegaConf.missing_keys(cfg)
        if missing:
            raise UserError(f"{sorted(missing)[0]} has no value: set it on the command line")
        settled = OmegaConf.to_container(cfg, resolve=True)
    except InterpolationKeyError as error:
        raise UserError(_misfit(cfg, error.full_key, choices or {})) from error
    except OmegaConfBaseException as error:
        if isinstance(cause := root_cause(error), UserError):
            raise cause from None
        raise UserError(" ".join(str(error).split())) from error
    assert isinstance(settled, dict)
    if settled.get("tokenizer") and "tokenizer" not in settled["data"]:
        tokenizer, data = ((choices or {}).get(k) for k in ("tokenizer", "data"))
        raise UserError(f"tokenizer={tokenizer}: data={data} takes none; leave it out")
    return settled


def settle_data(cfg: DictConfig) -> None:
    """Find the vocabulary, or a table's widths, where they are null."""
    data = cfg.get("data")
    if not isinstance(data, DictConfig) or OmegaConf.missing_keys(data):
        return
    if "source" in data and "tokenizer" in data and data.get("vocab") is None:
        with open_dict(cfg):
            data.vocab = _find_vocab(cfg)
    if "widths" in data and data.get("widths") is None:
        widths = _find_widths(cfg)
        with open_dict(cfg):
            data.widths, data.shape = widths, [sum(widths)]


def hand_over(data: dict[str, Any], trusted: Sequence[str]) -> None:
    """Take out of data's settings what is its source's alone.

    A source's YAML says `root: ${data.root}`, so that one types data.root=FOLDER.
    """
    if not isinstance(data.get("source"), dict) or "_target_" not in data:
        return
    classes.check_names(data, trusted, "data")
    taken = inspect.signature(classes.find(data["_target_"], trusted, "data")).parameters
    for key in data["source"].keys() & data.keys() - taken.keys():
        if not key.startswith("_"):
            del data[key]


def _find_vocab(cfg: DictConfig) -> int:
    """The number of ids that the tokenizer makes of the source's text."""
    from genlab.data.text import vocabulary

    trusted = list(cfg.get("trust") or ())
    parts = {k: OmegaConf.to_container(cfg.data[k], resolve=True) for k in ("source", "tokenizer")}
    return vocabulary(*(build(v, trusted=trusted, where=f"data.{k}") for k, v in parts.items()))


def _find_widths(cfg: DictConfig) -> list[int]:
    """The blocks of x that the table takes, from its source's rows."""
    trusted = list(cfg.get("trust") or ())
    node = OmegaConf.to_container(cfg.data, resolve=True) | {"shape": [1], "widths": [1]}
    hand_over(node, trusted)
    return build(node, trusted=trusted, where="data").found_widths()


def _misfit(cfg: DictConfig, place: str, choices: dict[str, str | None]) -> str:
    """What the interpolation at `place` asks for, and who would have it."""
    node: Any = OmegaConf.to_container(cfg, resolve=False)
    for part in place.replace("[", ".").replace("]", "").split("."):
        node = node[int(part)] if isinstance(node, list) else node[part]
    needs = str(node).strip("${}")
    model, net = choices.get("model"), choices.get("net")
    if needs.startswith("net.") and model in NETS:
        return (
            f"model={model} needs {needs}, which net={net} does not have;"
            f" nets that fit: {NETS[model]}"
        )
    return f"{needs} is not there (needed by {place}); data={choices.get('data')}"


def check(settings: dict[str, Any]) -> None:
    """Refuse what cannot be built: first by what needs no torch, then by its classes."""
    check_plain(settings)
    folder_name(settings["name"])
    trusted = settings.get("trust") or ()
    if not isinstance(trusted, list | tuple):
        raise UserError(f"trust={trusted}: a list of packages, 'trust=[{trusted}]'")
    classes.check_names(settings, trusted)
    _check_numbers(settings)
    check_bounds(settings)
    _check_run(settings)
    check_memory(settings)
    _check_classes(settings, trusted)


def _check_numbers(settings: dict[str, Any]) -> None:
    """Refuse a number of the run that is out of its bounds, and a network of no width."""
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
    for place, value in walk(settings.get("net"), "net"):
        if place.rpartition(".")[2] in SIZES and type(value) in (int, float) and value < 1:
            raise UserError(f"{place}={value}: it must be a whole number, at least 1")
    batch, budget = settings["data"]["batch_size"], settings["budget"]["examples"]
    if batch > budget:
        raise UserError(
            f"data.batch_size={batch}: more than budget.examples={budget}, so not one step is"
            " whole; a smaller batch or a longer budget"
        )


def _check_run(settings: dict[str, Any]) -> None:
    """Refuse what a run cannot do without, an unknown precision, a start that is not there."""
    from genlab.runs.folder.layout import find_run

    if not isinstance(settings["evaluate"], bool):
        raise UserError(f"evaluate={settings['evaluate']}: true or false")
    if settings["evaluate"] and not settings["callbacks"].get("checkpoint"):
        raise UserError("callbacks.checkpoint=null: nothing to measure; write evaluate=false too")
    if not settings["callbacks"].get("ledger"):
        raise UserError("callbacks.ledger=null: the report, resume and the summary read its rows")
    precision = settings["trainer"].get("precision", "auto")
    if str(precision) not in (*PRECISIONS, "32"):
        raise UserError(f"trainer.precision={precision}: allowed are {', '.join(PRECISIONS)}")
    for part, run in named(settings.get("init_from") or {}).items():
        if not Path(run).is_file() and not (Path(run) / "model.safetensors").is_file():
            try:
                find_run(run)
            except UserError as error:
                key = f"init_from.{part}" if part else "init_from"
                raise UserError(f"{key}={run}: {error}") from None


def _check_classes(settings: dict[str, Any], trusted: Sequence[str]) -> None:
    """Refuse parts that do not fit one another, and arguments that a class does not take."""
    hand_over(settings["data"], trusted)
    model = classes.find(settings["model"]["_target_"], trusted, "model")
    takes = getattr(model, "takes", None)
    there = "tokens" if settings["data"].get("vocab") is not None else "values"
    if takes not in (None, "either", there):
        kinds = {
            "tokens": "digits_pixels, stdlib_code, shakespeare, text_file",
            "values": "digits, mnist, fashion_mnist, cifar10, image_folder, ring, grid, ...",
        }
        what = {"tokens": "tokens", "values": "images or points, not tokens"}[takes]
        others = {"tokens": "autoregressive", "values": "diffusion, flow_matching, vae or gan"}
        raise UserError(
            f"model {model.__name__} needs {what}: data={kinds[takes]}; for this data"
            f" model={others[there]}"
        )
    _check_codec(settings, trusted)
    if settings.get("trainer", {}).get("strategy") == "fsdp" and not getattr(model, "shards", True):
        raise UserError(
            f"trainer.strategy=fsdp: the step of a {model.__name__} does not run under FSDP;"
            " write trainer=ddp (on CPUs trainer=ddp_cpu)"
        )
    classes.check_arguments(settings, trusted)
    for place, metric in metric_nodes(settings.get("metric")).items():
        kinds = [kind_of(n, trusted) for n in (settings["data"], metric)]
        if None not in kinds and kinds[0] != kinds[1]:
            where = f"metric.{place}" if place else "metric"
            raise UserError(
                f"{where} measures {kinds[1]} data, data is {kinds[0]}: leave {where} out"
            )


def _check_codec(settings: dict[str, Any], trusted: Sequence[str]) -> None:
    """Refuse a codec of other data, and one whose latents the prior does not take."""
    codec, prior = (settings["model"].get(k) for k in ("codec", "prior"))
    if not isinstance(codec, dict) or not isinstance(prior, dict):
        return
    there, here = (list(node.get("shape") or ()) for node in (codec, settings["data"]))
    if there != here:
        raise UserError(f"codec: it was trained on examples of shape {there}, data has {here}")
    cls = classes.find(prior["_target_"], trusted, "model.prior")
    takes, codes = getattr(cls, "takes", "either"), settings["space"]["vocab"] is not None
    if takes not in ("either", "tokens" if codes else "values"):
        wants, remedy = (
            ("codes", "vqvae") if takes == "tokens" else ("values", "vae net=conv_codec")
        )
        raise UserError(
            f"codec: a prior of {cls.__name__} takes {wants}, which this codec does not give;"
            f" name a run of model={remedy}"
        )


def check_memory(settings: dict[str, Any]) -> None:
    """Refuse networks whose weights, with what trains them, are more than this machine's memory."""
    sizes = (v for _, v in walk(settings.get("net")) if type(v) in (int, float))
    if max(sizes, default=0) <= ORDINARY or settings["trainer"].get("strategy") == "fsdp":
        return  # with FSDP each process holds a share
    import torch

    parameters, last = 0, " "
    for place, node in classes.targets(settings["model"], "model"):
        if not node["_target_"].startswith("genlab.nn.") or place.startswith(f"{last}."):
            continue
        last = place
        with (
            contextlib.suppress(Exception),
            torch.device("meta"),
        ):  # the error is reported where it is built
            net = build(node, trusted=settings.get("trust") or (), where=place)
            parameters += sum(p.numel() for p in net.parameters())
    needed, there = 4 * 4 * parameters, memory_here()
    if needed > there:
        raise UserError(
            f"net: {parameters:,} parameters take {needed / 2**30:,.0f} GiB to train (weights,"
            f" gradients, two moments), this machine has {there / 2**30:,.0f}: a smaller net.width"
        )


def kind_of(node: dict[str, Any], trusted: Sequence[str]) -> str | None:
    """The kind of data that a data module holds or a metric measures; None: any."""
    return getattr(classes.find(node["_target_"], trusted, ""), "kind", None)


def metric_nodes(metric: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The metrics by name: of one node the name is "", of several the key; none of nothing."""
    if not metric:
        return {}
    if "_target_" in metric:
        return {"": metric}
    for name, node in metric.items():
        if not isinstance(node, dict) or "_target_" not in node:
            raise UserError(
                f"metric.{name}={node}: several metrics are nodes by name, each a class"
            )
    return metric


def build_metrics(metric: dict[str, Any] | None, *, trusted: Sequence[str] = ()) -> dict[str, Any]:
    """The metric objects by name; what cannot be called as one is refused."""
    from genlab.metrics.several import check_metric

    built = {}
    for name, node in metric_nodes(metric).items():
        where = f"metric.{name}" if name else "metric"
        cls = classes.find(node["_target_"], trusted, where)
        if missing := sorted(getattr(cls, "__abstractmethods__", ())):
            raise UserError(f"{where}: {cls.__name__} has no {', '.join(missing)}: write it")
        built[name] = build(node, trusted=trusted, where=where)
        check_metric(built[name], where)
    return built


def build(node: dict[str, Any], *, trusted: Sequence[str] = (), where: str = "") -> Any:
    """Make the object that a checked node describes."""
    from hydra.utils import instantiate

    check_plain(node, where)
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
