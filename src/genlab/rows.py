"""The rows of metrics.jsonl: written with a checksum, read without the damaged ones, mended.

A row ends with its "crc": the CRC32 of the row without it, which finds every flipped bit.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from genlab.own import open_to_append

LEDGER, LINES, LINE = 2**28, 10**6, 2**20  # bytes and lines of a ledger, bytes of a line
NOT_VALUES = ("kind", "examples", "batches", "seconds", "crc")  # of a row: its clock, its form
NAMED = 20  # damaged lines that are told of one by one
NUMBERS = ("examples", "batches", "seconds")  # what is counted with, where a row has them
DEEP = 100  # brackets of a row that may be nested too deep
ENDING = b', "crc": "%08x"}'


def line_of(row: dict[str, Any]) -> bytes:
    """A row as it stands in the file, with its checksum and the line's end."""
    text = json.dumps(row).encode()
    return text[:-1] + ENDING % zlib.crc32(text) + b"\n"


def body(line: bytes) -> bytes:
    """A line without its checksum; empty if that is wrong. Lines of older runs have none."""
    if not _ends_with_checksum(line):
        return line
    text = line[: -len(ENDING % 0)] + b"}"
    return text if line == text[:-1] + ENDING % zlib.crc32(text) else b""


def parse(line: bytes) -> dict[str, Any] | None:
    """The row of one line; None if it is torn or damaged."""
    try:
        row = json.loads(body(line))
        if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
            return None
        if line.count(b"[") + line.count(b"{") > DEEP:
            json.dumps(row)  # what cannot be written again is no row
    except (ValueError, RecursionError):
        return None
    return row if all(type(row.get(k, 0)) in (int, float) for k in NUMBERS) else None


def _ends_with_checksum(line: bytes) -> bool:
    """Whether a line was written with a checksum, even where that itself is damaged."""
    form = ENDING % 0
    same = sum(a == b for a, b in zip(line[-len(form) :], form) if b != ord("0"))
    return same >= 6  # of the 12 fixed characters; a row without has 2: its braces and a quote


def lines_of(path: Path) -> list[bytes]:
    """The ledger's lines; the last one is torn where the file does not end with a line's end."""
    if not path.is_file():
        return []
    if (size := path.stat().st_size) > LEDGER:
        raise ValueError(f"{path}: {size:,} bytes, a ledger has {LEDGER:,} at most: put it aside")
    lines, empty = [], 0
    with path.open("rb") as f:
        while line := f.readline(LINE):
            line = line.removesuffix(b"\n")
            empty += not line
            lines += [line] if line else []
            if len(lines) > LINES or empty > 1000:
                raise ValueError(f"{path}: over {LINES:,} lines, or empty ones: put it aside")
    return lines


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The ledger's whole rows; torn and damaged ones are left out (`damaged_rows` names them)."""
    return [row for line in lines_of(path) if (row := parse(line)) is not None]


def damaged_rows(path: Path) -> list[str]:
    """What is wrong with a ledger, by line."""
    found = [
        f"{path.name} line {number} is torn or damaged"
        for number, line in enumerate(lines_of(path), 1)
        if parse(line) is None
    ]
    if len(found) > NAMED:
        found = [*found[:NAMED], f"{path.name}: and {len(found) - NAMED:,} more"]
    if not found and path.is_file() and not path.read_bytes().endswith(b"\n"):
        found = [f"{path.name} is empty or lacks its last line's end"]
    return found


def append(path: Path, row: dict[str, Any]) -> None:
    """Add one row to a ledger that no run has open."""
    with open_to_append(path) as f:
        f.write(line_of(row))


def mend(path: Path, batches: int, rows: int | None = None) -> list[str]:
    """Before a resume: cut the rows after the checkpoint at `batches`, and what is torn or damaged.

    Those batches are trained again, bit for bit, and write their rows again: every row stands once.
    Damaged lines go to metrics.damaged.jsonl; gives what to tell of them, and of rows that are
    missing where `rows` (train and look) had been written when the checkpoint was.
    """
    lines = lines_of(path)
    found = [parse(line) for line in lines]
    notices = damaged_rows(path) if lines else []
    if found and found[-1] is None and not path.read_bytes().endswith(b"\n"):
        notices = notices[:-1]  # cut short by a kill; told only if its row is missed below
    bad = [line for line, row in zip(lines, found) if row is None]
    kept = [
        r for r in found
        if r is not None and r.get("batches", 0) <= batches and r["kind"] not in ("end", "failed")
    ]  # fmt: skip
    have = sum(r["kind"] in ("train", "look") for r in kept)
    if rows is not None and have < rows:
        notices.append(f"{path.name} holds {have} of the {rows} rows up to the checkpoint")
    if bad:
        with open_to_append(path.with_name("metrics.damaged.jsonl")) as f:
            f.write(b"".join(line + b"\n" for line in bad))
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(b"".join(line_of(r) for r in kept))
    temporary.replace(path)
    return notices
