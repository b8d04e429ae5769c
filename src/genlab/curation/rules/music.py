"""Rules of tunes: how many notes, how long, how many pitches; the same tune in another key.

Read: `Notes`, then `Melody`, what `Near` looks at. A tune is its chords one after another: from one
to the next how far the lowest note goes and how much time passes, and what stands above it. So the
key is no difference, nor tempo, loudness or the file's ticks.
"""

from __future__ import annotations

import numpy as np

from genlab.curation.base import Each, Example, Leave
from genlab.curation.kinds.tunes import TuneFile
from genlab.curation.rules.duplicates import Runs

GRID = 24  # places of a quarter, by which notes begin together


class Notes(Each):
    """Too few or too many notes, too short or too long, or hardly a melody."""

    kinds = ("music",)

    def __init__(
        self, *, least: int = 16, most: int = 20_000, quarters: float = 4_000.0, pitches: int = 3
    ) -> None:
        """`quarters` at most; `pitches`: different ones at the least."""
        if not 0 < least <= most or quarters <= 0 or pitches < 1:
            raise ValueError(f"least={least} most={most} quarters={quarters} pitches={pitches}")
        self.least, self.most, self.quarters, self.pitches = least, most, quarters, pitches

    def __call__(self, example: Example) -> Leave | None:
        notes = example.data.tune.notes
        if not self.least <= len(notes) <= self.most:
            return Leave(f"under {self.least}" if len(notes) < self.least else f"over {self.most}",
                         len(notes))  # fmt: skip
        if (last := float((notes[:, 0] + notes[:, 1]).max())) > self.quarters:
            return Leave(f"over {self.quarters:g} quarters", round(last, 1))
        if (found := len(np.unique(notes[:, 2]))) < self.pitches:
            return Leave(f"under {self.pitches} pitches", found)
        return None


class Melody(Runs):
    """Runs of chords of a tune, as `Words` has it of runs of words."""

    kinds = ("music",)

    def __init__(self, *, n: int = 6, bands: int = 14, rows: int = 4, least: float = 0.5) -> None:
        super().__init__(n=n, bands=bands, rows=rows, least=least)

    def runs_of(self, data: TuneFile) -> list[str]:
        told = chords(data.tune.notes)
        return [" ".join(told[i : i + self.n]) for i in range(max(1, len(told) - self.n + 1))]


def chords(notes: np.ndarray) -> list[str]:
    """What follows what in notes [N, 4], whatever the key: time, lowest note, what is above it."""
    starts = np.rint(notes[:, 0] * GRID).astype(int)
    found, before = [], None
    for start in np.unique(starts):
        pitches = np.unique(notes[starts == start, 2].astype(int))
        if before is not None:
            above = ",".join(map(str, pitches - pitches[0]))
            found.append(f"{start - before[0]}:{pitches[0] - before[1]}:{above}")
        before = (start, pitches[0])
    return found
