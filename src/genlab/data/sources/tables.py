"""Where a table's cells come from: a file of one's own (csv, Parquet, jsonl), or a known set.

Read: a source gives `Cells`: the columns' names, the training rows, and test rows where the set has
some. What the cells mean is for data/table.py.
"""

from __future__ import annotations

import csv
import gzip
import io
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from genlab.data import files
from genlab.data.archives import BLOCK
from genlab.data.columns import Kind
from genlab.data.naming import listed
from genlab.data.origins import Origin, Traced
from genlab.data.records import is_records
from genlab.data.sources.typed import typed

BYTES, RATIO = 2**32, 50  # of a file, unpacked; and over its size packed
COLUMNS = 10_000
SPLITS = ("train", "val", "test")  # as a column names them
Rows = list[list[str]]


@dataclass
class Cells:
    """What a source gives: the columns' names, and rows of as many cells."""

    names: list[str]
    train: Rows
    test: Rows | None = None  # where the set has a split of its own
    name: str = "the table"
    val: Rows | None = None  # where the set has held-out rows of its own
    kinds: dict[str, Kind] = field(default_factory=dict)  # of columns that are not to be inferred


class TableSource(Traced, ABC):
    """Where rows come from."""

    known: ClassVar[bool] = True  # a set whose columns are known, no file of one's own

    def prepare(self) -> None:
        """Look for what is needed; any number of processes may call it."""

    @abstractmethod
    def cells(self) -> Cells:
        """All rows, as they are written."""


class CsvFile(TableSource):
    """A file of rows, and one of test rows where there is one.

    A csv file with a header (UTF-8; also .gz); or Parquet, jsonl or a saved data set, which say
    themselves of which type a column is.
    """

    as_text = (".csv", ".csv.gz", ".tsv")

    known = False

    def __init__(
        self, *, path: str | None, test_path: str | None = None, delimiter: str = ",",
        split: str | None = None,
    ) -> None:  # fmt: skip
        """`split`: a column that says train, val or test of each row, and is no part of it."""
        delimiter = delimiter.replace("\\t", "\t")  # as people type a tab
        if len(delimiter) != 1:
            raise ValueError(f"data.delimiter={delimiter!r}: write one character, \\t for a tab")
        self.path, self.test_path, self.delimiter = path, test_path, delimiter
        self.split = split

    def cells(self) -> Cells:
        if self.path is None:
            raise ValueError("data.path=null: which file? write data.path=FILE")
        names, train, kinds = self._read("path", self.path)
        if self.split is not None:
            return self._cut(names, train, kinds)
        test = None
        if self.test_path is not None:
            theirs, test, _ = self._read("test_path", self.test_path)
            if theirs != names:
                raise ValueError(
                    f"data.test_path={self.test_path}: its columns are not those of"
                    f" {self.path}: give both the same header"
                )
        return Cells(names, train, test, name=Path(self.path).name, kinds=kinds)

    def _cut(self, names: list[str], rows: Rows, kinds: dict[str, Kind]) -> Cells:
        """The rows of each split, without the column that says it."""
        where = f"data.split={self.split}"
        if self.test_path is not None:
            raise ValueError(f"{where}: data.test_path says which rows are the test: leave one out")
        if self.split not in names:
            raise ValueError(f"{where}: {self.path} has no such column; there are {listed(names)}")
        at = names.index(self.split)
        parts: dict[str, Rows] = {name: [] for name in SPLITS}
        for number, row in enumerate(rows, 1):
            if row[at] not in parts:
                raise ValueError(
                    f"{where}: row {number} says {row[at][:40]!r}; allowed are {', '.join(SPLITS)}"
                )
            parts[row[at]].append(row[:at] + row[at + 1 :])
        kinds = {name: kind for name, kind in kinds.items() if name != self.split}
        return Cells(
            names[:at] + names[at + 1 :], parts["train"], parts["test"] or None,
            name=Path(self.path).name, val=parts["val"] or None, kinds=kinds,
        )  # fmt: skip

    def _read(self, key: str, path: str) -> tuple[list[str], Rows, dict[str, Kind]]:
        file = Path(path).expanduser()
        if is_records(file) and file.exists() and not file.name.lower().endswith(self.as_text):
            return typed(file, f"data.{key}={path}")
        return (*self._opened(key, path), {})

    def _opened(self, key: str, path: str) -> tuple[list[str], Rows]:
        where, file = f"data.{key}={path}", Path(path).expanduser()
        if not file.is_file():
            raise FileNotFoundError(
                f"{where}: it is a folder; pictures are data=image_folder data.root={path}"
                if file.is_dir()
                else f"{where}: there is no such file"
            )
        try:
            packed, size = file.suffix == ".gz", file.stat().st_size
            most = min(BYTES, RATIO * size + BLOCK) if packed else BYTES
            with gzip.open(file) if packed else file.open("rb") as f:
                # what is asked for is allocated, however little there is
                contents = f.read((most if packed else min(most, size)) + 1)
        except (OSError, EOFError) as error:
            raise ValueError(f"{where}: it cannot be read ({error})") from None
        if len(contents) > most:
            what = f"over {BYTES // 2**30} GiB" if most == BYTES else f"over {RATIO} times its size"
            raise ValueError(f"{where}: {what}, unpacked; give a part of it")
        return parsed(contents, where=where, delimiter=self.delimiter)


