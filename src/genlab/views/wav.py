"""WAV files of several sounds, one after another, each a region with a name.

Read: `write_wav`; `regions` cuts a file up again. Regions are the standard's, which editors of
sounds show: a `cue ` chunk with their beginnings, and a `LIST` of type adtl with their names (labl)
and lengths (ltxt).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

GAP = 0.25  # seconds of silence between two sounds
NAME, REGIONS = 200, 256  # bytes of a name; regions that are read
FULL = 32767


def write_wav(waves: Sequence[np.ndarray], names: Sequence[str], path: Path, *, rate: int) -> None:
    """Waveforms [samples] in [-1, 1] as 16-bit numbers; what is beyond is cut, NaN is silence."""
    gap = np.zeros(round(GAP * rate), "<i2")
    parts, cues, notes, at = [], [], [], 0
    for i, (wave, name) in enumerate(zip(waves, names, strict=True), 1):
        text = name.encode()[:NAME].decode(errors="ignore").replace("\0", " ").encode() + b"\0"
        cues.append(struct.pack("<II4sIII", i, at, b"data", 0, 0, at))
        notes.append(_chunk(b"labl", struct.pack("<I", i) + text))
        notes.append(_chunk(b"ltxt", struct.pack("<III", i, len(wave), 0x206E6772) + bytes(8)))
        parts += [sixteen_bits(wave), gap]
        at += len(wave) + len(gap)
    data = b"".join(p.tobytes() for p in parts[:-1])
    more = _chunk(b"cue ", struct.pack("<I", len(cues)) + b"".join(cues))
    more += _chunk(b"LIST", b"adtl" + b"".join(notes))
    path.write_bytes(_riff(data, rate, more if cues else b""))


def sixteen_bits(wave: np.ndarray) -> np.ndarray:
    """[-1, 1] as whole numbers."""
    wave = np.nan_to_num(np.asarray(wave, np.float64), nan=0.0)
    return np.rint(wave.clip(-1, 1) * FULL).astype("<i2")


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _riff(data: bytes, rate: int, more: bytes = b"") -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    body = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"data", data) + more
    return b"RIFF" + struct.pack("<I", len(body)) + body


def regions(data: bytes) -> list[tuple[str, bytes]]:
    """(name, a WAV file of it alone) of each region of a file as `write_wav` writes them.

    A file that is no such one is a single region without a name, as it is.
    """
    try:
        found = _regions(data)
    except (struct.error, ValueError, KeyError):
        found = []
    return found or [("", data)]


def _regions(data: bytes) -> list[tuple[str, bytes]]:
    parts = dict(_chunks(data, 12, len(data)))
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", parts[b"fmt "][:16])
    if (kind, channels, bits) != (1, 1, 16) or parts[b"LIST"][:4] != b"adtl":
        return []
    samples, cues, names, lengths = parts[b"data"], parts[b"cue "], {}, {}
    for name, note in _chunks(parts[b"LIST"], 4, len(parts[b"LIST"])):
        (number,) = struct.unpack_from("<I", note)
        if name == b"labl":
            names[number] = note[4:].split(b"\0")[0][:NAME].decode("utf-8", "replace")
        elif name == b"ltxt":
            (lengths[number],) = struct.unpack_from("<I", note, 4)
    found, end = [], 0
    for at in range(4, len(cues) - 23, 24)[:REGIONS]:
        number, _, _, _, _, start = struct.unpack_from("<II4sIII", cues, at)
        if start < end or 2 * (start + lengths[number]) > len(samples):
            return []  # overlapping regions would be more than the file
        end = start + lengths[number]
        found.append((names.get(number, ""), _riff(samples[2 * start : 2 * end], rate)))
    return found


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while at + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : min(end, at + 8 + size)]
        at += 8 + size + size % 2
