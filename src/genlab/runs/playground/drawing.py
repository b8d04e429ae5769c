"""Drawing for somebody who watches: how far it is, what there is so far, and a stop that is heard.

Read: `watched` yields `Glance`s while a thread draws, and the samples at the end. They are those of
`genlab sample` with the same seed: the thread calls `model.stream`, whose last is `sample`'s, and
what counts and stops stands in hooks before the networks' calls.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlab.batch import Cond, Given, each
from genlab.callbacks.meter import Meter
from genlab.models.loop import networks
from genlab.runs.playground.seats import Seat
from genlab.runs.sample import check_memory, check_prompt, rows
from genlab.runs.say.errors import UserError

EVERY = 0.15  # seconds between two glances
AT_ONCE = 256  # samples; they do not depend on it


@dataclass(frozen=True)
class Asked:
    """What is asked of a run: words for `data.asked`, and which samples of which seed.

    Where no condition is asked for, the samples are of all classes (captions) in turn, from the
    one at place `turn` on.
    """

    words: dict[str, Any]
    num: int = 1
    seed: int = 0
    first: int = 0
    turn: int = 0


@dataclass(frozen=True)
class Drawn:
    """Samples x [num, *shape] on the CPU, and under which conditions."""

    x: Tensor
    cond: Cond | None
    given: Given | None
    captions: list[str] | None


@dataclass(frozen=True)
class Glance:
    """How far a draw is, in words; `items` are what can be looked at already."""

    said: str
    items: list[Any] | None = None


class Stopped(Exception):
    """Somebody has pressed Stop."""


def conditions(seat: Seat, asked: Asked) -> tuple[Cond | None, Given | None]:
    """What the samples are conditioned on, checked by the data as for `genlab sample`."""
    free = "cond" not in asked.words
    num = asked.num + (asked.turn if free else 0)
    cond, given = seat.data.asked(num, **asked.words)
    cond, given = (each(lambda t: t[-asked.num :], value) for value in (cond, given))
    if free:
        cond = seat.model.conditions.heard(cond)
    if given is not None and "prompt" in asked.words:
        check_prompt(given, seat.now, seat.data.shape)
    return cond, given


def watched(seat: Seat, asked: Asked, stop: threading.Event) -> Iterator[Glance | Drawn]:
    """Draw; `Glance`s on the way, and `Drawn` at the end. Raises Stopped, and what drawing does."""
    if asked.num > seat.data.view.most:
        raise UserError(f"num={asked.num}: at most {seat.data.view.most:,} can be looked at")
    check_memory(asked.num, seat.data.shape)
    cond, given = conditions(seat, asked)
    work = _Work(seat, asked, cond, given, stop)
    thread = threading.Thread(target=work.run, name="drawing", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(EVERY)
            yield work.glance()
    finally:
        if thread.is_alive():  # nobody watches any more
            stop.set()
            thread.join()
    if work.error is not None:
        raise work.error
    known = None if given is None else given["x"]
    yield Drawn(work.x, cond, given, seat.data.captions(cond, known))


class _Work:
    """What the thread does, and what it has told so far."""

    calls: dict[str, int] = {}  # of the networks, by what was drawn: known once it was

    def __init__(self, seat: Seat, asked: Asked, cond: Any, given: Any, stop: threading.Event):
        self.seat, self.asked, self.cond, self.given, self.stop = seat, asked, cond, given, stop
        self.meter, self.counted = Meter("drawing"), 0
        parts = -(-asked.num // AT_ONCE)
        self.key = repr([seat.path, seat.now, parts, sorted(asked.words)])
        self.so_far: Tensor | None = None
        self.x: Tensor | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with _before_each_call(self.seat.model, self.called):
                self.x = self.draw()
            self.calls[self.key] = self.counted
        except BaseException as error:  # told where it is watched
            self.error = error

    def called(self, *_: Any) -> None:
        if self.stop.is_set():
            raise Stopped("stopped")
        self.counted += 1
        if (total := self.calls.get(self.key)) is not None:
            self.meter("", self.counted / max(1, total))

    def draw(self) -> Tensor:
        done: list[Tensor] = []
        for low in range(0, self.asked.num, AT_ONCE):
            part = slice(low, min(self.asked.num, low + AT_ONCE))
            device = self.seat.model.device
            cond, given = (each(partial(rows, part, device), t) for t in (self.cond, self.given))
            place = {"seed": self.asked.seed, "first": self.asked.first + low}
            for x in self.seat.model.stream(part.stop - low, cond, given, **place):
                if self.stop.is_set():
                    raise Stopped("stopped")
                self.so_far = x
            done.append(x.cpu())
        return torch.cat(done)

    def glance(self) -> Glance:
        line = self.meter.line(time.monotonic()).strip()
        if self.key not in self.calls and self.counted:
            line += f" · {self.counted:,} calls of the network"
        if not self.seat.data.view.grows or self.so_far is None:
            return Glance(line)
        return Glance(line, self.seat.data.decode(self.so_far))


@contextlib.contextmanager
def _before_each_call(model: Any, hook: Any) -> Iterator[None]:
    """Within: `hook` is called before a network of the model's is; what it raises ends the draw."""
    handles = [net.register_forward_pre_hook(hook) for _, net in networks(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
