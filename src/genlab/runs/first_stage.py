"""codec=experiment:NAME: the run that trains a codec comes first, in one command with its prior's.

Read: `train_first`. The codec's run lies in outputs/NAME/codec. It is the plain `genlab train
experiment=NAME` in a process of its own: finished it is taken as it is, broken off it goes on, and
one of other settings is refused by name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from genlab.runs.folder.layout import outputs
from genlab.runs.say.errors import UserError
from genlab.runs.say.terminal import say

EXPERIMENT = "experiment:"


def folder_of(codec: str) -> Path:
    """Where the run lies that codec=experiment:NAME stands for."""
    name = codec.removeprefix(EXPERIMENT)
    if not name.replace("_", "").isalnum():
        raise UserError(f"codec={codec}: name an experiment, codec={EXPERIMENT}fashion_vqvae")
    return outputs() / name / "codec"


def train_first(codec: str, own: Sequence[Path]) -> None:
    """Train the codec that an experiment is, unless it is; `own`: folders of --config-dir."""
    from genlab.runs.reproduce import run_whole

    run = folder_of(codec)
    words = [f"experiment={codec.removeprefix(EXPERIMENT)}", f"hydra.run.dir={run}"]
    line = [sys.executable, "-m", "genlab.cli", "train", *words]
    say(f"genlab: first the codec: genlab train {' '.join(words)}")
    if run_whole([*line, *(part for folder in own for part in ("--config-dir", str(folder)))]):
        raise UserError(f"codec={codec}: its run has ended without a codec; what it said is above")
