"""How a page shows a file that a view wrote: one table from its suffix to a reader and a macro.

Read: `SHOWN`. A new format is one row here and one macro in the report's parts.html. What a folder
holds may be foreign: every reader is bounded, and a file that cannot be read says why.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from genlab.views.texts import RULE
from genlab.views.wav import regions

TEXT_BYTES, PICTURE_BYTES, PICTURE_PIXELS = 400_000, 12 * 2**20, 50_000_000
MIDI_BYTES = 2**20
SOUND_BYTES, PLAYERS = 16 * 2**20, 12  # of a file; its sounds that a page plays
LOADED = 4_000_000  # pixels of a picture that is decoded to see that it is whole
ROWS, COLUMNS = 13, 30  # of a table, its head among them
SHEET = 600  # pixels across, from which a picture is a sheet: panels and words, not a few samples


@dataclass(frozen=True)
class Picture:
    """An image as a data: URI; `width` in CSS pixels is a whole multiple of its own pixels."""

    uri: str
    width: int
    height: int
    enlarged: bool


@dataclass(frozen=True)
class Drawn:
    """What a macro of parts.html is given: its name and its value; or why there is nothing."""

    macro: str = ""
    value: Any = None
    problem: str = ""
    beside: Drawn | None = None  # a file of the same name that says more: what is seen, to hear

    @property
    def wide(self) -> bool:
        """Whether it is to be read, and a thumbnail of a few letters' width would show nothing."""
        sheet = self.macro == "picture" and self.value.width >= SHEET and not self.value.enlarged
        return sheet or self.macro in ("texts", "table")

    @property
    def texts(self) -> tuple[str, ...]:
        return self.value if self.macro == "texts" else ()


def picture(path: Path, target: int) -> Picture:
    from PIL import Image

    data = _bytes(path, PICTURE_BYTES)
    with Image.open(BytesIO(data), formats=["PNG", "GIF"]) as image:
        kind = str(image.format).lower()
        width, height = image.size
        if width * height > PICTURE_PIXELS:
            raise ValueError(f"{width} x {height} pixels, over {PICTURE_PIXELS:,}")
        if width * height <= LOADED:
            image.load()  # a torn file is found here
    scale = max(1, target // width)
    uri = f"data:image/{kind};base64," + base64.b64encode(data).decode()
    return Picture(uri, width * scale, height * scale, scale > 1)


def texts(path: Path, _: int) -> tuple[str, ...]:
    return tuple(_text(path).split(RULE))


def table(path: Path, _: int) -> list[list[str]]:
    rows = csv.reader(io.StringIO(_text(path).lstrip("\ufeff")))
    return [row[:COLUMNS] for _, row in zip(range(ROWS), rows)]


def sound(path: Path, _: int) -> list[tuple[str, str]]:
    """(name, data: URI) of each sound that the file holds; a single one may have no name."""
    data = _bytes(path, SOUND_BYTES)
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("it is no WAV file")
    found = regions(data)[:PLAYERS]
    return [(n, "data:audio/wav;base64," + base64.b64encode(d).decode()) for n, d in found]


def midi(path: Path, _: int) -> tuple[str, str]:
    """A file's name, and the file as a data: URI to be saved from the page."""
    data = _bytes(path, MIDI_BYTES)
    if data[:4] != b"MThd":
        raise ValueError("it is no MIDI file")
    return path.name, "data:audio/midi;base64," + base64.b64encode(data).decode()


def elsewhere(path: Path, _: int) -> str:
    """What a page cannot hold without running or loading something: only its name."""
    return path.name


@dataclass(frozen=True)
class Format:
    """How files of a suffix are shown: the reader, a macro of parts.html for what it gives.

    `film`: looks written so are pictures of one size, and make a film (film.py).
    """

    read: Callable[[Path, int], Any]
    macro: str
    film: bool = False


# of two files with one name the first is shown
SHOWN = {
    ".png": Format(picture, "picture", film=True),
    ".gif": Format(picture, "picture"),
    ".txt": Format(texts, "texts"),
    ".csv": Format(table, "table"),
    ".wav": Format(sound, "sound"),
    ".mid": Format(midi, "midi"),
    ".html": Format(elsewhere, "elsewhere"),
}
BESIDE = (".gif", ".mid", ".wav")  # what is shown below another file of its name


def read_drawn(run: Path, path: Path, *, width: int) -> Drawn:
    """The file at `path` of a run, a picture enlarged to at most `width` CSS pixels."""
    place = inside(run, path)
    if place is None:
        return Drawn(problem="not drawn")
    form = SHOWN.get(path.suffix, SHOWN[".html"])
    beside = None
    below = BESIDE[BESIDE.index(path.suffix) + 1 :] if path.suffix in BESIDE else BESIDE
    for suffix in below:
        if beside is None and inside(run, path.with_suffix(suffix)):
            beside = read_drawn(run, path.with_suffix(suffix), width=width)
    try:
        return Drawn(form.macro, form.read(place, width), beside=beside)
    except Exception as error:  # a damaged picture has many ways to fail, and a report has none
        return Drawn(problem=f"{path.name} could not be shown: {error}")


def read_named(run: Path, stem: str, *, width: int) -> Drawn | None:
    """The file that is called `stem` with a suffix that a page shows; None where there is none."""
    for suffix in SHOWN:
        if inside(run, run / f"{stem}{suffix}") is not None:
            return read_drawn(run, run / f"{stem}{suffix}", width=width)
    return None


def inside(run: Path, path: Path) -> Path | None:
    """The file, if there is one and it lies in the run folder: no link leads out of it."""
    try:
        real = path.resolve()
        return real if real.is_file() and real.is_relative_to(run.resolve()) else None
    except (OSError, ValueError, RuntimeError):
        return None


def _bytes(path: Path, most: int) -> bytes:
    if (size := path.stat().st_size) > most:
        raise ValueError(f"{size / 2**20:.0f} MiB, over {most / 2**20:.0f}")
    return path.read_bytes()


def _text(path: Path) -> str:
    with path.open("rb") as f:
        return f.read(TEXT_BYTES).decode("utf-8", "replace")
