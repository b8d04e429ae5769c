"""What is known of files and lies beside them: metadata.jsonl, .csv or .parquet. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genlab.data.records import read_records

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


def metadata_of(folder: Path) -> Path | None:
    """The folder's metadata, the first of these names; None where it has none."""
    return next((folder / n for n in METADATA if (folder / n).is_file()), None)


def read_metadata(path: Path) -> dict[str, dict[str, Any]]:
    """The columns of each file, by `file_name`: its path from the folder on."""
    rows: dict[str, dict[str, Any]] = {}
    for i, row in enumerate(read_records(path), 1):
        name = row.pop("file_name", None)
        if not isinstance(name, str):
            raise ValueError(f"{path}, row {i}: it has no file_name: write one in every row")
        if name in rows:
            raise ValueError(f"{path}, row {i}: {name[:80]} is in it twice: leave one out")
        rows[name] = row
    return rows
