"""Music: a folder of MIDI files, with classes by folder or metadata.jsonl beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from genlab.curation.base import Raw
from genlab.curation.kinds.files import FileKind
from genlab.curation.kinds.pictures import as_uri
from genlab.data import midi

PLOT = (320, 96)  # pixels of the page's piano rolls
SHOWN = 64  # quarters of them


@dataclass(frozen=True, slots=True)
class TuneFile:
    """A MIDI file's bytes, and what they say."""

    contents: bytes
    tune: midi.Tune


class Tunes(FileKind):
    """A tune is written as the file that it was, byte by byte."""

    name = "music"
    noun: ClassVar[str] = "tunes"
    endings = midi.ENDINGS
    suffix = ".mid"

    def open(self, raw: Raw) -> TuneFile:
        with open(raw.source, "rb") as f:
            return self.parse(f.read(midi.BYTES + 1))

    def dump(self, data: TuneFile) -> bytes:
        return data.contents

    def parse(self, contents: bytes) -> TuneFile:
        return TuneFile(contents, midi.tune_of(contents))

    def packed(self, data: TuneFile) -> bytes:
        return data.contents

    def shown(self, data: TuneFile, beside: Any = None) -> str:
        """Its piano roll, of the first 64 quarters at most."""
        from PIL import Image, ImageDraw

        width, height = PLOT
        image = Image.new("RGB", PLOT, "white")
        draw, notes = ImageDraw.Draw(image), data.tune.notes
        end = float(np.clip((notes[:, 0] + notes[:, 1]).max(), 1, SHOWN))
        low, high = notes[:, 2].min() - 2, notes[:, 2].max() + 2
        for start, length, pitch, _ in notes[notes[:, 0] < end]:
            y = (height - 3) * (1 - (pitch - low) / (high - low))
            left, right = (width * t / end for t in (start, start + length))
            draw.rectangle((left, y, max(left + 1, right - 1), y + 2), fill=(31, 119, 180))
        return as_uri(image)

    @property
    def option(self) -> dict[str, str]:
        return {"data": "midi_folder"}
