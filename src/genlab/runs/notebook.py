"""From a notebook: train, the data module that decodes samples, measure. docs/python.md shows all.

    from genlab.runs.notebook import data_of, evaluate, train

    run = train("data=digits", "model=vae", "budget.examples=20_000")
    model, data = genlab.load(run), data_of(run)
    images = data.decode(model.sample(16, cond=2))
    evaluate(run)["metrics"]

A mistake is a ValueError of one line, as on the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def train(*overrides: str) -> Path:
    """What `genlab train OVERRIDES` does, in this process; gives the run's folder."""
    from hydra.errors import HydraException

    from genlab.runs import train as runs
    from genlab.runs.say.errors import UserError
    from genlab.runs.settings.flags import explained, own_folder, read_words

    _, asked = read_words(_words("train", overrides), ("--config-dir",))
    try:
        return runs.one(asked.overrides, *own_folder(asked))
    except HydraException as error:
        raise UserError(explained(error, list(overrides))) from error


def data_of(run: str | Path, *, trust: tuple[str, ...] = ()) -> Any:
    """The data module that a run or an export was trained on: `decode`, `view`, `class_names`.

    It decodes samples without the data's files; `load()` reads those.
    """
    from genlab.runs.folder.load import load_data

    return load_data(run, trust=trust)


def evaluate(run: str | Path, *overrides: str) -> dict[str, Any]:
    """What `genlab evaluate run=RUN OVERRIDES` does: evaluation.json's metrics, floor, interval."""
    from genlab.runs.evaluate import evaluate_asked

    return evaluate_asked([f"run={run}", *_words("evaluate", overrides)])


def _words(command: str, overrides: tuple) -> list[str]:
    if wrong := [w for w in overrides if not isinstance(w, str)]:
        raise ValueError(f"{command}({wrong[0]!r}): write each override as a text of its own")
    return list(overrides)
