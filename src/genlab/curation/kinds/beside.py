"""What is known of files and lies beside them, and rows of files, some of which cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genlab.curation.base import Unread
from genlab.data.metadata import metadata_of, read_metadata
from genlab.data.records import rows_of

FACT = (str, int, float, bool, type(None))  # what a column may hold as it is
Row = dict[str, Any]


def facts_of(folder: Path) -> dict[str, Row]:
    """The columns of each file, by `file_name`: its path from the folder on."""
    path = metadata_of(folder)
    return {} if path is None else {k: plain(row) for k, row in read_metadata(path).items()}


def numbered(path: Path) -> Iterator[tuple[int, Row | Unread]]:
    """The rows of a file by number, from 1 on, and why one could not be read in its place."""
    for number, row in enumerate(rows_of(path), 1):
        if isinstance(row, ValueError):
            yield number, Unread(str(row).removeprefix(f"{path}, ").removeprefix(f"{path}: "))
        else:
            yield number, row


def plain(row: Row) -> Row:
    """Values as JSON has them: lists and mappings become texts, and whatever else there is."""
    return {k: v if isinstance(v, FACT) else json.dumps(v, default=str) for k, v in row.items()}
