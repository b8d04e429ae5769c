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
BAR = 4  # quarters; of the grid alone, for frames know no metre
BARS = 16  # of a piece in the picture
COLOURS = ("#1f6feb", "#d0702a")  # pieces; of a pair the other


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
    """A panel a piece: pitch upwards with the octaves' names, bars to the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import PatchCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    columns = max(1, min(columns, len(pieces)))
    rows = max(1, -(-len(pieces) // columns))
    figure = Figure(figsize=(3.7 * columns, 1.75 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    pitches = [n.pitch for notes in pieces for n in notes] or [60]
    low, high = min(pitches) - 2, max(pitches) + 3
    ends = [n.start + n.length for notes in pieces for n in notes]
    last = min(max(ends, default=BAR), BAR * BARS)
    octaves = [p for p in range(0, 128, 12) if low <= p <= high]
    for i, (notes, name) in enumerate(zip(pieces, names)):
        axes = figure.add_subplot(rows, columns, i + 1)
        boxes = [Rectangle((n.start, n.pitch - 0.45), n.length, 0.9) for n in notes]
        colour = COLOURS[i % 2] if columns == 2 else COLOURS[0]
        axes.add_collection(PatchCollection(boxes, facecolor=colour, edgecolor="white", lw=0.4))
        axes.set(xlim=(0, last), ylim=(low, high))
        axes.set_yticks(octaves, [name_of(p) for p in octaves])
        bars = np.arange(0, last + 1, BAR)
        axes.set_xticks(
            bars, [str(b // BAR + 1) if b // BAR % 4 == 0 else "" for b in bars.astype(int)]
        )
        axes.tick_params(labelsize=6, length=0, pad=2)
        axes.grid(color="#e4e4e4", lw=0.5)
        axes.set_axisbelow(True)
        axes.set_title(_short(name), fontsize=7, loc="left", pad=2, parse_math=False)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        if not notes:
            axes.text(last / 2, (low + high) / 2, "silence", ha="center", fontsize=7)
    if pieces:
        figure.supxlabel("bars of four quarters", fontsize=7)
    figure.savefig(path)


def name_of(pitch: int) -> str:
    """60 -> C4."""
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def _short(name: str) -> str:
    return name if len(name) <= 48 else name[:47] + "…"
