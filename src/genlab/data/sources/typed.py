"""Cells of files that know their types: rows of Parquet, jsonl and saved data sets.

Read: `typed`. Cells are texts, as a csv's are, and the file says what each column holds, so that
007 in a column of texts stays a name. A date becomes the number of days since 1970-01-01, which its
column's name says: EPOCH + timedelta(days=N) is the way back.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from genlab.data.columns import Kind
from genlab.data.records import COLUMNS, read_records

EPOCH = dt.date(1970, 1, 1)
DAYS = " (days from 1970-01-01)"
DAY = 86_400  # seconds

# a column is of the first of these that all its cells are
NUMBERS: tuple[tuple[type | tuple[type, ...], Kind, str], ...] = (
    (bool, "category", ""),
    (int, "integer", ""),
    ((int, float, Decimal), "continuous", ""),
    (str, "category", ""),
    (dt.datetime, "continuous", DAYS),
    (dt.date, "integer", DAYS),
)


def typed(path: Path, where: str) -> tuple[list[str], list[list[str]], dict[str, Kind]]:
    """(names, rows, kinds) of a file; a column that is empty has no kind."""
    found = list(read_records(path))
    names = list(dict.fromkeys(name for row in found for name in row))
    if not found or not names or len(names) > COLUMNS:
        raise ValueError(f"{where}: it has no rows, or over {COLUMNS:,} columns")
    kinds: dict[str, Kind] = {}
    called, columns = [], []
    for name in names:
        values = [row.get(name) for row in found]
        kind, unit = _kind(name, [v for v in values if v is not None], where)
        called.append(f"{name}{unit}")
        columns.append(list(map(_cell, values)))
        if kind is not None:
            kinds[called[-1]] = kind
    return called, [list(row) for row in zip(*columns)], kinds


def _kind(name: str, values: Iterable[Any], where: str) -> tuple[Kind | None, str]:
    types = {type(v) for v in values}
    if not types:
        return None, ""
    for wanted, kind, unit in NUMBERS:
        several = wanted if isinstance(wanted, tuple) else (wanted,)
        if types <= {*several}:
            return kind, unit
    said = ", ".join(sorted(t.__name__ for t in types))
    raise ValueError(
        f"{where}: column {name!r} holds {said}: a column is of numbers, texts or dates alone:"
        " leave it out of the file"
    )


def _cell(value: Any) -> str:
    """A value as a csv has it; "" where it is missing."""
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return ""
    if isinstance(value, dt.datetime):
        whole = dt.datetime.combine(EPOCH, dt.time(), value.tzinfo and dt.UTC)
        return repr((value - whole).total_seconds() / DAY)
    if isinstance(value, dt.date):
        return str((value - EPOCH).days)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).strip()
