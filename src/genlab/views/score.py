"""Pieces of music: a picture of their piano rolls, and a MIDI file to hear them.

Read: `notes_of` makes notes of frames; `Score.write` is the two files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import View, log_picture
from genlab.views.midi import Note, write_midi

LOWEST = 21  # MIDI number of the first key
SHOWN, COLUMNS = 12, 3  # pieces in the picture
BAR = 4  # quarters; of the lines alone, for frames know no metre
BARS = 16  # of a piece in the picture
SEMITONE, QUARTER = 4, 6  # pixels
LEFT, TOP, BELOW, GAP = 26, 18, 18, 8  # of a panel, around it
COLOURS = ("#1f6feb", "#d0702a")  # pieces; of a pair the other
PAPER, WHITE, SHADE, LINE, INK = "#f7f7f7", "#ffffff", "#f1f1f3", "#d9d9dd", "#333333"
BLACK = (1, 3, 6, 8, 10)  # keys of an octave that are shaded


class Score(View):
    """Pieces [T, K] bool: stem.png shows the first of them, stem.mid holds all."""

    suffix = ".png"
    most = measured = 100
    beside = {".mid": "to hear"}

    def __init__(self, *, frames_per_quarter: int = 1, tempo: int = 100) -> None:
        """`tempo` in quarters a minute."""
        self.frames_per_quarter, self.tempo = frames_per_quarter, tempo

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        pieces = [self.notes(item) for item in items]
        write_midi(pieces, path.with_suffix(".mid"), tempo=self.tempo)
        names = captions or [f"{i}" for i in range(len(items))]
        draw(pieces[:SHOWN], names[:SHOWN], path)

    def pairs(self, mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray], path: Path) -> bool:
        """Each piece above the training piece that it shares most with."""
        pairs = list(zip(mine, theirs))[: SHOWN // 2]
        pieces = [self.notes(item) for pair in pairs for item in pair]
        names = [f"{i} {what}" for i in range(len(pairs)) for what in ("sample", "nearest")]
        draw(pieces, names, path, columns=2)
        return True

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)

    def notes(self, item: np.ndarray) -> list[Note]:
        """The notes of a piece, in quarters."""
        per = self.frames_per_quarter
        return [
            Note(start / per, length / per, LOWEST + key) for start, length, key in notes_of(item)
        ]


def notes_of(roll: np.ndarray) -> list[tuple[int, int, int]]:
    """Frames [T, K] as (first frame, frames, key), in order.

    A key that sounds in frames in a row is one note: frames do not tell repeated ones apart.
    """
    silence = np.zeros((1, roll.shape[1]), bool)
    change = np.diff(np.concatenate([silence, roll, silence]).astype(np.int8), axis=0)
    (on, key), (off, _) = (np.nonzero(sign == change.T)[::-1] for sign in (1, -1))
    return sorted(zip(on.tolist(), (off - on).tolist(), key.tolist()))


def draw(
    pieces: Sequence[Sequence[Note]], names: Sequence[str], path: Path, *, columns: int = COLUMNS
) -> None:
    """A panel a piece, to the pixel: pitch upwards with the octaves' names, bars to the right."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=10)
    pitches = [n.pitch for notes in pieces for n in notes] or [60]
    low, high = min(pitches) - 1, max(pitches) + 1
    last = max((n.start + n.length for notes in pieces for n in notes), default=BAR)
    width = QUARTER * int(min(-(-last // BAR), BARS) * BAR)
    height = SEMITONE * (high - low + 1)
    columns = max(1, min(columns, len(pieces)))
    across, down = LEFT + width + GAP, TOP + height + BELOW
    size = (columns * across + GAP, max(1, -(-len(pieces) // columns)) * down + GAP)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, (notes, name) in enumerate(zip(pieces, names)):
        left, top = i % columns * across + LEFT, i // columns * down + TOP
        pen.text((left, top - TOP + 3), _short(name or "silence"), fill=INK, font=font)
        pen.rectangle((left, top, left + width, top + height), fill=WHITE)
        for p in range(low, high + 1):
            y = top + SEMITONE * (high - p)
            if p % 12 in BLACK:
                pen.rectangle((left, y, left + width, y + SEMITONE - 1), fill=SHADE)
            if p % 12 == 0:
                below = y + SEMITONE - 1
                pen.line((left, below, left + width, below), fill=LINE)
                pen.text((left - 4, y + SEMITONE // 2), name_of(p), INK, font, anchor="rm")
        for bar in range(width // (QUARTER * BAR) + 1):
            x = left + bar * BAR * QUARTER
            pen.line((x, top, x, top + height), fill=LINE)
            if bar % 4 == 0:
                pen.text((x, top + height + 2), str(bar + 1), INK, font, anchor="ma")
        colour = COLOURS[i % 2] if columns == 2 else COLOURS[0]
        for n in notes:
            x, y = left + round(QUARTER * n.start), top + SEMITONE * (high - n.pitch)
            end = min(left + round(QUARTER * (n.start + n.length)), left + width)
            if x < end:  # a pixel of paper between two notes in a row
                pen.rectangle((x + 1, y, max(x + 1, end - 1), y + SEMITONE - 1), fill=colour)
    sheet.save(path, optimize=True)


def name_of(pitch: int) -> str:
    """60 -> C4."""
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def _short(name: str) -> str:
    return name if len(name) <= 48 else name[:47] + "…"
