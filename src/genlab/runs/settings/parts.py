"""Parts from other runs: `init_from.codec=RUN` gives the model that run's codec, settings and weights.

Read: `inline` puts the settings of a part's run where the model names it, before anything else is
resolved, so that nets can be told of its shapes (conf/space/latent.yaml) and a checkpoint is enough
by itself; `load` puts its weights in. Nothing here imports torch but `load`.
"""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from genlab.runs.folder.layout import find_run, read_settings
from genlab.runs.say.errors import UserError


def inline(cfg: DictConfig) -> None:
    """Put each named part's settings into cfg.model, where they are still missing."""
    model, named = cfg.get("model"), cfg.get("init_from")
    if not isinstance(model, DictConfig):
        return
    named = dict(named) if isinstance(named, DictConfig) else {}
    missing = [key for key in model if OmegaConf.is_missing(model, key)]
    for key in missing:
        if key not in named:
            raise UserError(f"model.{key} comes from another run: write +init_from.{key}=RUN")
    for key, run in named.items():
        if key not in model:
            raise UserError(f"init_from.{key}={run}: the model has no part {key!r}")
        if key in missing:
            part = read_settings(find_run(run))["model"]
            with open_dict(cfg):
                model[key] = OmegaConf.create({**part, "optim": None})


def load(model: Any, named: dict[str, str]) -> None:
    """Put the weights of each named part in (the averaged ones, where its run has them)."""
    from genlab.runs.folder.checkpoint import load_weights, read_run

    for key, run in named.items():
        load_weights(getattr(model, key), read_run(run)["state_dict"], run)
