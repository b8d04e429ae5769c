"""The page: the form on the left; results side by side, blind pairs and the history on the right.

Read: `build` lays it out; `Draws` draws for it, one at a time; blind.py has the tab of pairs. All
that runs, data and files say goes into components that show text as text.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from genlab.runs.playground import blind
from genlab.runs.playground.controls import QUIET, Result
from genlab.runs.playground.drawing import Asked, Drawn, Glance, Stopped, watched
from genlab.runs.playground.form import Form, Order
from genlab.runs.playground.history import keep, read_history
from genlab.runs.playground.seats import Seat
from genlab.runs.say.answer import explain
from genlab.shown import duration, one_line

HERE = Path(__file__).parent
HEAD = ["when", "run", "asked", "num", "seed", "sampler"]
DRAWING = {"concurrency_id": "drawing", "concurrency_limit": 1}


class Draws:
    """Draws for the page: one draw at a time, which Stop ends at the next call of a network."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.stop = scratch, threading.Event()

    def of(self, seat: Seat, asked: Asked) -> Iterator[Glance | Drawn]:
        self.stop.clear()
        yield from watched(seat, asked, self.stop)

    def look(
        self, seat: Seat, items: Any, captions: list[str] | None = None, *, name: str = "look"
    ) -> Path:
        """A file to look at, for the page alone; the next one of its name takes its place."""
        return seat.data.view.save(items, self.scratch / name, captions)


def said(text: str = "", *, wrong: bool = False) -> Any:
    """A line under a result: how far it is, or what is wrong."""
    return gr.update(value=text, visible=True, elem_classes="wrong" if wrong else "said")


def same(num: int) -> list[Any]:
    """So many components as they are; new objects each time, for gradio takes them apart."""
    return [gr.update() for _ in range(num)]


def line(**given: Any) -> Any:
    """A line of text that looks like one."""
    return gr.Textbox(container=False, show_label=False, interactive=False, lines=1, max_lines=4,
                      elem_classes="said", **given)  # fmt: skip


def headline(text: str = "", **given: Any) -> Any:
    """What stands over a result."""
    return gr.Textbox(text, container=False, show_label=False, interactive=False, lines=1,
                      max_lines=4, elem_classes="title", **given)  # fmt: skip


def build(seats: Sequence[Seat], *, scratch: Path, who: str, device: str) -> gr.Blocks:
    """The page for these runs; `scratch`: a folder that goes with it."""
    draws = Draws(scratch)
    with gr.Blocks(
        title="genlab play", analytics_enabled=False, fill_width=True, delete_cache=(600, 3600)
    ) as page:
        names = ", ".join(dict.fromkeys(s.name for s in seats))
        with gr.Row(elem_id="head"):
            gr.Markdown("genlab **play**", elem_id="brand", container=False)
            line(value=one_line(f"{names} · {device}"), elem_id="what")
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300, elem_id="form"):
                form = Form(seats)
            with gr.Column(scale=5, min_width=320), gr.Tabs(elem_id="tabs"):
                with gr.Tab("Results", id="results"):
                    results = _results(seats)
                with gr.Tab("Blind A/B", id="blind"):
                    blind.build(form, draws, who=who)
                with gr.Tab("History", id="history") as tab:
                    table = _history(form)
        _wire(form, draws, results, table)
        page.load(lambda: history_of(seats), None, table, **QUIET)
        tab.select(lambda: history_of(seats), None, table, **QUIET)
    return page.queue(default_concurrency_limit=4, api_open=False)


def _results(seats: Sequence[Seat]) -> list[tuple[Any, Result]]:
    found = []
    with gr.Row(equal_height=False):
        for seat in seats:
            with gr.Column(min_width=280):
                headline(one_line(f"{seat.name} · {seat.model.clock.examples:,} examples seen"))
                status = line(value="nothing drawn yet: press Draw")
                found.append((status, Result(seat)))
    return found


def _wire(form: Form, draws: Draws, results: list[tuple[Any, Result]], table: Any) -> None:
    shown = [c for status, result in results for c in (status, *result.parts)]

    def draw(*values: Any) -> Iterator[list[Any]]:
        """Each run in turn; what the others show stays.

        Of two updates that follow each other closely a browser may show the second alone: so all
        is said again at the end.
        """
        order, place, last = form.order(values), 0, same(len(shown))
        for number, (seat, (_, result)) in enumerate(zip(form.seats, results)):
            size = 1 + len(result.parts)
            for update in draw_one(draws, seat, number, order, result):
                last[place : place + size] = map(copy.copy, update)  # gradio takes it apart
                after = same(len(shown) - place - size)
                yield [gr.update(interactive=False), *same(place), *update, *after, gr.update()]
            time.sleep(PAUSE)
            if last[place]["value"] == STOPPED:
                break
            place += size
        yield [gr.update(interactive=True), *last, history_of(form.seats)]

    outputs = [form.draw, *shown, table]
    form.draw.click(draw, form.inputs, outputs, **QUIET, **DRAWING, trigger_mode="once")
    form.stop.click(draws.stop.set, None, None, **QUIET, queue=False)


