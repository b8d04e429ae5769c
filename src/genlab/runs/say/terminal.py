"""What is said to the user: without secrets, inert in a terminal, and whether anyone reads or not.

A pipe whose reader has gone (`genlab train | head -1`) or a terminal that was closed must not end a
run, nor turn its exit code into another one.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

from genlab.runs.say.secrets import redact
from genlab.shown import visible


def say(text: str) -> None:
    """To stderr: without secrets, control characters made visible."""
    print(visible(redact(text)), file=sys.stderr, flush=True)


def complain(error: BaseException | str, cell: str = "") -> None:
    """One line on what went wrong, and in which cell of a sweep."""
    say(f"genlab: {cell}{' '.join(str(error).splitlines())}")


def warn_plainly() -> None:
    """What genlab itself warns of becomes a line, without the place in its code."""
    import warnings

    theirs, package = warnings.showwarning, str(Path(__file__).resolve().parents[2])

    def show(message: Any, category: Any, filename: str, *more: Any, **named: Any) -> None:
        if category is UserWarning and filename.startswith(package):
            complain(str(message))
        else:
            theirs(message, category, filename, *more, **named)

    warnings.showwarning = show


def outlive() -> None:
    """From here on nobody has to read what is printed, and a closed terminal ends nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before the start: >&-
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for the process's life)
        elif not isinstance(stream, Lasting):
            setattr(sys, name, Lasting(stream))
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def quiet() -> None:
    """Lightning's notices about hardware and workers, which say nothing a run should heed."""
    import logging
    import warnings

    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings(
        "ignore", module=r"(pytorch_lightning|lightning_fabric|torchmetrics)\b.*"
    )
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    # of 1x1 convolutions, whose two layouts are the same bytes
    warnings.filterwarnings("ignore", message="Grad strides do not match")
    # which torch itself uses for its forward-mode derivatives
    warnings.filterwarnings("ignore", message=".*torch.jit.script. is deprecated")
    os.environ.setdefault("KMP_WARNINGS", "0")


class Lasting:
    """A text stream that says nothing more once its other end is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._silence()
            return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._silence()

    def _silence(self) -> None:
        """Whatever is written to the same descriptor from now on is lost, and no error."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
