"""The tab of blind pairs: two samples, one question, a key each; and the counts, kept out of sight.

Read: `build`. Which sample stands where is known here alone, and never sent to the page; a vote
names the pair by a random word that holds once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from genlab.data.preferences import read_rows
from genlab.runs.playground.controls import QUIET, Result
from genlab.runs.playground.drawing import Drawn, Stopped
from genlab.runs.playground.form import Form, Order
from genlab.runs.playground.prefer import (
    Contender,
    Pair,
    asked_of,
    file_of,
    judge,
    number_of,
    pair_of,
    summary,
    tally,
)  # fmt: skip
from genlab.runs.say.answer import explain
from genlab.runs.say.errors import UserError

VOTES = {
    "left": "← left", "tie": "T  tie", "bad": "B  bad", "skip": "S  skip", "right": "right →"
}  # fmt: skip
HEAD = ["A", "B", "condition", "A won", "B won", "ties", "both bad", "A's share of decided"]
WIDTHS = [165, 165, 110, 65, 65, 55, 80, 175]
WAITING = 8  # pairs that are drawn and not judged, of pages that were closed


def build(form: Form, draws: Any, *, who: str) -> None:
    """The tab, in the page that is being laid out."""
    from genlab.runs.playground.page import DRAWING, headline, line, said

    table = Ballots(form, draws)
    seat = form.seats[0]
    with gr.Row(equal_height=True):
        start = gr.Button("Next pair", variant="primary", min_width=120, elem_id="pair")
        name = gr.Textbox(who, placeholder="who judges", show_label=False,
                          container=False, max_lines=1, min_width=140, elem_id="who")  # fmt: skip
    status = line(value=table.hello(), elem_id="status")
    condition = headline(visible=False)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=150):
            line(value="left")
            left = Result(seat)
        with gr.Column(min_width=150):
            line(value="right")
            right = Result(seat)
    with gr.Row(elem_id="votes"):
        votes = {
            verdict: gr.Button(words, interactive=False, min_width=58, elem_id=f"vote-{verdict}")
            for verdict, words in VOTES.items()
        }
    with gr.Accordion("Counts (they name the sides: look when you are done)", open=False) as counts:
        told = line(value="")
        rows = gr.Dataframe(headers=HEAD, datatype="str", type="array", interactive=False,
                            show_label=False, wrap=True, buttons=["copy"], column_widths=WIDTHS,
                            )  # fmt: skip
    pair = gr.State("")
    sides = [*left.parts, *right.parts]
    outputs = [pair, status, condition, *sides, start, *votes.values()]

    def state(
        key: str, words: Any, pair_now: Pair | None = None, files: Sequence[Any] | None = None, *,
        busy: bool = False,
    ) -> list[Any]:  # fmt: skip
        ready = pair_now is not None
        shown = [*left.value(files[0]), *right.value(files[1])] if ready else \
            [gr.update() for _ in sides]  # fmt: skip
        asked = (
            gr.update(value=f"asked for: {pair_now.condition}", visible=True)
            if ready
            else gr.update()
        )
        buttons = [gr.update(interactive=ready) for _ in votes]
        return [key, words, asked, *shown, gr.update(interactive=not busy), *buttons]

    def following(key: str, judged: str, values: Sequence[Any]) -> Iterator[list[Any]]:
        """Draw the next pair and show it; what was said of the last vote stays beside it."""
        try:
            yield state("", said(f"{judged}drawing the next pair"), busy=True)
            key, found, files = table.next(form.order(values), key)
            yield state(key, said(f"{judged}{table.question()}"), found, files)
        except Stopped:
            yield state("", said(f"{judged}stopped"))
        except Exception as error:
            yield state("", said(explain(error, [])[0], wrong=True))

    def vote(verdict: str) -> Any:
        def voted(key: str, voter: str, *values: Any) -> Iterator[list[Any]]:
            try:
                judged = table.vote(key, verdict, voter)
            except Exception as error:
                yield state("", said(explain(error, [])[0], wrong=True))
                return
            yield from following(key, judged, values)

        return voted

    def begin(key: str, voter: str, *values: Any) -> Iterator[list[Any]]:
        yield from following(key, "", values)

    inputs = [pair, name, *form.inputs]
    start.click(begin, inputs, outputs, **QUIET, **DRAWING, trigger_mode="once")
    for verdict, button in votes.items():
        button.click(vote(verdict), inputs, outputs, **QUIET, **DRAWING, trigger_mode="once")
    counts.expand(table.counts, None, [told, rows], **QUIET)


class Ballots:
    """Pairs that wait for a judgement, and the file that judgements go into."""

    def __init__(self, form: Form, draws: Any) -> None:
        self.form, self.draws = form, draws
        self.waiting: dict[str, tuple[Pair, list[Contender]]] = {}
        self.past: dict[int, int] = {}  # seed -> number of the next pair, the skipped counted
        self.judged = 0

    def hello(self) -> str:
        """What the tab says first: what will be compared."""
        seats = self.form.seats
        if len(seats) > 1:
            return "Two of these runs at one seed, sides shuffled; kept in play/preferences.jsonl."
        return (
            "Two samples of this run under one condition. To compare runs or samplers:"
            " genlab play run=A,B, or run=A,A."
        )

    def question(self) -> str:
        return f"which is better? {self.judged} judged in this sitting"

    def contenders(self, order: Order) -> list[tuple[int, Contender]]:
        """The runs with their samplers as the form has them; the same one once."""
        found: dict[str, tuple[int, Contender]] = {}
        for number, seat in enumerate(self.form.seats):
            sampler = seat.take(order.changes(number))
            found.setdefault(
                repr([seat.checkpoint, sampler]), (number, Contender(seat, dict(sampler)))
            )
        made = list(found.values())
        first = made[0][1].seat
        for _, other in made[1:]:
            if type(other.seat.data) is not type(first.data) or other.seat.asks != first.asks:
                raise UserError(
                    f"{first.name} and {other.seat.name} are not asked for the same things: a pair"
                    " needs two runs of one kind of data"
                )
        return made

    def next(self, order: Order, last: str) -> tuple[str, Pair, list[Any]]:
        """(its key, the pair, a file a side) of the next pair; one that waits there is skipped."""
        if last in self.waiting:
            del self.waiting[last]
        contenders = self.contenders(order)
        seed = order.seed
        rows = read_rows(file_of(self.form.seats[0].home))
        kept = number_of(rows, seed, len(contenders))
        number = max(kept, self.past.get(seed, 0))
        places = pair_of(len(contenders), seed, number)
        words = order.words(contenders[0][1].seat)
        drawn, files = [], []
        for place in places:
            at, contender = contenders[place.contender]
            contender.seat.take(order.changes(at))
            asked = asked_of(place, number, words, seed)
            for glance in self.draws.of(contender.seat, asked):
                if isinstance(glance, Drawn):
                    drawn.append(glance)
            items = contender.seat.data.decode(drawn[-1].x)
            look = self.draws.look(
                contender.seat, items, drawn[-1].captions, name=f"side{len(files)}"
            )
            files.append(look)
        if drawn[0].x.shape != drawn[1].x.shape:
            raise UserError("the two samples are of different shapes: give both runs one length")
        pair = Pair(places, (drawn[0], drawn[1]), words, seed, number)
        self.past[seed] = number + 1
        key = secrets.token_hex(8)
        self.waiting[key] = (pair, [c for _, c in contenders])
        while len(self.waiting) > WAITING:
            del self.waiting[next(iter(self.waiting))]
        return key, pair, files

    def vote(self, key: str, verdict: str, who: str) -> str:
        """Write a judgement down, once; gives what to say of it."""
        if key not in self.waiting:
            raise UserError("this pair is judged already: press Next pair")
        pair, contenders = self.waiting.pop(key)
        if verdict == "skip":
            return "skipped · "
        judge(file_of(self.form.seats[0].home), pair, contenders, verdict, who)
        self.judged += 1
        return f"{verdict} · "

    def counts(self) -> tuple[str, list[list[str]]]:
        """All judgements of the file: a line, and a row for each two contenders and condition."""
        try:
            rows = read_rows(file_of(self.form.seats[0].home))
        except ValueError as error:
            return str(error), []
        return summary(rows), [t.said() for t in tally(rows)]