STOPPED, PAUSE = "stopped", 0.1  # seconds in which a browser shows an update


def draw_one(
    draws: Draws, seat: Seat, number: int, order: Order, result: Result
) -> Iterator[list[Any]]:
    """What a seat shows while it draws: a line, and its result's components."""
    began, parts = time.perf_counter(), len(result.parts)
    try:
        yield [said("drawing"), *same(parts)]
        changes, asked = order.changes(number), order.asked(seat)
        sampler = seat.take(changes)
        for glance in draws.of(seat, asked):
            if isinstance(glance, Drawn):
                seconds = time.perf_counter() - began
                path = keep(seat, asked, changes, sampler, glance, seconds=seconds)
                told = f"{asked.num:,} in {duration(seconds)}, kept as play/{path.name}"
                yield [said(told), *result.value(path)]
            elif glance.items is not None:
                path = draws.look(seat, glance.items)
                yield [said(glance.said), *result.value(path)]
            else:
                yield [said(glance.said), *same(parts)]
    except Stopped:
        yield [said(STOPPED), *same(parts)]
    except Exception as error:  # a mistake in the form, or a fault: one line where it was asked
        yield [said(explain(error, [])[0], wrong=True), *same(parts)]


# --- history -------------------------------------------------------------------------------------


def rows_of(seats: Sequence[Seat]) -> list[tuple[Seat, dict[str, Any]]]:
    """The newest rows of all runs on the page, the newest first; a folder's once."""
    homes = {seat.home.resolve(): seat for seat in reversed(seats)}
    by_checkpoint = {(s.home.resolve(), s.checkpoint): s for s in reversed(seats)}
    found = []
    for home, seat in homes.items():
        for row in read_history(seat.home):
            found.append((by_checkpoint.get((home, row["checkpoint"]), seat), row))
    return sorted(found, key=lambda item: item[1]["time"], reverse=True)


def history_of(seats: Sequence[Seat]) -> list[list[str]]:
    return [told(seat, row) for seat, row in rows_of(seats)] or [[""] * len(HEAD)]


def told(seat: Seat, row: dict[str, Any]) -> list[str]:
    """A row of history as people read it."""
    asked = ", ".join(
        "part of a picture" if key == "given" and Path(word).suffix == ".png" else f"{key}={word}"
        for key, word in row["asked"].items()
        if key != "mask"
    )
    knobs = ", ".join("=".join(change).removeprefix("sampler.") for change in row["sampler"])
    when = row["time"][:19].replace("T", " ")
    seed = f"{row['seed']}" + (f" from {row['first']}" if row["first"] else "")
    cells = [
        when,
        seat.name,
        asked or "–",
        str(row["num"]),
        seed,
        knobs or "as trained",
    ]
    return [one_line(cell)[:300] for cell in cells]


def _history(form: Form) -> Any:
    line(
        value="Kept in play/history.jsonl of each run. Click a row to ask it again: the same file."
    )
    table = gr.Dataframe(
        headers=HEAD, datatype="str", type="array", interactive=False, wrap=True, buttons=[],
        show_label=False, column_widths=[160, 175, 230, 60, 60, 180], max_height=640,
        elem_id="rows",
    )  # fmt: skip

    def again(event: gr.SelectData) -> list[Any]:
        clicked = [str(cell) for cell in event.row_value]  # its place may be another, sorted
        rows = (item for item in rows_of(form.seats) if told(*item) == clicked)
        found = next(rows, None)
        return same(len(form.inputs)) if found is None else form.restored(*found)

    table.select(again, None, form.inputs, **QUIET)
    return table


# --- how it looks --------------------------------------------------------------------------------


def look() -> dict[str, Any]:
    """What gradio is given for the page's looks: fonts of the reader's own, no badge, no menu."""
    theme = gr.themes.Base(
        primary_hue="blue", neutral_hue="slate", radius_size="sm", spacing_size="sm",
        font=["system-ui", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"],
        font_mono=["system-ui", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"],  # of tables
    )  # fmt: skip
    return {
        "theme": theme,
        "css": (HERE / "page.css").read_text(),
        "head": '<script src="/keys.js"></script>',
        "footer_links": [],
    }


def app_of(page: gr.Blocks, *, scratch: Path) -> Any:
    """The ASGI app of the page, with its keys and its icon; nothing of the disk is served."""
    from fastapi import FastAPI
    from fastapi.responses import Response

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    keys = (HERE / "keys.js").read_text()

    @app.get("/keys.js")
    def _() -> Response:
        return Response(keys, media_type="text/javascript")

    icon = scratch / "icon.svg"
    icon.write_text(ICON)
    return gr.mount_gradio_app(
        app, page, path="/", allowed_paths=[], ssr_mode=False, run_history=False, mcp_server=False,
        enable_monitoring=False, pwa=False, max_file_size="32mb", show_error=False,
        favicon_path=str(icon), **look(),
    )  # fmt: skip


ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="3" fill="#2563eb"/>'
    '<path d="M5 4l7 4-7 4z" fill="#fff"/></svg>'
)
