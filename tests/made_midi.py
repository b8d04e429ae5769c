"""MIDI files for tests, byte by byte: honest ones, and such that lie."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from genlab.views.midi import Note, length_of, write_midi

END = b"\0\xff\x2f\0"


def on(delta: int, pitch: int, velocity: int = 64, channel: int = 0) -> bytes:
    return length_of(delta) + bytes((0x90 | channel, pitch, velocity))


def off(delta: int, pitch: int, channel: int = 0) -> bytes:
    return length_of(delta) + bytes((0x80 | channel, pitch, 0))


def file_of(
    *tracks: bytes, division: int = 480, form: int = 1, num: int | None = None, head: int = 6
) -> bytes:
    """A file of these tracks; `num`, `head`: what its header claims."""
    start = struct.pack(">IHHH", head, form, len(tracks) if num is None else num, division)
    body = b"".join(b"MTrk" + struct.pack(">I", len(t)) + t for t in tracks)
    return b"MThd" + start + body


NOTE = on(0, 60) + off(480, 60)
SOUND = file_of(NOTE + END)
PROGRAMS = b"".join(
    b"\0" + bytes((0xC0 | c, p)) + on(0, 60, channel=c) + off(0, 60, channel=c)
    for c in range(16) for p in range(128)
)  # fmt: skip

# name: (the bytes, what is said of them)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "begins as no MIDI file"),
    "a page": (b"<html>" + bytes(20), "begins as no MIDI file"),
    "a pickle": (b"\x80\x04cos\nsystem\n" + bytes(20), "begins as no MIDI file"),
    "riff": (b"RIFF" + bytes(16) + SOUND, "begins as no MIDI file"),
    "a header alone": (SOUND[:14], "claims 1 tracks, of which 0 are there"),
    "tracks that are not there": (file_of(NOTE + END, num=65535), "claims 65,535 tracks"),
    "a track longer than the file": (
        SOUND[:18] + b"\xff\xff\xff\xff" + NOTE + END, "a track claims 4,294,967,295 bytes",
    ),
    "a cut file": (SOUND[:-6], "a track claims 13 bytes, of 7"),
    "a header of another length": (file_of(NOTE + END, head=2**32 - 1), "header has 4,294,967,295"),
    "format 2": (file_of(NOTE + END, form=2), "format 2"),
    "no ticks": (file_of(NOTE + END, division=0), "ticks are none of a quarter"),
    "frames of film": (file_of(NOTE + END, division=0xE728), "ticks are none of a quarter"),
    "an endless number": (file_of(b"\xff\xff\xff\xff\x7f" + NOTE + END), "a number has no end"),
    "a thousand years": (
        file_of((length_of(2**28 - 1) + bytes((0x90, 60, 64))) * 40 + END), "lasts over 16,384",
    ),
    "a text longer than the file": (
        file_of(b"\0\xff\x01" + length_of(2**28 - 1) + b"x" + END), "claims 268,435,455 bytes",
    ),
    "sysex longer than the file": (
        file_of(b"\0\xf0" + length_of(2**28 - 1) + b"x" + END), "claims 268,435,455 bytes",
    ),
    "no status": (file_of(b"\0\x3c\x40" + END), "begins with 0x3c"),
    "a realtime status": (file_of(b"\0\xf8" + END), "begins with 0xf8"),
    "events in an escape": (
        file_of(NOTE + b"\0\xf7" + length_of(len(PROGRAMS)) + PROGRAMS + END), "begins with 0xf7",
    ),
    "a value over 127": (file_of(b"\0\x90\xbc\x40" + END), "over 127"),
    "a note cut in two": (file_of(b"\0\x90\x3c"), "cut short"),
    "a tempo of one byte": (file_of(b"\0\xff\x51\1\1" + NOTE + END), "tempo or a metre is cut"),
    "a metre of one byte": (file_of(b"\0\xff\x58\1\1" + NOTE + END), "tempo or a metre is cut"),
    "programs by the thousand": (file_of(PROGRAMS + END), "1,024 programs of a channel"),
    "no notes": (file_of(END), "it has no notes"),
    "drums alone": (file_of(on(0, 36, channel=9) + off(9, 36, channel=9) + END), "but drums"),
    "notes without end": (file_of(on(0, 60) + END), "it has no notes"),
    "a flood of events": (file_of(b"\0\x90\x3c\x40" * 500_001 + END), "over 500,000 events"),
}  # fmt: skip


def tune(seed: int = 0, bars: int = 12, transpose: int = 0, low: int = 62) -> list[Note]:
    """A melody in a scale with chords below it, which goes back to what it began with."""
    draws = np.random.default_rng(seed)
    scale = [0, 2, 4, 5, 7, 9, 11, 12]
    phrase = [(int(draws.integers(8)), float(draws.choice([0.5, 1.0]))) for _ in range(16)]
    notes, at = [], 0.0
    while at < 4 * bars:
        for step, length in phrase:
            notes.append(Note(at, length, low + scale[step] + transpose))
            at += length
        phrase[int(draws.integers(16))] = (int(draws.integers(8)), 0.5)
    for bar in range(bars):
        root = int(draws.choice([0, 5, 7]))
        notes += [Note(4.0 * bar, 4, low - 24 + root + k + transpose) for k in (0, 4, 7)]
    return sorted(notes)


def folder(
    root: Path, num: int = 24, make: Callable[[int], Sequence[Note]] = tune, name: str = "{}.mid"
) -> Path:
    """`num` tunes of one's own."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(num):
        path = root / name.format(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_midi([make(i)], path)
    return root
