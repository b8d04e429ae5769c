"""Rows of jsonl, csv and Parquet files, and of saved data sets, each as {column: value}.

Read: `read_records`. A file may be a stranger's: lines, columns and nesting are bounded, and what
is wrong is told with the file and the line. Values are what JSON has; those of csv are texts. A
folder that the `datasets` library saved (`save_to_disk`) is read without it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

LINE = 2**26  # bytes of a line: a long book; more is no record
COLUMNS, DEEP = 10_000, 50  # of a row; how deep its lists and mappings may be nested
RATIO, BLOCK = 200, 2**20  # unpacked to packed bytes of a .gz; what a short one may have at least
ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".csv", ".csv.gz", ".tsv", ".parquet")
SPLITS, STATE = "dataset_dict.json", "state.json"  # of a saved data set
Record = dict[str, Any]


def is_records(path: Path) -> bool:
    return path.name.lower().endswith(ENDINGS) or is_saved(path)


def is_saved(path: Path) -> bool:
    """Whether it is a folder of the `datasets` library: of one split, or of several."""
    return any((path / name).is_file() for name in (SPLITS, STATE))


def read_records(path: Path, *, columns: list[str] | None = None) -> Iterator[Record]:
    """The rows of a file, in order; of Parquet only `columns` are read where they are given.

    Raises ValueError for a file that cannot be read, naming it and the line, and
    FileNotFoundError where there is none.
    """
    for row in rows_of(path, columns):
        if isinstance(row, ValueError):
            raise row
        yield row


def rows_of(path: Path, columns: list[str] | None = None) -> Iterator[Record | ValueError]:
    """The rows of a file, in order, and in their places the errors of those that cannot be read.

    After a row that is wrong by itself the next one is read; where the file as a whole is wrong
    (packed, Parquet, the quotes of a csv), the error is the last that comes.
    """
    name = path.name.lower().removesuffix(".gz")
    if not path.is_file() and not is_saved(path):
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        if is_saved(path):
            yield from _saved(path, columns)
        elif name.endswith(".parquet"):
            yield from _parquet(path, columns)
        elif name.endswith((".csv", ".tsv")):
            yield from _csv(path, "\t" if name.endswith(".tsv") else ",")
        elif name.endswith((".jsonl", ".ndjson")):
            for number, line in enumerate(_lines(path, LINE), 1):
                try:
                    if isinstance(line, ValueError):
                        raise line
                    if line.strip():
                        yield _object(line, f"{path}, line {number}")
                except ValueError as error:
                    yield error
        else:
            raise ValueError(f"{path}: rows are read of {', '.join(ENDINGS)}")
    except ValueError as error:
        yield error


def lines_of(path: Path, *, most: int = LINE) -> Iterator[bytes]:
    """The lines of a file (or of a .gz), without their ends; one over `most` bytes is refused."""
    for line in _lines(path, most):
        if isinstance(line, ValueError):
            raise line
        yield line


def _lines(path: Path, most: int) -> Iterator[bytes | ValueError]:
    """The lines, and in the place of one that is too long an error; it is passed over unheld."""
    with opened(path) as f:
        number = 0
        while line := f.readline(most + 1):
            number += 1
            if len(line) > most:
                yield ValueError(f"{path}, line {number}: over {most:,} bytes; cut it into records")
                while line and not line.endswith(b"\n"):
                    line = f.readline(BLOCK)
                continue
            yield line.rstrip(b"\r\n")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked where it is a .gz: not over RATIO times its size."""
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as f:
                yield io.BufferedReader(_Bounded(f, path))  # type: ignore[arg-type]
        else:
            with path.open("rb") as f:
                yield f
    except (gzip.BadGzipFile, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: it cannot be read ({error})") from None


class _Bounded(io.RawIOBase):
    """What is unpacked of a file, so far as it is no bomb."""

    def __init__(self, f: IO[bytes], path: Path) -> None:
        self.f, self.path = f, path
        self.most = RATIO * path.stat().st_size + BLOCK
        self.seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self.f.read(len(buffer))
        self.seen += len(found)
        if self.seen > self.most:
            raise ValueError(f"{self.path}: unpacked it is over {RATIO} times its size")
        buffer[: len(found)] = found
        return len(found)


def _object(line: bytes, where: str) -> Record:
    if line.count(b"[") + line.count(b"{") > DEEP and _depth(line) > DEEP:
        raise ValueError(f"{where}: nested deeper than {DEEP}")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: no JSON ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(row, dict):
        raise ValueError(f'{where}: a record is a mapping like {{"text": ...}}')
    if len(row) > COLUMNS:
        raise ValueError(f"{where}: {len(row):,} columns, {COLUMNS:,} at most")
    return row


def _depth(line: bytes) -> int:
    """How deep brackets stand in each other at most, those within texts too."""
    deepest = now = 0
    for byte in line:
        now += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, now)
    return deepest


