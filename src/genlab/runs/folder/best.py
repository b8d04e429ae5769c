"""The best checkpoint of a run that keeps one: of the look whose figure is the least."""

from __future__ import annotations

import warnings
from pathlib import Path

from genlab.rows import read_rows
from genlab.runs.folder.layout import read_settings
from genlab.runs.say.errors import UserError


def figure_of(run: Path) -> str | None:
    """The figure that the run's best is told by (callbacks.checkpoint.best); None where none is.

    A checkpoint is read by itself: where the settings beside it are no run's, no best is known.
    """
    try:
        callbacks = read_settings(run).get("callbacks")
    except (UserError, OSError):
        return None
    checkpoint = callbacks.get("checkpoint") if isinstance(callbacks, dict) else None
    found = checkpoint.get("best") if isinstance(checkpoint, dict) else None
    return found if isinstance(found, str) else None


def best(run: Path) -> Path | None:
    """The best checkpoint on the disk; None where the run keeps none, or it is damaged."""
    if (figure := figure_of(run)) is None:
        return None
    from genlab.callbacks.checkpoint import best_look
    from genlab.runs.folder.checkpoint import checkpoint_files, damage

    number = best_look(read_rows(run / "metrics.jsonl"), figure)
    named = {int(file.stem.partition("=")[2]): file for file in checkpoint_files(run)}
    if number is None or (file := named.get(number)) is None:
        return None
    if problem := damage(file):
        warnings.warn(f"skipped: the best, {file.name}, {problem}", stacklevel=2)
        return None
    return file


def chosen(run: Path, which: str) -> Path:
    """The checkpoint that checkpoint=best or newest stands for."""
    from genlab.runs.folder.checkpoint import newest

    if which == "newest":
        return newest(run)
    if (found := best(run)) is None:
        why = "it keeps none" if figure_of(run) is None else "none that is whole was kept"
        raise UserError(
            f"checkpoint=best: {run}: {why} (callbacks.checkpoint.best=val/loss in training);"
            " write checkpoint=newest"
        )
    return found
