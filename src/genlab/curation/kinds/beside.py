"""What is known of files and lies beside them: metadata.jsonl, .csv or .parquet of their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genlab.data.records import read_records

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


def facts_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The columns of each file, by `file_name`: its path from the folder on."""
    found: dict[str, dict[str, Any]] = {}
    for name in METADATA:
        if (folder / name).is_file():
            for number, row in enumerate(read_records(folder / name), 1):
                file = row.pop("file_name", None)
                if not isinstance(file, str):
                    raise ValueError(f"{folder / name}, row {number}: it has no file_name")
                found[file] = row
    return found