def _csv(path: Path, delimiter: str) -> Iterator[Record | ValueError]:
    def text() -> Iterator[str]:
        for number, line in enumerate(lines_of(path), 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8") + "\n"
            except UnicodeDecodeError:
                raise ValueError(f"{path}, line {number}: no UTF-8 text; convert it") from None

    before = csv.field_size_limit(LINE)
    try:
        reader = csv.reader(text(), delimiter=delimiter, strict=True)
        names = next(reader, None)
        if not names:
            raise ValueError(f"{path}: its first line must name the columns")
        if len(names) > COLUMNS or len(set(names)) < len(names):
            raise ValueError(f"{path}: a column is named twice, or there are over {COLUMNS:,}")
        for row in filter(None, reader):
            if len(row) != len(names):
                yield ValueError(
                    f"{path}, line {reader.line_num}: {len(row)} cells, where the first line names"
                    f" {len(names)} columns"
                )
                continue
            yield dict(zip(names, row))
    except csv.Error as error:
        raise ValueError(f"{path}: no csv ({error})") from None
    finally:
        csv.field_size_limit(before)


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise ValueError(f"{path}: it is read by pyarrow: pip install 'genlab[parquet]'") from None
    return pyarrow


def _parquet(path: Path, columns: list[str] | None) -> Iterator[Record]:
    """Texts stay numbers of a list of texts until a row is taken: a long one that a thousand rows
    have is a kilobyte in the file, and would be gigabytes in memory."""
    pyarrow = _pyarrow(path)
    try:
        with pyarrow.parquet.ParquetFile(path) as f:
            if len(f.schema_arrow.names) > COLUMNS:
                raise ValueError(f"{path}: over {COLUMNS:,} columns")
            leaves = [f.schema.column(i) for i in range(len(f.schema.names))]
            texts = [c.path for c in leaves if is_text(c)]
            kept = None if columns is None else [n for n in f.schema_arrow.names if n in columns]
        with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as f:
            number = 0
            for batch in f.iter_batches(batch_size=1024, columns=kept):
                sizes = _sizes(pyarrow, batch)
                for start, stop in _runs(sizes):
                    if int(sizes[start]) > LINE:
                        number += start + 1
                        raise ValueError(f"{path}, row {number}: over {LINE:,} bytes")
                    yield from batch.slice(start, stop - start).to_pylist()
                number += len(batch)
    except (pyarrow.ArrowException, OSError, OverflowError) as error:
        said = " ".join(str(error).split())[:120]
        raise ValueError(f"{path}: no Parquet file that can be read ({said})") from None


def is_text(leaf: Any) -> bool:
    """Whether a column of Parquet is texts or bytes, and lies in no list or mapping."""
    plain = leaf.physical_type == "BYTE_ARRAY" and leaf.path == leaf.name
    return plain and leaf.logical_type.type in ("STRING", "NONE")


def _sizes(pyarrow: Any, batch: Any) -> Any:
    """The bytes that the texts of each row have [rows], and 8 for each row."""
    import numpy as np

    sizes = np.full(len(batch), 8, np.int64)
    for column in batch.columns:
        if isinstance(column, pyarrow.DictionaryArray) and len(column.dictionary):
            lengths = pyarrow.compute.binary_length(column.dictionary).fill_null(0)
            index = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
            sizes += lengths.to_numpy(zero_copy_only=False).astype(np.int64)[index]
    return sizes


def _runs(sizes: Any) -> Iterator[tuple[int, int]]:
    """Rows that are taken together: so many as have LINE bytes, one at least."""
    start = total = 0
    for i, size in enumerate(sizes.tolist()):
        if i > start and total + size > LINE:
            yield start, i
            start, total = i, 0
        total += size
    if len(sizes):
        yield start, len(sizes)


def _saved(folder: Path, columns: list[str] | None) -> Iterator[Record]:
    """The rows of a saved data set; of several splits each row has its name as `split`."""
    if (folder / SPLITS).is_file():
        for name in _told(folder / SPLITS, "splits"):
            for row in _saved(folder / _plain(name, folder), columns):
                yield {**row, "split": name}
        return
    for entry in _told(folder / STATE, "_data_files"):
        named = entry.get("filename") if isinstance(entry, dict) else None
        yield from _arrow(folder / _plain(named, folder), columns)


def _told(path: Path, key: str) -> list[Any]:
    if not path.is_file():
        raise ValueError(f"{path.parent}: it has no {path.name}, as a saved data set has")
    found = _object(b" ".join(lines_of(path)), str(path)).get(key)
    if not isinstance(found, list) or len(found) > COLUMNS:
        raise ValueError(f"{path}: no list of {key}")
    return found


def _plain(name: Any, folder: Path) -> str:
    """A name of what lies in the folder, whatever the folder says."""
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
        raise ValueError(f"{folder}: it names {str(name)[:60]!r}, which does not lie in it")
    return name


def _arrow(path: Path, columns: list[str] | None) -> Iterator[Record]:
    pyarrow = _pyarrow(path)
    try:
        with pyarrow.memory_map(str(path)) as f, pyarrow.ipc.open_stream(f) as rows:
            for batch in rows:
                batch.validate(full=True)  # a stranger's offsets may lead anywhere
                kept = [n for n in batch.schema.names if columns is None or n in columns]
                yield from batch.select(kept).to_pylist()
    except (pyarrow.ArrowException, OSError, OverflowError) as error:
        said = " ".join(str(error).split())[:120]
        raise ValueError(f"{path}: no Arrow file that can be read ({said})") from None
