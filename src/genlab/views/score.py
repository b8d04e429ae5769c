"""Pieces of music: a picture of their piano rolls, a MIDI file of all, and a WAV file of a few.

Read: `notes_of` makes notes of frames; `Score.write` is the three files (midi.py, synth.py). Pieces
that are notes already: tunes.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import NEAREST, View, log_picture
from genlab.views.midi import Note, write_midi
from genlab.views.synth import RATE, played
from genlab.views.wav import write_wav

LOWEST = 21  # MIDI number of the first key
SHOWN, COLUMNS = 12, 3  # pieces in the picture
HEARD = 4  # in the WAV file, which a page holds: 10 seconds of each
BAR = 4  # quarters; of the lines alone, for frames know no metre
BARS = 16  # of a piece in the picture
SEMITONE, QUARTER = 4, 6  # pixels
LEFT, TOP, BELOW, GAP = 26, 18, 18, 8  # of a panel, around it
COLOURS = ("#1f6feb", "#d0702a")  # pieces; of a pair the other
PAPER, WHITE, SHADE, LINE, INK = "#f7f7f7", "#ffffff", "#f1f1f3", "#d9d9dd", "#333333"
BLACK = (1, 3, 6, 8, 10)  # keys of an octave that are shaded


class Score(View):
    """Pieces [T, K] bool: stem.png shows the first of them, stem.mid holds all, stem.wav four."""

    suffix = ".png"
    most = measured = 100
    paired = SHOWN // 2
    beside = {".mid": "to hear", ".wav": "to play"}

    def __init__(self, *, frames_per_quarter: int = 1, tempo: int = 100) -> None:
        """`tempo` in quarters a minute."""
        self.frames_per_quarter, self.tempo = frames_per_quarter, tempo

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        pieces, bars = [self.notes(item) for item in items], self.bars(items)
        write_midi(pieces, path.with_suffix(".mid"), tempo=self.tempo, bars=bars)
        names = captions or [f"{i}" for i in range(len(items))]
        draw(pieces[:SHOWN], names[:SHOWN], path, bars=bars)
        self.play(pieces, names, path)

    def play(self, pieces: Sequence[Sequence[Note]], names: Sequence[str], path: Path) -> None:
        """The beginnings of the first pieces as sounds."""
        waves = [played(notes, tempo=self.tempo) for notes in pieces[:HEARD]]
        write_wav(waves, names[: len(waves)], path.with_suffix(".wav"), rate=RATE)

    def pairs(
        self,
        mine: Sequence[np.ndarray],
        theirs: Sequence[np.ndarray],
        path: Path,
        *,
        names: tuple[str, str] = NEAREST,
    ) -> bool:
        """Each piece above its other."""
        pairs = list(zip(mine, theirs))[: self.paired]
        pieces = [self.notes(item) for pair in pairs for item in pair]
        told = [f"{i} {what}" for i in range(len(pairs)) for what in names]
        bars = self.bars([item for pair in pairs for item in pair])
        draw(pieces, told, path, columns=2, bars=bars)
        self.play(pieces, told, path)
        return True

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)

    def bars(self, items: Sequence[Any]) -> list[list[int]] | None:
        """The lengths of each piece's bars in eighths; None where they know none."""
        return None

    def notes(self, item: Any) -> list[Note]:
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
    pieces: Sequence[Sequence[Note]],
    names: Sequence[str],
    path: Path,
    *,
    columns: int = COLUMNS,
    bars: Sequence[Sequence[int]] | None = None,
) -> None:
    """A panel a piece, to the pixel: pitch upwards with the octaves' names, bars to the right.

    `bars`: lengths in eighths; the last one's goes on, None draws a line every BAR quarters.
    """
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
        for bar, quarter in enumerate(lines(bars[i] if bars else (), width / QUARTER)):
            x = left + round(quarter * QUARTER)
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


def lines(bars: Sequence[int], most: float) -> list[float]:
    """Where bars begin, in quarters, up to `most`."""
    found = [0.0]
    while found[-1] <= most:
        at = len(found) - 1
        found.append(found[-1] + (bars[min(at, len(bars) - 1)] / 2 if bars else BAR))
    return found[:-1]


def name_of(pitch: int) -> str:
    """60 -> C4."""
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def _short(name: str) -> str:
    return name if len(name) <= 48 else name[:47] + "…"
