"""Pieces of music as notes in bars: the files of score.py, with the lines of their own bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from genlab.views.midi import Note
from genlab.views.score import Score


class Played(NamedTuple):
    """A piece: its notes in quarters, and its bars' lengths in eighths."""

    notes: list[Note]
    bars: list[int]


class Tunes(Score):
    """Pieces: stem.png shows the first of them, stem.mid holds all, stem.wav plays a few."""

    def __init__(self, *, tempo: int = 100) -> None:
        """`tempo` in quarters a minute."""
        super().__init__(tempo=tempo)

    def notes(self, item: Played) -> list[Note]:
        return item.notes

    def bars(self, items: Sequence[Played]) -> list[list[int]]:
        return [item.bars for item in items]
