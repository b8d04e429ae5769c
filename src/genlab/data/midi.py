"""MIDI files of any origin: the one gate through which they come in, and what is taken of them.

Read: `opened` (or `tune_of`, of bytes) gives a `Tune`: its notes in quarters, and its bars. `check`
goes through a file's header, chunks and events before `symusic`, a C++ library, is handed the
bytes: of what lies there it would make gigabytes (a change of program a track), or say nothing
(tracks that are not there).
Standard MIDI File 1.0, formats 0 and 1, with ticks of a quarter note.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ENDINGS = (".mid", ".midi")
BYTES, EVENTS, TRACKS = 2**22, 500_000, 1024  # of a file; TRACKS: pairs of channel and program too
QUARTERS, NOTES = 2**14, 100_000  # how long a piece may be (an hour at 270 a minute)
EIGHTHS = 16  # of the longest bar; a metre beyond, or of no whole eighths, counts as 4/4
COMMON = 8  # eighths of a bar of 4/4, where nothing is said
META, END, TEMPO, METRE = 0xFF, 0x2F, 0x51, 0x58
SYSEX = 0xF0  # its other form, 0xF7, is refused: the library reads what it holds as events


@dataclass(frozen=True)
class Tune:
    """A piece as it is read: times in quarters, drums left out."""

    notes: np.ndarray  # [N, 4] float: start, length, pitch (60: middle C), velocity
    metres: tuple[tuple[float, int], ...] = ((0.0, COMMON),)  # (from which quarter, eighths a bar)
    drums: int = 0  # notes of the percussion's channel, which have no pitch
    label: int = 0
    name: str = ""


def opened(path: Path) -> Tune:
    """The tune in a file; ValueError says in a few words what is wrong with it."""
    with path.open("rb") as f:
        return tune_of(f.read(BYTES + 1), path.stem)  # whatever its size is said to be


def tune_of(data: bytes, name: str = "") -> Tune:
    """The tune in a file's bytes."""
    score = library()
    if len(data) > BYTES:
        raise ValueError(f"over {BYTES:,} bytes")
    check(data)
    try:
        found = score.from_midi(data)
    except Exception as error:  # the library raises RuntimeError, or what pybind makes of C++
        raise ValueError(" ".join(str(error).split())[:120]) from None
    return _tune(found, name)


def _tune(score: Any, name: str) -> Tune:
    parts, drums = [np.zeros((0, 4))], 0
    for track in score.tracks:
        columns = track.notes.numpy()
        rows = [columns[k].astype(np.float64) for k in ("time", "duration", "pitch", "velocity")]
        if track.is_drum:
            drums += len(rows[0])
        else:
            parts.append(np.stack(rows, 1))
    notes = np.concatenate(parts)
    notes[:, :2] /= score.tpq
    if len(notes) > NOTES:
        raise ValueError(f"{len(notes):,} notes, {NOTES:,} at most")
    if not len(notes):
        raise ValueError("it has no notes" + (" but drums" if drums else ""))
    last = (notes[:, 0] + notes[:, 1]).max()
    if notes[:, :2].min() < 0 or last > QUARTERS:
        raise ValueError(f"a note ends after {last:,.0f} quarters, {QUARTERS:,} at most")
    said = [(s.time / score.tpq, _eighths(s.numerator, s.denominator)) for s in
            score.time_signatures]  # fmt: skip
    metres = dict([(0.0, COMMON), *sorted(said)])
    order = np.lexsort((notes[:, 2], notes[:, 0]))
    return Tune(notes[order], tuple(sorted(metres.items())), drums, name=name)


def _eighths(numerator: int, denominator: int) -> int:
    if denominator < 1 or numerator * 8 % denominator:
        return COMMON
    found = numerator * 8 // denominator
    return found if 1 <= found <= EIGHTHS else COMMON


