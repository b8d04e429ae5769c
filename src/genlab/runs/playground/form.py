"""The form: what is asked of every run on the page, how many, and by which sampler.

Read: `Form` builds it and lists its inputs; `Form.order` turns their values into what each run is
to draw; `Form.restored` turns a row of history into their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from genlab.runs.playground.controls import Control, Panel, ask_control
from genlab.runs.playground.drawing import Asked
from genlab.runs.playground.seats import Seat
from genlab.runs.say.errors import UserError
from genlab.runs.settings.overrides import Change

MOST = 2**53 - 1  # the whole numbers that a browser holds


@dataclass(frozen=True)
class Order:
    """What the form says: answers are read when they are needed, for they may be mistaken."""

    form: Form
    values: tuple[Any, ...]

    @property
    def num(self) -> int:
        return _whole("num", self.values[0], least=1)

    @property
    def seed(self) -> int:
        return _whole("seed", self.values[1])

    @property
    def first(self) -> int:
        return _whole("first", self.values[2])

    def words(self, seat: Seat) -> dict[str, Any]:
        """What is asked of a seat: of all the answers, those that it hears."""
        found: dict[str, Any] = {}
        at = 3
        for control in self.form.controls:
            values = self.values[at : at + len(control.inputs)]
            at += len(control.inputs)
            if control.ask in seat.asks:
                found |= control.ask.words(control.read(*values))
        return found

    def asked(self, seat: Seat) -> Asked:
        return Asked(self.words(seat), self.num, self.seed, self.first, turn=self.first)

    def changes(self, seat: int) -> list[Change]:
        """The words of a command line for a seat's sampler."""
        at = 3 + sum(len(c.inputs) for c in self.form.controls)
        for panel in self.form.panels[:seat]:
            at += len(panel.inputs)
        panel = self.form.panels[seat]
        return panel.read(self.values[at : at + len(panel.inputs)])


def _whole(key: str, value: Any, least: int = 0) -> int:
    if value is None or value != int(value) or not least <= value <= MOST:
        raise UserError(f"{key}={value}: it must be a whole number, at least {least}")
    return int(value)


class Form:
    """The controls of all asks (one that several runs have stands once), and of all samplers."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self.seats = list(seats)
        asks = dict.fromkeys(ask for seat in seats for ask in seat.asks)
        self.controls: list[Control] = []
        for ask in asks:
            home = next(s.home for s in seats if ask in s.asks)
            self.controls.append(ask_control(ask, home))
        few = min(seat.data.view.few for seat in seats)
        with gr.Row(elem_classes="numbers"):
            self.num = gr.Number(few, label="num", precision=0, min_width=80)
            self.seed = gr.Number(0, label="seed", precision=0, min_width=80)
            self.first = gr.Number(0, label="first", precision=0, min_width=80)
        with gr.Row():
            self.draw = gr.Button("Draw", variant="primary", min_width=120, elem_id="draw")
            self.stop = gr.Button("Stop", min_width=80, elem_id="stop")
        self.panels = [Panel(s, title=f"sampler of {s.name}") for s in self.seats]

    @property
    def inputs(self) -> list[Any]:
        numbers = [self.num, self.seed, self.first]
        asked = [c for control in self.controls for c in control.inputs]
        return [*numbers, *asked, *(c for panel in self.panels for c in panel.inputs)]

    def order(self, values: Sequence[Any]) -> Order:
        return Order(self, tuple(values))

    def restored(self, seat: Seat, row: dict[str, Any]) -> list[Any]:
        """The form as a row of a seat's history has it; the samplers of the others stay."""
        found: list[Any] = [row["num"], row["seed"], row["first"]]
        for control in self.controls:
            hears = control.ask in seat.asks
            found += control.write(row["asked"]) if hears else [gr.update() for _ in control.inputs]
        for panel in self.panels:
            own = panel.seat is seat
            found += panel.write(row["sampler"]) if own else [gr.update() for _ in panel.inputs]
        return found
