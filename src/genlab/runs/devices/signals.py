"""Signals that end a command, and the exit code that each gives: 128 + its number.

`stand_by` answers them until a run trains; then callbacks.signals saves first. Where somebody else
answers one already (submitit puts its job back in the queue on SIGUSR2, and lets SIGTERM pass), the
run saves and hands it on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)

received: list[int] = []  # the signals that ended this command
others: dict[int, Callable] = {}  # who else answers a signal


def stand_by() -> None:
    """From here on a signal ends the command, with its code.

    The number is kept: raised at any instant, the exception may be replaced by another one, of a
    library that was left half-way through a change.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in WATCHED:
        handler = signal.getsignal(number)
        if callable(handler) and handler not in (leave, signal.default_int_handler):
            others[number] = handler
        else:
            others.pop(number, None)
            signal.signal(number, leave)


def leave(number: int, frame: object) -> None:
    received.append(number)
    raise SystemExit(128 + number)


def hand_on(number: int) -> None:
    """Once a run has saved: let whoever else answers the signal do so, which may not return."""
    if number in others:
        others[number](number, None)
