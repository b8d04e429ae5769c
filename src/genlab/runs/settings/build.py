"""One way to a model: build -> weights of named parts -> adapt; then compile, resume.

Read: `build_model`, which train, check, sample, evaluate and genlab.load call. `init_from` names a
run whose weights the model starts from, or one for each of its parts (`init_from={codec: RUN}`),
whose settings `inline_parts` takes over, so that a checkpoint is enough by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf, open_dict

from genlab.runs.say.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genlab.models.base import GenerativeModel


def build_model(
    settings: Mapping[str, Any], *, trusted: Sequence[str] = (), initialise: bool = False
) -> GenerativeModel:
    """The model that settings describe; `initialise` puts in the weights that init_from names."""
    from genlab.runs.settings.compose import build

    model = build(settings["model"], trusted=trusted, where="model")
    model.seed = settings.get("seed", 0)
    if initialise and settings.get("init_from"):
        take_weights(model, settings["init_from"])
    if settings.get("adapt"):
        build(settings["adapt"], trusted=trusted, where="adapt")(model)
    return model


# --- weights of other runs --------------------------------------------------------------------


def named(init_from: Any) -> dict[str, str]:
    """{part: run} of what init_from says; "" is the whole model."""
    if isinstance(init_from, str):
        return {"": init_from}
    if not isinstance(init_from, Mapping) or not all(
        isinstance(v, str) for v in init_from.values()
    ):
        raise UserError(
            f"init_from={init_from}: give a run, or a run for each part: init_from={{codec: RUN}}"
        )
    return {str(part): run for part, run in init_from.items()}


def inline_parts(cfg: DictConfig) -> None:
    """The settings of parts that are models of their own, from the runs that trained them.

    Such a part stands in the config, or in its model, with no value (`codec: ???`).
    """
    take_codec(cfg)
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
        if part == "codec" and not {"latent_shape", "encoder", "decoder"} <= settings.keys():
            family = str(settings.get("_target_")).rpartition(".")[2]
            raise UserError(
                f"{key}: a {family} is no codec; name a run of model=vqvae, or of model=vae"
                " net=conv_codec conditions=none"
            )
        with open_dict(cfg):
            place[part] = {**settings, "optim": None}


def take_codec(cfg: DictConfig) -> None:
    """codec=RUN is init_from={codec: RUN}, where the model has a codec."""
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
    before = cfg.get("init_from") or {}
    before = named(OmegaConf.to_container(before) if isinstance(before, DictConfig) else before)
    if "codec" in before:
        raise UserError(f"codec={codec}: init_from names another codec; leave one of them out")
    with open_dict(cfg):
        cfg.init_from = {**before, "codec": str(codec)}


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


def take_weights(model: GenerativeModel, init_from: Any) -> None:
    """Start from the (averaged) weights of other runs; says what was taken, what not, and why."""
    from genlab.models.base import GenerativeModel
    from genlab.runs.folder.load import read_run
    from genlab.runs.say.terminal import say

    for part, run in named(init_from).items():
        if part and part not in dict(model.named_children()):
            parts = ", ".join(
                n for n, c in model.named_children() if any(True for _ in c.parameters())
            )
            raise UserError(f"init_from.{part}: the model has no such part; it has {parts}")
        target = model.get_submodule(part)
        key = f"init_from.{part}={run}" if part else f"init_from={run}"
        state = read_run(run)["state_dict"]
        if part and not isinstance(target, GenerativeModel):  # a network of a like model
            state = {k[len(part) + 1 :]: v for k, v in state.items() if k.startswith(f"{part}.")}
        say(f"genlab: {key}: {_taken(target, state, key)}")


def _taken(target: nn.Module, state: dict[str, Tensor], key: str) -> str:
    """Put in what fits; says what was taken and what was not."""
    own = target.state_dict()
    fit = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    if not fit:
        raise UserError(
            f"{key}: none of its {len(state)} tensors fits {type(target).__name__}, which has"
            f" {', '.join(list(own)[:3])}, ...; there are {', '.join(list(state)[:3]) or 'none'}:"
            " name a run of the same family and net"
        )
    target.load_state_dict(fit, strict=False)
    other = [f"{k} is {list(state[k].shape)} there, {list(own[k].shape)} here"
             for k in own.keys() & state.keys() - fit.keys()]  # fmt: skip
    left = {
        "of another shape": sorted(other),
        "new here": sorted(own.keys() - state.keys()),
        "only there": sorted(state.keys() - own.keys()),
    }
    weights = sum(v.numel() for v in fit.values()) / max(1, sum(v.numel() for v in own.values()))
    lines = [f"{len(fit)} of {len(own)} tensors taken, {weights:.1%} of the weights"]
    for why, names in left.items():
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(f"{why}: {', '.join(names[:3])}{more}")
    return "; ".join(lines)
