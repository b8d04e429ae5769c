"""Standard MIDI Files: notes as players and notation programs read them.

Read: `write_midi` is the file: a header and one track (format 0) of events, each after a delta time
in ticks. The pieces stand one after another, each begun by a marker with its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TICKS = 480  # of a quarter note
REST = 4  # quarters of silence between two pieces
TEMPO, MARKER, METRE, END = 0x51, 0x06, 0x58, 0x2F  # meta events


class Note(NamedTuple):
    """One note; start and length in quarters."""

    start: float
    length: float
    pitch: int  # as MIDI numbers them: 60 is the middle C
    velocity: int = 80


def write_midi(
    pieces: Sequence[Sequence[Note]],
    path: Path,
    *,
    tempo: int = 100,
    bars: Sequence[Sequence[int]] | None = None,
) -> None:
    """Write the pieces, at `tempo` quarters a minute; a channel of a piano.

    `bars`: of each piece the lengths of its bars in eighths; None: no metre is written.
    """
    events: list[tuple[int, int, bytes]] = []  # tick, order within a tick, bytes
    at = 0
    for number, notes in enumerate(pieces):
        events.append((at, 1, _meta(MARKER, str(number).encode())))
        for note in notes:
            start, end = (at + round(TICKS * q) for q in (note.start, note.start + note.length))
            events.append((start, 2, bytes((0x90, note.pitch, note.velocity))))
            events.append((end, 0, bytes((0x80, note.pitch, 0))))  # before what begins there
        last, before, bar_at = max((n.start + n.length for n in notes), default=0), 0, at
        for bar in bars[number] if bars else ():
            if bar != before:
                # 24 clocks of a quarter, 8 of its 32nds
                events.append((bar_at, 1, _meta(METRE, metre_of(bar) + bytes((24, 8)))))
            before, bar_at = bar, bar_at + bar * TICKS // 2
        last = max(last, (bar_at - at) / TICKS)  # the next piece begins with a bar of its own
        at += round(TICKS * (last + REST))
    track = b"\0" + _meta(TEMPO, round(60e6 / tempo).to_bytes(3, "big"))
    now = 0
    for tick, _, message in sorted(events):
        track += length_of(tick - now) + message
        now = tick
    track += b"\0" + _meta(END, b"")
    head = b"".join(n.to_bytes(2, "big") for n in (0, 1, TICKS))  # format 0, one track
    path.write_bytes(_chunk(b"MThd", head) + _chunk(b"MTrk", track))


def metre_of(eighths: int) -> bytes:
    """Numerator and the power of two of the denominator: quarters, where they are whole."""
    return bytes((eighths // 2, 2)) if eighths % 2 == 0 else bytes((eighths, 3))


def length_of(number: int) -> bytes:
    """A number of variable length: 7 bits a byte, the highest bit set in all but the last."""
    found = [number & 0x7F]
    while number := number >> 7:
        found.append(0x80 | number & 0x7F)
    return bytes(reversed(found))


def _meta(kind: int, data: bytes) -> bytes:
    return bytes((0xFF, kind)) + length_of(len(data)) + data


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "big") + data
