"""Rows of a table: csv, jsonl and Parquet files in, one file that data=table reads out."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from genlab.curation.base import Example, Kind, Raw, Unread
from genlab.curation.kinds.beside import FACT, numbered
from genlab.data.records import is_records, is_saved

TEXT = (".csv", ".csv.gz", ".tsv")  # of which no cell has a type
EPOCH, DAY = dt.date(1970, 1, 1), 86_400  # as data/sources/typed.py has dates
DAYS = " (days from 1970-01-01)"
CELL = 10_000  # letters of a cell, as data=table reads them
SHOWN, LETTERS = 12, 80  # cells of a row on the page, and letters of one


@dataclass(frozen=True, slots=True)
class Row:
    """A row's cells by column: texts all, or where the file is `typed` what JSON has."""

    cells: dict[str, Any]
    typed: bool

    def value(self, number: float) -> float | int | str:
        """A number as a cell of this row."""
        whole = int(number) if float(number).is_integer() and abs(number) < 2**53 else number
        return whole if self.typed else repr(whole)


class Tables(Kind):
    """A row is its cells; what is known of it is the same, so that `where`, `licence`, `balance`
    and `split` see its columns. It is written without an id, which a model would learn."""

    name = "table"
    noun: ClassVar[str] = "rows"
    shard = 8192

    def raws(self, source: Path) -> Iterator[Raw]:
        whole = source.is_file() or is_saved(source)
        files = [source] if whole else sorted(p for p in source.rglob("*") if is_rows(p))
        root = source.parent if source.is_file() else source
        if len({is_text(p) for p in files}) > 1:
            raise ValueError(
                f"from={source}: csv files, whose cells have no types, lie beside such that have:"
                " prepare them by themselves"
            )
        header: list[str] | None = None
        for path in files:
            name = path.relative_to(root).as_posix() if path != root else path.name
            for number, row in numbered(path):
                if isinstance(row, Unread):
                    yield Raw(f"{name}:{number}", row)
                    continue
                if is_text(path):
                    header = checked(path, list(row), header)
                cells = {k: v for column in row.items() for k, v in [plain(*column)]}
                yield self._raw(f"{name}:{number}", cells, typed=not is_text(path))

    def _raw(self, id: str, cells: dict[str, Any], *, typed: bool) -> Raw:
        long = next((k for k, v in cells.items() if isinstance(v, str) and len(v) > CELL), None)
        if long is not None:
            why = f"column {long[:60]!r}: a cell of {len(cells[long]):,} letters, {CELL:,} at most"
            return Raw(id, Unread(why))
        return Raw(id, self.dump(Row(cells, typed)), cells)

    def open(self, raw: Raw) -> Row:
        return self.parse(raw.source)  # type: ignore[arg-type]

    def dump(self, data: Row) -> bytes:
        told = {"typed": data.typed, "cells": data.cells}
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")

    def parse(self, contents: bytes) -> Row:
        told = json.loads(contents)
        return Row(told["cells"], told["typed"])

    def write(self, examples: Sequence[Example], folder: Path, shard: int) -> None:
        with (folder / f".{shard:06d}.part").open("w", encoding="utf-8", newline="\n") as f:
            for e in examples:
                beside = {k: v for k, v in e.facts.items() if k not in e.data.cells}
                told = {**e.data.cells, **beside, "split": folder.name}
                f.write(json.dumps([e.data.typed, told], ensure_ascii=False) + "\n")

    def finish(self, folder: Path) -> None:
        """rows.csv, or rows.jsonl where the cells have types."""
        parts = sorted(folder.glob("*/.*.part"))
        with parts[0].open(encoding="utf-8") as f:
            typed, _ = json.loads(f.readline())
        if typed:
            with (folder / "rows.jsonl").open("w", encoding="utf-8", newline="\n") as f:
                f.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in rows_of(parts))
        else:
            names = list(dict.fromkeys(name for row in rows_of(parts) for name in row))
            with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as f:
                out = csv.writer(f, lineterminator="\n")
                out.writerow(names)
                for row in rows_of(parts):
                    cells = (row.get(name) for name in names)
                    out.writerow(["" if c is None else str(c) for c in cells])
        for split in {part.parent for part in parts}:
            shutil.rmtree(split)

    def shown(self, data: Row, beside: Row | None = None) -> str:
        """Its first cells, those that differ before the others."""
        other = {} if beside is None else beside.cells
        differ = [k for k in data.cells if beside is not None and other.get(k) != data.cells[k]]
        names = dict.fromkeys([*differ, *data.cells])
        lines = [f"{k[:LETTERS]}: {str(data.cells[k])[:LETTERS]}" for k in list(names)[:SHOWN]]
        return "\n".join(lines) + "\n…" * (len(names) > SHOWN)

    @property
    def option(self) -> dict[str, str]:
        return {"data": "table"}


def is_rows(path: Path) -> bool:
    return path.is_file() and is_records(path) and not path.name.startswith(".")


def is_text(path: Path) -> bool:
    return path.name.lower().endswith(TEXT)


def checked(path: Path, names: list[str], header: list[str] | None) -> list[str]:
    """The columns of a csv file, which must be those of the files before it."""
    if len(names) == 1 and any(mark in names[0] for mark in ";|\t"):
        raise ValueError(f"{path}: one column, {names[0][:60]!r}: part its cells by commas")
    if header is not None and names != header:
        raise ValueError(f"{path}: its columns are not those of the files before it")
    return names


def plain(name: str, value: Any) -> tuple[str, Any]:
    """A column and its cell, as JSON has them: dates as numbers of days, which the name says."""
    if isinstance(value, str):
        return name, value.strip()
    if isinstance(value, float) and math.isnan(value):
        return name, None
    if isinstance(value, FACT):
        return name, value
    if isinstance(value, Decimal):
        return name, float(value)
    if isinstance(value, dt.datetime):
        whole = dt.datetime.combine(EPOCH, dt.time(), value.tzinfo and dt.UTC)
        return name + DAYS, (value - whole).total_seconds() / DAY
    if isinstance(value, dt.date):
        return name + DAYS, (value - EPOCH).days
    return name, json.dumps(value, default=str, ensure_ascii=False)


def rows_of(parts: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    for part in parts:
        with part.open(encoding="utf-8") as f:
            for line in f:
                yield json.loads(line)[1]
