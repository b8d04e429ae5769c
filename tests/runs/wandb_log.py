"""What a .wandb file holds, read as `wandb sync` reads it: LevelDB's log of protobuf records.

A header of 7 bytes, then blocks of 32 KiB of records: checksum (4 bytes), length (2), whether it is
whole, first, middle or last (1), data. What the records are is in wandb's own wandb_internal_pb2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER, BLOCK, HEAD = 7, 2**15, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def pieces(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B", "the file's mark"
    at, held = HEADER, b""
    while at + HEAD <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEAD:  # the rest of a block is filled up
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        if kind == 0:
            break
        body, at = data[at + HEAD : at + HEAD + length], at + HEAD + length
        held = body if kind in (WHOLE, FIRST) else held + body
        if kind in (WHOLE, LAST):
            yield held


def records(path: Path) -> list[Any]:
    from wandb.proto import wandb_internal_pb2 as wandb

    return [wandb.Record.FromString(piece) for piece in pieces(path.read_bytes())]


def history(path: Path) -> list[dict[str, Any]]:
    """The rows that were logged: name -> value; wandb's own fields are left out."""
    rows = []
    for record in records(path):
        if record.WhichOneof("record_type") != "history":
            continue
        row: dict[str, Any] = {}
        for item in record.history.item:
            name, *inner = item.nested_key or [item.key]
            if name.startswith("_"):
                continue
            if inner:  # a picture or a table: what wandb says of its file
                row.setdefault(name, {})["/".join(inner)] = json.loads(item.value_json)
            else:
                row[name] = json.loads(item.value_json)
        rows.append(row)
    return rows


def run_of(path: Path) -> Any:
    """Id, group, name and tags of the run."""
    return next(r.run for r in records(path) if r.WhichOneof("record_type") == "run")