def bars_of(metres: tuple[tuple[float, int], ...], last: float) -> list[int]:
    """The bars' lengths in eighths, up to and with the one that quarter `last` lies in.

    A metre that changes within a bar holds from the next bar on.
    """
    found, at, i = [], 0.0, 0
    while at <= last:
        while i + 1 < len(metres) and metres[i + 1][0] <= at + 1e-6:
            i += 1
        found.append(metres[i][1])
        at += metres[i][1] / 2
    return found


# --- before anything is handed on -----------------------------------------------------------------


def check(data: bytes) -> None:
    """Refuse a file that is none, lies about its length, or asks for more than there is."""
    if len(data) < 14 or data[:4] != b"MThd":
        raise ValueError("it begins as no MIDI file")
    length, form, tracks, division = struct.unpack_from(">IHHH", data, 4)
    if length != 6 or form > 1:
        raise ValueError(f"its header has {length:,} bytes and format {form}: 6, and 0 or 1")
    if division & 0x8000 or not division:
        raise ValueError("its ticks are none of a quarter note")
    at, there, events, pairs = 14, 0, 0, 0
    while there < tracks:
        if at + 8 > len(data):
            raise ValueError(f"its header claims {tracks:,} tracks, of which {there:,} are there")
        name, length = struct.unpack_from(">4sI", data, at)
        at += 8
        if length > len(data) - at:
            raise ValueError(f"a track claims {length:,} bytes, of {len(data) - at:,}")
        if name == b"MTrk":
            more, played = _walk(data, at, at + length, QUARTERS * division)
            events, pairs, there = events + more, pairs + played, there + 1
        if events > EVENTS or pairs > TRACKS:
            raise ValueError(f"over {EVENTS:,} events, or {TRACKS:,} programs of a channel")
        at += length


def _walk(data: bytes, at: int, end: int, most: int) -> tuple[int, int]:
    """(events, pairs of channel and program) of a track's bytes; most: ticks."""
    now, status, events, pairs = 0, 0, 0, set()
    program = [0] * 16
    while at < end:
        delta, at = _number(data, at, end)
        now, events = now + delta, events + 1
        if now > most:
            raise ValueError(f"it lasts over {QUARTERS:,} quarters")
        if events > EVENTS or at >= end:
            raise ValueError(f"over {EVENTS:,} events" if at < end else "a track ends in an event")
        first = data[at]
        if first in (META, SYSEX):
            at += 1 + (first == META)
            kind = data[at - 1]
            size, at = _number(data, at, end)
            if size > end - at:
                raise ValueError(f"an event claims {size:,} bytes, of {end - at:,}")
            if first == META and size < {TEMPO: 3, METRE: 2}.get(kind, 0):
                raise ValueError("a tempo or a metre is cut short")
            at += size
            if first == META and kind == END:
                return events, len(pairs)
            continue
        if first & 0x80:
            status, at = first, at + 1
        if not 0x80 <= status < 0xF0:
            raise ValueError(f"an event begins with {first:#04x}, which is none")
        size = 1 if status & 0xE0 == 0xC0 else 2
        if at + size > end or any(b & 0x80 for b in data[at : at + size]):
            raise ValueError("an event is cut short, or a value in it is over 127")
        channel = status & 15
        if status & 0xF0 == 0xC0:
            program[channel] = data[at]
        pairs.add((channel, program[channel]))
        at += size
    return events, len(pairs)


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of variable length, and where it ends: four bytes at most."""
    value = 0
    for i in range(at, min(at + 4, end)):
        value = value << 7 | data[i] & 0x7F
        if data[i] < 0x80:
            return value, i + 1
    raise ValueError("a number has no end")


def library() -> Any:
    """symusic's Score, or the line that says how it is had."""
    try:
        from symusic import Score
    except (ImportError, OSError) as error:  # it looks for the programs that it brings
        raise ModuleNotFoundError(
            f"data: MIDI files are read by symusic ({error}): pip install 'genlab[music]'"
        ) from None
    return Score
