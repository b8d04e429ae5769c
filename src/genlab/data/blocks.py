"""The blocks of GIF and WebP files, walked without decoding: what they claim, and whether it fits.

Read: `animated`. Pillow enlarges a canvas for a frame that reaches beyond it, and libwebp asks for
memory by the canvas that a header names; here both are seen before either reads the file.
"""

from __future__ import annotations

import struct
from typing import IO

BLOCKS = 2**21  # of a file; of a GIF 255 bytes each
BYTES = 2**28  # of a file: libwebp holds it whole


def animated(f: IO[bytes], size: int, *, most: int) -> tuple[int, int, int]:
    """(width, height, frames) of an animated GIF or WebP of `size` bytes, of `most` frames."""
    if size > BYTES:
        raise ValueError(f"{size:,} bytes, {BYTES:,} at most: cut it into pieces")
    start = f.read(12)
    if start[:6] in (b"GIF87a", b"GIF89a"):
        f.seek(6)
        return gif(f, most)
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        return webp(f, size, most)
    raise ValueError("it begins as no GIF or WebP")


def gif(f: IO[bytes], most: int) -> tuple[int, int, int]:
    width, height, flags, _, _ = struct.unpack("<HHBBB", exactly(f, 7))
    skip_colours(f, flags)
    num, blocks = 0, 0
    while (kind := f.read(1)) not in (b";", b""):  # many a file ends without its mark
        if kind == b"!":
            exactly(f, 1)
        elif kind == b",":
            x, y, across, down, flags = struct.unpack("<HHHHB", exactly(f, 9))
            if x + across > width or y + down > height:
                raise ValueError(f"frame {num} reaches beyond its {width} x {height} pixels")
            if (num := num + 1) > most:
                raise ValueError(f"over {most:,} frames: cut it into pieces")
            skip_colours(f, flags)
            exactly(f, 1)
        elif kind == b"\0":
            blocks = counted(blocks)
            continue
        else:
            raise ValueError(f"a block at byte {f.tell() - 1:,} is of no known kind")
        while step := exactly(f, 1)[0]:
            blocks = counted(blocks)
            exactly(f, step)
        blocks = counted(blocks)
    if num < 2:
        raise ValueError(f"{num} frame{'s' * (num != 1)}: nothing moves")
    return width, height, num


def webp(f: IO[bytes], size: int, most: int) -> tuple[int, int, int]:
    width = height = num = chunks = 0
    while len(head := f.read(8)) == 8:
        chunks = counted(chunks)
        name, claimed = head[:4], struct.unpack("<I", head[4:])[0]
        if claimed > size - f.tell():
            raise ValueError(f"a chunk claims {claimed:,} bytes of {size - f.tell():,}")
        behind = f.tell() + claimed + claimed % 2
        if name == b"VP8X":
            told = exactly(f, 10)
            width, height = (1 + int.from_bytes(told[i : i + 3], "little") for i in (4, 7))
        elif name == b"ANMF":
            told = exactly(f, 12)
            x, y, across, down = (int.from_bytes(told[i : i + 3], "little") for i in (0, 3, 6, 9))
            if 2 * x + across + 1 > width or 2 * y + down + 1 > height:
                raise ValueError(f"frame {num} reaches beyond its {width} x {height} pixels")
            if (num := num + 1) > most:
                raise ValueError(f"over {most:,} frames: cut it into pieces")
        f.seek(behind)
    if not num:
        raise ValueError("it is a still picture, where a clip is wanted")
    return width, height, num


def skip_colours(f: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        exactly(f, 3 * 2 ** ((flags & 7) + 1))


def counted(blocks: int) -> int:
    if blocks >= BLOCKS:
        raise ValueError(f"over {BLOCKS:,} blocks")
    return blocks + 1


def exactly(f: IO[bytes], num: int) -> bytes:
    if len(found := f.read(num)) < num:
        raise ValueError("it ends in the middle")
    return found
