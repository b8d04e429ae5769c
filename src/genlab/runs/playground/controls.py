"""Asks, knobs and results as gradio's components; what data say is text in them, never HTML.

Read: `ask_control` (one form of data/asks.py, one row of ASKS), `Panel` (the samplers of a run and
their knobs), `Result` (what a view has written, by its suffix: one row of SHOWN).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from genlab.data.asks import Ask, Choice, Line, Painted, Row
from genlab.runs.playground.history import keep_mask, keep_picture
from genlab.runs.playground.knobs import NONE, Knob, changes, typed
from genlab.runs.playground.seats import OWN, Seat
from genlab.runs.say.answer import explain
from genlab.runs.say.errors import UserError
from genlab.runs.settings.overrides import Change
from genlab.shown import visible

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
PAINT = "#e5484d"
LARGE = 480  # pixels that a small result is enlarged to
SIDE = 264  # pixels that a small picture is enlarged to, to be painted on
PAINTING = "Paint over what is to be drawn anew; the rest is kept."


@dataclass
class Control:
    """An ask on the page: its components, how their values are read, and how they are set."""

    ask: Ask
    inputs: list[Any]
    read: Callable[..., Any]  # the components' values -> the answer
    write: Callable[[dict[str, Any]], list[Any]]  # words of a row of history -> their values


def ask_control(ask: Ask, home: Path) -> Control:
    """The control of an ask; of a form that is not known here, a text."""
    kinds = (kind for kind in type(ask).__mro__ if kind in ASKS)
    return ASKS[next(kinds, Line)](ask, home)


def _choice(ask: Choice, home: Path) -> Control:
    names = [("all in turn", ""), *((visible(n), n) for n in dict.fromkeys(ask.options))]
    box = gr.Dropdown(names, value="", label=ask.label, filterable=len(names) > 12)
    return Control(ask, [box], lambda value: value, lambda words: [words.get(ask.key, "")])


def _line(ask: Ask, home: Path) -> Control:
    value, example = getattr(ask, "value", ""), getattr(ask, "example", "")
    box = gr.Textbox(value, label=ask.label, placeholder=example, lines=2, max_lines=8)
    return Control(ask, [box], lambda text: text, lambda words: [words.get(ask.key, "")])


def _row(ask: Row, home: Path) -> Control:
    table = gr.Dataframe(
        [[name, ""] for name in ask.names], headers=["column", "known value"], type="array",
        datatype="str", interactive=True, label=f"{ask.label} (blank: drawn)", static_columns=[0],
        row_count=len(ask.names), column_count=2, buttons=[], max_height=320,
        row_limits=(len(ask.names), len(ask.names)), column_limits=(2, 2),
    )  # fmt: skip

    def write(words: dict[str, Any]) -> list[Any]:
        given = json.loads(words.get(ask.key) or "{}")
        cells = given if isinstance(given, list) else [given.get(n) for n in ask.names]
        cells = [*cells, *[None] * len(ask.names)]
        return [[[n, "" if c is None else str(c)] for n, c in zip(ask.names, cells)]]

    return Control(ask, [table], lambda rows: [row[1] for row in rows], write)


def _painted(ask: Painted, home: Path) -> Control:
    """A picture's file comes in through the gate, and is painted on as the model will see it."""
    with gr.Row(elem_classes="tight"):
        file = gr.UploadButton(
            f"Keep part of a {ask.label}…", file_types=["image"], size="sm", min_width=160
        )
        gone = gr.Button("Without it", size="sm", visible=False, min_width=90)
    line = gr.Textbox(visible=False, container=False, show_label=False, interactive=False, lines=1,
                      max_lines=3, elem_classes="said")  # fmt: skip
    editor = gr.ImageEditor(
        show_label=False, sources=(), transforms=(), layers=False,
        type="numpy", format="png", visible=False, height=SIDE + 80, buttons=[],
        canvas_size=(SIDE, SIDE), brush=gr.Brush(colors=[(PAINT, 0.6)], color_mode="fixed"),
    )  # fmt: skip
    kept = gr.State(None)  # the picture as it was kept, by its file

    def come(path: str | None) -> list[Any]:
        if path is None:
            return [*none(), gr.update(visible=False)]
        try:
            name = keep_picture(home, path, ask.shape)
        except Exception as error:  # of a file of any kind
            return [*none(), gr.update(value=explain(error, [])[0], visible=True)]
        shown = gr.update(value=_canvas(name), visible=True)
        return [shown, str(name), gr.update(visible=True), gr.update(value=PAINTING, visible=True)]

    def none() -> list[Any]:
        return [gr.update(value=None, visible=False), None, gr.update(visible=False)]

    file.upload(come, file, [editor, kept, gone, line], **QUIET)
    gone.click(lambda: come(None), None, [editor, kept, gone, line], **QUIET)

    def read(drawing: dict[str, Any] | None, name: str | None, *_: Any) -> Any:
        if name is None:
            return None
        mask = painted(drawing, ask.shape)
        if not mask.any():
            raise UserError("picture: nothing is painted; paint over what is to be drawn anew")
        return name, str(keep_mask(home, ~mask))

    def write(words: dict[str, Any]) -> list[Any]:
        if "given" not in words or not Path(words["given"]).is_file():
            return none()
        value = _canvas(Path(words["given"]))
        if Path(words.get("mask", "")).is_file():
            over = 255 - _enlarged(Path(words["mask"]))[..., :1]
            colour = np.array([int(PAINT[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
            layer = np.concatenate([np.broadcast_to(colour, (*over.shape[:2], 3)), over], -1)
            value = {"background": value, "layers": [layer], "composite": None}
        return [gr.update(value=value, visible=True), words["given"], gr.update(visible=True)]

    return Control(ask, [editor, kept, gone], read, write)


ASKS: dict[type, Callable[[Any, Path], Control]] = {
    Choice: _choice, Line: _line, Row: _row, Painted: _painted
}  # fmt: skip


def _enlarged(path: Path) -> np.ndarray:
    """A picture of the run's own as pixels [H, W, 3], small ones enlarged by whole factors."""
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as image:
        pixels = np.asarray(image.convert("RGB"))
    times = max(1, SIDE // max(pixels.shape[:2]))
    return pixels.repeat(times, 0).repeat(times, 1)


_canvas = _enlarged


def painted(drawing: dict[str, Any] | None, shape: Sequence[int]) -> np.ndarray:
    """Which values [H, W] of a picture are painted over, at least a half of each; bool."""
    from PIL import Image

    layers = [np.asarray(layer) for layer in (drawing or {}).get("layers") or []]
    over = np.zeros(tuple(shape[1:]), bool)
    for layer in layers:
        if layer.ndim == 3 and layer.shape[2] == 4:
            alpha = Image.fromarray((layer[..., 3] > 0).astype(np.uint8) * 255)
            small = alpha.resize((shape[2], shape[1]), Image.Resampling.BOX)
            over |= np.asarray(small) >= 128
    return over


# --- a run's samplers ----------------------------------------------------------------------------


class Panel:
    """The samplers of a seat: which one, and its knobs; those of the others are out of sight."""

    def __init__(self, seat: Seat, *, title: str) -> None:
        self.seat, self.names = seat, list(seat.samplers)
        self.knobs: dict[str, Any] = {}
        first = seat.samplers[self.names[0]] if self.names else ()
        with gr.Accordion(title, open=False, visible=bool(self.names)):
            self.sampler = gr.Dropdown(
                self.names or [OWN], value=OWN, label="sampler", visible=len(self.names) > 1
            )
            with gr.Row():
                for name in self.names:
                    for knob in seat.samplers[name]:
                        if _key(knob) not in self.knobs:
                            there = next((k for k in first if _key(k) == _key(knob)), None)
                            made = _knob(there or knob, visible=there is not None)
                            self.knobs[_key(knob)] = made
        outputs = [*self.knobs.values()]
        if outputs:
            self.sampler.change(self.other, self.sampler, outputs, **QUIET)

    @property
    def inputs(self) -> list[Any]:
        return [self.sampler, *self.knobs.values()]

    def other(self, name: str) -> Any:
        """What the knobs show of another sampler."""
        found = self.shown(name, {})
        return found if len(found) != 1 else found[0]

    def shown(self, name: str, filled: Mapping[str, Any]) -> list[Any]:
        have = {_key(k): k for k in self.seat.samplers.get(name, ())}
        return [
            gr.update(visible=True, value=filled.get(have[key].name, _value(have[key])))
            if key in have else gr.update(visible=False)
            for key in self.knobs
        ]  # fmt: skip

    def read(self, values: Sequence[Any]) -> list[Change]:
        """The words of a command line for what stands in the controls."""
        name, by_key = values[0], dict(zip(self.knobs, values[1:]))
        knobs = self.seat.samplers.get(name, ())
        return self.seat.changes(name, changes(knobs, {k.name: by_key[_key(k)] for k in knobs}))

    def write(self, words: Sequence[Sequence[str]]) -> list[Any]:
        """The controls as a row of history has them."""
        said = dict(words)
        name = said.get("sampler", OWN)
        if name not in self.names:
            return [gr.update() for _ in self.inputs]
        filled = {}
        for knob in self.seat.samplers[name]:
            text = said.get(f"sampler.{knob.name}")
            if text is not None:
                filled[knob.name] = _typed_back(knob, text)
        return [name, *self.shown(name, filled)]


def _key(knob: Knob) -> str:
    return f"{knob.name}:{knob.form}"


def _typed_back(knob: Knob, text: str) -> Any:
    """What a control shows of a word of a command line."""
    if text == "null":
        return NONE if knob.form == "choice" else ""
    if knob.form == "bool":
        return text == "true"
    try:
        return text if knob.null else {"int": int, "float": float}.get(knob.form, str)(text)
    except ValueError:
        return _value(knob)


def _value(knob: Knob) -> Any:
    """What a control shows of the run's own value."""
    return _typed_back(knob, typed(knob.value)) if knob.null else knob.value


def _knob(knob: Knob, *, visible: bool) -> Any:
    """The control of a knob; its bounds stand beside its name, and are kept where it is drawn."""
    least, most = knob.least, knob.most
    bounds = f"{least:g} to {most:g}" if least is not None and most is not None else ""
    bounds = bounds or (f"from {least:g}" if least is not None else "")
    said = " or ".join(filter(None, (bounds, NONE if knob.null else "")))
    common = {"label": f"{knob.name} ({said})" if said else knob.name, "visible": visible}
    common |= {"min_width": 130}
    if knob.form == "bool":
        return gr.Checkbox(bool(knob.value), **common)
    if knob.form == "choice":
        options = [*([NONE] if knob.null else []), *knob.options]
        return gr.Dropdown(options, value=_value(knob), **common)
    if knob.form == "text" or knob.null:  # a control of numbers makes 0 of an empty one
        text = "" if knob.value is None else str(knob.value)
        return gr.Textbox(text, max_lines=1, placeholder=NONE if knob.null else None, **common)
    if least is not None and most is not None:
        return gr.Slider(least, most, value=knob.value, step=0.01, buttons=[], **common)
    return gr.Number(
        knob.value, **({"precision": 0} if knob.form == "int" else {"step": 0.1}), **common
    )


# --- results -------------------------------------------------------------------------------------


def _picture(**given: Any) -> Any:
    return gr.Image(type="pil", format="png", interactive=False, buttons=["download", "fullscreen"],
                    elem_classes="drawn", **given)  # fmt: skip


def _opened(path: Path) -> Any:
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as image:
        times = LARGE // max(image.size)  # small pictures by whole factors: each value is seen
        if times < 2:
            image.load()
            return image
        size = (image.width * times, image.height * times)
        return image.resize(size, Image.Resampling.NEAREST)


def _text(**given: Any) -> Any:
    return gr.Textbox(lines=12, max_lines=40, interactive=False, buttons=["copy"],
                      elem_classes="drawn", **given)  # fmt: skip


def _table(**given: Any) -> Any:
    return gr.Dataframe(datatype="str", interactive=False, type="array", wrap=False, max_height=420,
                        buttons=["copy", "fullscreen"], elem_classes="drawn", **given)  # fmt: skip


def _cells(path: Path) -> Any:
    with path.open(encoding="utf-8-sig", newline="") as f:
        head, *rows = list(csv.reader(f)) or [[]]
    return {"headers": [visible(h) for h in head], "data": [[visible(c) for c in r] for r in rows]}


def _sound(**given: Any) -> Any:
    return gr.Audio(interactive=False, type="numpy", elem_classes="drawn", **given)


def _waves(path: Path) -> tuple[int, np.ndarray]:
    import wave

    with wave.open(str(path)) as f:
        samples = np.frombuffer(f.readframes(f.getnframes()), f"<i{f.getsampwidth()}")
        return f.getframerate(), samples.reshape(-1, f.getnchannels())


# suffix -> (component, value of a file); a new format is one row here
SHOWN: dict[str, tuple[Callable[..., Any], Callable[[Path], Any]]] = {
    ".png": (_picture, _opened),
    ".txt": (_text, lambda path: visible(path.read_text(encoding="utf-8"))),
    ".csv": (_table, _cells),
    ".wav": (_sound, _waves),
}


class Result:
    """What is shown of a seat's samples: what its view writes, and the files beside it."""

    def __init__(self, seat: Seat) -> None:
        self.suffixes = [s for s in (seat.data.view.suffix, *seat.data.view.beside) if s in SHOWN]
        self.parts = [SHOWN[s][0](show_label=False, min_width=200) for s in self.suffixes]

    def value(self, path: Path) -> list[Any]:
        """The components' values for the files that are called as `path` is."""
        return [SHOWN[s][1](path.with_suffix(s)) for s in self.suffixes]
