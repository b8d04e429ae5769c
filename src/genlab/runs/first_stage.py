"""codec=experiment:NAME: the run that trains a codec comes first, in one command with its prior's.

Read: `train_first`. The codec's run lies in outputs/NAME/codec. It is the plain `genlab train
experiment=NAME` in a process of its own: finished it is taken as it is, broken off it goes on, and
one of other settings is refused by name.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genlab.runs.devices.ranks import started_outside
from genlab.runs.folder.layout import outputs
from genlab.runs.say.errors import UserError
from genlab.runs.say.terminal import say
from genlab.runs.settings.conf import conf_dir

EXPERIMENT = "experiment:"


def folder_of(codec: str) -> Path:
    """Where the run lies that codec=experiment:NAME stands for."""
    name = codec.removeprefix(EXPERIMENT)
    if not name.replace("_", "").isalnum():
        raise UserError(f"codec={codec}: name an experiment, codec={EXPERIMENT}fashion_vqvae")
    return outputs() / name / "codec"


def train_first(cfg: DictConfig, hydra: Any) -> None:
    """Train the codec that codec=experiment:NAME asks for, unless it is; `hydra`: Hydra's own."""
    from genlab.runs.reproduce import run_whole

    codec = str(cfg.get("codec") or "")
    if not codec.startswith(EXPERIMENT) or "codec" not in list(cfg.model):
        return
    if hydra.mode.name != "RUN" or started_outside():
        raise UserError(
            f"codec={codec}: a sweep, or a run of several processes, does not train its codec"
            " first: train it alone, and write codec=RUN"
        )
    run = folder_of(codec)
    words = [f"experiment={codec.removeprefix(EXPERIMENT)}", f"hydra.run.dir={run}"]
    places = [Path(s.path) for s in hydra.runtime.config_sources if s.schema == "file"]
    own = [p for p in places if p.resolve() != conf_dir().resolve()]
    say(f"genlab: first the codec: genlab train {' '.join(words)}")
    line = [sys.executable, "-m", "genlab.cli", "train", *words]
    if run_whole([*line, *(word for p in own for word in ("--config-dir", str(p)))]):
        raise UserError(f"codec={codec}: its run has ended without a codec; what it said is above")
