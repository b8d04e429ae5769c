"""From a run, a checkpoint or an exported folder to its model and its data, from the file alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from genlab.runs.folder.best import best
from genlab.runs.folder.checkpoint import check_clock, newest, read
from genlab.runs.folder.layout import find_run
from genlab.runs.folder.post_hoc import averaged
from genlab.runs.gate.files import check_plain
from genlab.runs.say.errors import UserError, root_cause
from genlab.runs.settings.bounds import check_bounds
from genlab.runs.settings.plan import Plan
from genlab.shapes import shapes_alone

if TYPE_CHECKING:
    from genlab.models.base import GenerativeModel

SLACK = 2**28  # bytes of tables (masks, positions) that a model may make beside its weights


def find_checkpoint(path: str | Path) -> Path:
    """The checkpoint that a run folder, a file or "last" stands for.

    The best one where the run keeps it (callbacks.checkpoint.best), else the newest.
    """
    if str(path) != "last" and Path(path).is_file():
        return Path(path)
    run = find_run(path)
    return best(run) or newest(run)


def find_weights(path: str | Path) -> Path:
    """The file of weights of an exported folder, or the checkpoint of a run."""
    exported = Path(path) / "model.safetensors"
    return exported if exported.is_file() else find_checkpoint(path)


def load_model(
    path: str | Path,
    *,
    trust: Sequence[str] = (),
    raw: bool = False,
    model: dict | None = None,
    ema: float | None = None,
) -> GenerativeModel:
    """The model of a checkpoint, rebuilt from it alone, in evaluation mode on the CPU.

    `raw` takes the last weights instead of their running average; `model` replaces the settings
    that the checkpoint holds (another sampler). `ema`: the length of another average (post_hoc.py).
    """
    loaded = read_run(path)
    settings = loaded["genlab"]["settings"]
    parts = {"model": {**(model or settings["model"]), "optim": None}}
    parts |= {k: settings[k] for k in ("seed", "adapt") if k in settings}
    weights = (loaded.get("current_model_state") if raw else None) or loaded["state_dict"]
    if ema is not None:
        weights = averaged(path, weights, ema, loaded["clock"]["examples"])
    built = (Plan(parts, trust) if trust else _fitting(parts, weights, path)).model()
    load_weights(built, weights, path)
    built.clock.load_state_dict(loaded["clock"])
    return built.eval()


def _fitting(parts: dict[str, Any], weights: dict[str, torch.Tensor], path: Any) -> Plan:
    """The plan of a model that the file has weights for; another or a larger one is refused.

    The model is built without memory, and no further than the file's number of weights allows.
    """
    left = {"parameters": 4 * len(weights) + 100, "modules": 20 * len(weights) + 1000}

    def counted(kind: str):
        def count(*_: Any) -> None:
            left[kind] -= 1
            if left[kind] < 0:
                raise UserError(
                    f"{path} does not fit the model: its settings describe a larger one"
                )

        return count

    hooks = [
        register_module_parameter_registration_hook(counted("parameters")),
        register_module_module_registration_hook(counted("modules")),
    ]
    try:
        with shapes_alone():
            built = (plan := Plan(parts)).model()
    except Exception as error:
        cause = root_cause(error)
        said = (
            str(cause) if isinstance(cause, UserError) else f"they build no model: {cause!r:.200}"
        )
        raise UserError(said if str(path) in said else f"{path}: its settings: {said}") from error
    finally:
        for hook in hooks:
            hook.remove()
    compare(built.state_dict(), weights, path)
    held = sum(t.numel() * t.element_size() for t in weights.values())
    buffers = sum(t.numel() * t.element_size() for t in built.buffers())
    if buffers > 4 * held + SLACK:
        raise UserError(f"{path}: its settings ask for {buffers / 1e9:.1f} GB beside the weights")
    return plan


def read_run(path: str | Path) -> dict:
    """The contents of a run's newest checkpoint, of a checkpoint file or of an exported folder."""
    folder = Path(path)
    if (folder / "model.safetensors").is_file():
        from genlab.runs.folder.exported import read_export

        loaded = read_export(folder)
    else:
        loaded = read(find_checkpoint(path))
    if "genlab" not in loaded or "state_dict" not in loaded:
        raise UserError(f"{path} was not written by genlab: it holds no settings to rebuild from")
    own, weights, last = (loaded.get(k) for k in ("genlab", "state_dict", "current_model_state"))
    parts = own.get("settings") if isinstance(own, dict) else None
    if not isinstance(parts, dict) or not all(
        isinstance(parts.get(k), dict) and "_target_" in parts[k] for k in ("data", "model")
    ):
        raise UserError(f"{path} holds no settings of a model and its data")
    check_plain(parts, f"{path}: settings")
    try:
        check_bounds(parts)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    check_plain(
        own.get("data_state"), f"{path}: data_state", texts=False
    )  # texts: a tokenizer's tokens
    check_plain(own.get("trained_on"), f"{path}: trained_on", texts=False)  # texts: file names
    check_clock(loaded, path)
    for state in (weights, {} if last is None else last):
        if not isinstance(state, dict) or not all(
            isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()
        ):
            raise UserError(f"{path}: its weights are not tensors by name")
    return loaded


def load_weights(model: torch.nn.Module, state: dict[str, torch.Tensor], path: Any) -> None:
    """Put weights in, or say in one line which do not fit."""
    compare(model.state_dict(), state, path)
    model.load_state_dict(state)


def compare(own: dict[str, torch.Tensor], state: dict[str, torch.Tensor], path: Any) -> None:
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or extra:
        raise UserError(
            f"{path} does not fit the model: missing {missing[:3]}, not in the model {extra[:3]}"
        )
    for name, value in own.items():
        if value.shape != state[name].shape:
            raise UserError(
                f"{path} does not fit the model: {name} is {list(state[name].shape)} in the file"
                f" and {list(value.shape)} in the model"
            )
        if value.is_floating_point() != state[name].is_floating_point():
            raise UserError(
                f"{path} does not fit the model: {name} is {state[name].dtype} in the file and"
                f" {value.dtype} in the model"
            )


def load_data(path: str | Path, *, trust: Sequence[str] = ()):
    """The data module a run was trained on, able to decode samples without its files."""
    loaded = read_run(path)
    data = Plan({"data": loaded["genlab"]["settings"]["data"]}, trust).build("data")
    try:
        data.load_state(loaded["genlab"]["data_state"])
    except Exception as error:  # the tokenizers library raises plain Exceptions
        raise UserError(f"{path}: its data_state does not fit its data: {error!r:.200}") from error
    return data
