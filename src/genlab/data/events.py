"""Pieces of music as tokens: REMI's events (Huang & Yang 2020, arXiv 2002.00212), and back exactly.

Read: `Piece` (notes on a grid), `Remi.encode`, `Remi.decode`. A piece is its bars, one after
another: Bar (its length in eighths), then for each place where notes begin Position (where in the
bar), and for each note from low to high Pitch and Duration (and Velocity where it is asked for).

Why REMI and not events of performances (note on, note off, time shift; Oore et al. 2018): a note's
length is one token beside it, so no note is left hanging; bars and places are told and not added
up, which is what a model of written music has to know. It knows no time but the grid: a rubato of a
recorded performance is lost. Of REMI tempo and chords are left out; the lengths of bars are added.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from genlab.data.midi import EIGHTHS, Tune, bars_of

END = 0  # stands before a piece, and after its last note
BARS = 4096  # of a piece
PITCHES = 128


@dataclass(frozen=True)
class Piece:
    """Notes on a grid, in order of start and pitch; no two of one start and pitch, none that
    sounds over the next of its pitch. `bars`: lengths in eighths, up to the last start's."""

    notes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.int64))
    # [N, 4]: start and length in units of the grid, pitch, velocity from 0 on
    bars: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Piece)
            and self.bars == other.bars
            and np.array_equal(self.notes, other.notes)
        )


class Remi:
    """A vocabulary of events: `decode(encode(piece)) == piece` for every piece on its grid."""

    def __init__(self, *, grid: int, longest: int, velocities: int) -> None:
        """`grid`: units of a quarter note; `longest`: quarters of a note, longer ones are cut;
        `velocities`: how many are told apart, 1 for none."""
        for key, value, ok, said in (
            ("grid", grid, grid in range(2, 97, 2), "an even number, 2 to 96"),
            ("longest", longest, longest in range(1, 65), "a whole number, 1 to 64"),
            ("velocities", velocities, velocities in range(1, 33), "a whole number, 1 to 32"),
        ):
            if not ok:
                raise ValueError(f"data.{key}={value}: allowed is {said}")
        self.grid, self.velocities = grid, velocities
        self.longest, self.places = longest * grid, EIGHTHS * grid // 2
        self.bar = 1  # the first id of each kind
        self.position = self.bar + EIGHTHS
        self.pitch = self.position + self.places
        self.duration = self.pitch + PITCHES
        self.velocity = self.duration + self.longest
        self.vocab = self.velocity + (velocities if velocities > 1 else 0)

    def quantised(self, tune: Tune) -> Piece:
        """The nearest piece on the grid, from the bar of its first note on; a note lasts a unit at
        least. ValueError where it has over BARS bars."""
        start = np.rint(tune.notes[:, 0] * self.grid)
        length = np.rint(tune.notes[:, 1] * self.grid).clip(1, self.longest)
        velocity = (tune.notes[:, 3] * self.velocities) // 128
        notes = np.stack([start, length, tune.notes[:, 2], velocity], 1).astype(np.int64)
        if not len(notes):
            return Piece()
        bars = bars_of(tune.metres, start.max() / self.grid)
        if len(bars) > BARS:
            raise ValueError(f"{len(bars):,} bars, {BARS:,} at most")
        ends = np.cumsum(bars) * self.grid // 2
        empty = int(np.searchsorted(ends, start.min(), side="right"))
        notes[:, 0] -= ends[empty - 1] if empty else 0
        return Piece(tidied(notes), tuple(bars[empty:]))

    def encode(self, piece: Piece) -> np.ndarray:
        """The ids of a piece, without <|end|> [T] int64."""
        ids: list[int] = []
        notes, i, at = piece.notes.tolist(), 0, 0
        for bar in piece.bars:
            ids.append(self.bar + bar - 1)
            end, place = at + bar * self.grid // 2, -1
            while i < len(notes) and notes[i][0] < end:
                start, length, pitch, velocity = notes[i]
                if start != place:
                    ids.append(self.position + start - at)
                    place = start
                ids += [self.pitch + pitch, self.duration + length - 1]
                if self.velocities > 1:
                    ids.append(self.velocity + velocity)
                i += 1
            at = end
        return np.array(ids, np.int64)

    def decode(self, ids: np.ndarray) -> Piece:
        """The piece that ids spell, up to the first <|end|>."""
        return self.read(ids)[0]

    def read(self, ids: np.ndarray) -> tuple[Piece, int]:
        """The piece, and how many ids stand where none of their kind may: they are passed over."""
        notes: list[list[int]] = []
        bars: list[int] = []
        slips, at, end, place, open_ = 0, 0, 0, -1, []
        wanted = 4 if self.velocities > 1 else 3
        for n in np.asarray(ids).tolist():
            if n == END:
                break
            if n >= self.duration:  # of a note that has a pitch, and nothing more of its kind
                kind = 1 if n < self.velocity else 3
                ok = bool(open_) and len(open_) == (2 if kind == 1 else 3)
                slips += not ok
                if ok:
                    open_.append(n - (self.duration - 1 if kind == 1 else self.velocity))
                    if len(open_) == wanted:
                        start, pitch, length, *loud = open_
                        notes.append([start, length, pitch, *(loud or [0])])
                        open_ = []
                continue
            slips, open_ = slips + bool(open_), []  # a note without a length is none
            if n >= self.pitch:
                if place < 0:
                    slips += 1
                else:
                    open_ = [place, n - self.pitch]
            elif n >= self.position:
                new = at + n - self.position
                ok = bool(bars) and max(place, at - 1) < new < end
                slips += not ok
                place = new if ok else place
            else:
                bars.append(n - self.bar + 1)
                at, place = end, -1
                end = at + bars[-1] * self.grid // 2
        found = tidied(np.array(notes, np.int64).reshape(-1, 4))
        ends = np.cumsum(bars, dtype=np.int64) * self.grid // 2
        used = int(np.searchsorted(ends, found[-1, 0], side="right")) + 1 if len(found) else 0
        return Piece(found, tuple(bars[:used])), slips

    def transposed(self, ids: np.ndarray, semitones: np.ndarray) -> np.ndarray:
        """ids [B, T] with every pitch moved by semitones [B], as far as the keys go."""
        at = (ids >= self.pitch) & (ids < self.duration)
        low = np.where(at, ids - self.pitch, PITCHES).min(1)
        high = np.where(at, ids - self.pitch, -1).max(1)
        moved = np.clip(semitones, -low, np.maximum(PITCHES - 1 - high, -low))
        return np.where(at, ids + moved[:, None], ids)


def tidied(notes: np.ndarray) -> np.ndarray:
    """Notes [N, 4] in order; of two of one start and pitch the longer, a note ends where the next
    of its pitch begins."""
    notes = notes[np.lexsort((-notes[:, 1], notes[:, 0], notes[:, 2]))]  # by pitch, start, longest
    if len(notes):
        same = (notes[1:, 2] == notes[:-1, 2]) & (notes[1:, 0] == notes[:-1, 0])
        notes = notes[np.concatenate([[True], ~same])]
        room = np.where(notes[1:, 2] == notes[:-1, 2], notes[1:, 0] - notes[:-1, 0], 2**40)
        notes[:-1, 1] = np.minimum(notes[:-1, 1], room)
    return notes[np.lexsort((notes[:, 2], notes[:, 0]))]
