"""What callbacks know of their run: `trainer.run`, its folder and its settings.

Callbacks that others call (the ledger writes rows, the checkpoint saves, the guard watches, the
doctor judges) put themselves here when they are set up, so that nobody searches for them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.batch import Cond
    from genlab.callbacks.checkpoint import Checkpoint
    from genlab.callbacks.doctor import Doctor
    from genlab.callbacks.guard import Guard
    from genlab.callbacks.ledger import Ledger


@dataclass
class Run:
    """The run that a trainer belongs to."""

    folder: Path
    settings: dict[str, Any]
    # the signals that end it, and who else answers one
    watched: Sequence[signal.Signals] = ()
    others: dict[int, Callable] = field(default_factory=dict)
    # what a look took, and drawing one of its samples: what is left of the minutes goes by them
    look_seconds: float = 0.0
    sample_seconds: float = 0.0
    trained_on: list[dict] = field(default_factory=list)  # the sets and their licences, as counts
    ended: str = ""  # why a run ended before its budget, of its own accord: pruned
    stopping: bool = False  # Ctrl-C asks for its end: what is long is cut short
    began: bool = False  # what a checkpoint held is in place, and training goes on
    ledger: Ledger | None = None
    checkpoint: Checkpoint | None = None
    guard: Guard | None = None
    doctor: Doctor | None = None
    drawn: tuple[Tensor, Cond | None] | None = None  # a look's samples and what they were asked for
