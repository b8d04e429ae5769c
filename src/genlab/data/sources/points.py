"""Points of one's own: a table of numbers in a .npy file, or in rows of csv, jsonl or Parquet.

Read: `PointsFile`. A .npy file may be a stranger's: what its head says is held against the file's
length before anything of that size is asked of the memory, and it may hold numbers alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genlab.data.origins import Traced
from genlab.data.records import is_records, read_records

MOST = 2**31  # numbers in all
COORDINATES = 10_000  # of a point
HEAD = 10_000  # bytes of a .npy file's head
READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class PointsFile(Traced):
    """Rows of numbers [N, D], a point each, and what the coordinates are called."""

    def __init__(self, *, path: str | None, columns: Sequence[str] | None = None) -> None:
        """`columns` of a csv file that are coordinates; None: all."""
        self.path, self.columns = path, None if columns is None else list(columns)

    def read(self) -> tuple[list[str], np.ndarray]:
        """The coordinates' names, and the points float64 [N, D]."""
        if self.path is None:
            raise ValueError("data.path=null: which file? write data.path=FILE.npy or FILE.csv")
        path, where = Path(self.path).expanduser(), f"data.path={self.path}"
        if not path.exists():
            raise FileNotFoundError(f"{where}: there is no such file")
        if is_records(path):
            names, points = self._of_rows(path, where)
        elif path.suffix.lower() == ".npy":
            if self.columns is not None:
                raise ValueError(f"data.columns: {path.name} names no columns; write null")
            points = read_npy(path, where)
            names = [f"x{i}" for i in range(points.shape[1])]
        else:
            raise ValueError(f"{where}: points are read of .npy, .csv, .jsonl and .parquet files")
        wrong = np.flatnonzero(~np.isfinite(points).all(1))
        if len(wrong):
            raise ValueError(
                f"{where}: {len(wrong):,} rows are not finite, the first of them row"
                f" {wrong[0] + 1}: leave them out"
            )
        return names, points

    def _of_rows(self, path: Path, where: str) -> tuple[list[str], np.ndarray]:
        names, rows = self.columns, []
        for number, row in enumerate(read_records(path, columns=names), 1):
            names = [*row] if names is None else names
            if missing := [name for name in names if name not in row]:
                raise ValueError(
                    f"data.columns: row {number} of {path.name} has no {missing[0]!r}, but"
                    f" {', '.join(map(str, row))}"
                )
            try:
                rows.append([float(row[name]) for name in names])
            except (TypeError, ValueError):
                name = next(n for n in names if not _is_number(row[n]))
                raise ValueError(
                    f"{where}, row {number}: {name} is {str(row[name])[:40]!r}, no number: name the"
                    " coordinates, 'data.columns=[...]', or take data=table"
                ) from None
        if not rows or not names:
            raise ValueError(f"{where} has no points: give a row of numbers for each")
        return list(map(str, names)), np.array(rows, np.float64)


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def read_npy(path: Path, where: str) -> np.ndarray:
    """The array of a .npy file as float64 [N, D]."""
    with path.open("rb") as f:
        try:
            version = np.lib.format.read_magic(f)
            shape, by_column, dtype = READERS[version](f, max_header_size=HEAD)
        except Exception as error:  # what Python's own parser raises of a head is of many kinds
            said = " ".join(str(error).split())[:100]
            raise ValueError(f"{where}: no .npy file that can be read ({said})") from None
        if dtype.kind not in "fiu" or dtype.itemsize > 8:
            raise ValueError(f"{where}: it holds {dtype.str}, where numbers are wanted")
        num, left = math.prod(shape), path.stat().st_size - f.tell()
        if (
            len(shape) not in (1, 2)
            or min(shape) < 1
            or (len(shape) == 2 and shape[1] > COORDINATES)
        ):
            raise ValueError(
                f"{where}: of shape {list(shape)}, where points are [N, D], D {COORDINATES:,} at"
                " most"
            )
        if num > MOST or num * dtype.itemsize != left:
            raise ValueError(
                f"{where}: its head says {num:,} numbers of {dtype.itemsize} bytes, but {left:,}"
                f" bytes follow, {MOST:,} numbers at most: is it whole?"
            )
        values = np.fromfile(f, dtype, num)
    return (
        values.reshape(shape, order="F" if by_column else "C").reshape(shape[0], -1).astype(float)
    )