def parsed(contents: bytes, *, where: str, delimiter: str = ",") -> tuple[list[str], Rows]:
    """(names, rows) of a csv file; cells without the spaces around them."""
    try:
        contents.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not UTF-8 text: byte {error.start} is"
            f" 0x{error.object[error.start]:02x}; convert it, as with iconv -t UTF-8"
        ) from None
    text = io.TextIOWrapper(io.BytesIO(contents), "utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    rows, wrong, known = [], None, {}
    try:
        names = [n.strip() or f"column {i}" for i, n in enumerate(next(reader, []), 1)]
        for row in filter(None, reader):
            # a text that comes again is kept once
            rows.append([known.setdefault(c, c) for c in map(str.strip, row)])
            if len(row) != len(names):
                wrong = len(rows) - 1
                break
    except csv.Error as error:
        raise ValueError(f"{where}, line {reader.line_num}: {error}") from None
    twice = next((n for n, num in Counter(names).items() if num > 1), None)
    if len(names) > COLUMNS:
        raise ValueError(f"{where}: {len(names):,} columns, {COLUMNS:,} at most")
    other = next(
        (c for c in (",", ";", "\t", "|") if c != delimiter and _parts(c, [names, *rows])), ""
    )
    if other:
        written = other.replace("\t", "\\t")
        raise ValueError(
            f"{where}: one column, {names[0][:60]!r}: write 'data.delimiter=\"{written}\"'"
        )
    if not names:
        raise ValueError(f"{where} is empty: its first line names the columns")
    if twice is not None:
        raise ValueError(f"{where} has two columns called {twice!r}: the first line names them")
    if wrong is not None:
        raise ValueError(
            f"{where}, row {wrong + 1}: {len(rows[wrong])} cells, the first line has {len(names)}"
            " (data.delimiter says what parts them)"
        )
    return names, rows


def _parts(delimiter: str, lines: list[list[str]]) -> bool:
    """Whether this delimiter parts lines of one cell alike, the first into names."""
    if any(len(line) != 1 for line in lines):
        return False
    counts = {line[0].count(delimiter) for line in lines}
    named = all(name.strip() for name in lines[0][0].split(delimiter))
    return named and len(counts) == 1 and counts != {0}


class Adult(TableSource):
    """Adult (census income): 32,561 + 16,281 people, 15 columns (Becker & Kohavi 1996, UCI)."""

    folder: ClassVar = "adult"
    # as UCI's page of the set says
    origin: ClassVar = Origin("CC-BY-4.0", "https://archive.ics.uci.edu/dataset/2/adult")
    why: ClassVar = (
        " (UCI Adult, https://archive.ics.uci.edu/dataset/2/adult: a header put before it, spaces"
        " and the dots of test's labels taken away, packed by gzip)"
    )
    contents: ClassVar = {  # unpacked: (bytes, sha256)
        "train.csv.gz": (
            3518606,
            "f2c62076f19504d99a38b22badf445a7f42530ade6b827acf78dd143fbce38bb",
        ),
        "test.csv.gz": (
            1759072,
            "f6b1801c5d231515ea5ff04d4444997bacd57e04876e94710cb9b9bd5549c033",
        ),
    }

    def __init__(self, *, root: str | None = None) -> None:
        """`root`: the folder of train.csv.gz and test.csv.gz, null looks (see files.py)."""
        self.root = root

    def prepare(self) -> None:
        for file in self.contents:
            if files.find(file, name=self.folder, root=self.root) is None:
                raise files.missing(file, name=self.folder, root=self.root, why=self.why)

    def cells(self) -> Cells:
        found = []
        for file, (size, digest) in self.contents.items():
            path = files.require(file, name=self.folder, root=self.root)
            contents = files.read(path, sha256=digest, size=size, packed=True)
            found.append(parsed(contents, where=str(path)))
        (names, train), (_, test) = found
        return Cells(names, train, test, name="Adult")
