"""Rules of rows: numbers as people write them, missing cells, limits, outliers, rounded copies."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, ClassVar, Literal

import numpy as np

from genlab.curation.base import Advice, Change, Each, Example, Kind, Leave, Note, Twin, Whole
from genlab.curation.rules.personal import Personal

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null")  # cells that say nothing, as in data=table
UNITS = r"(?:[%‰$€£¥₹₽₩₺₴]|USD|EUR|GBP|CHF|JPY)?"
NOTED = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+−]?)\s*{UNITS}\s*(?P<minus>[-+−]?)"
    rf"(?P<number>\d[\d.,' ’\u00a0\u202f]*(?:[eE][+-]?\d{{1,3}})?|\.\d+)\s*{UNITS}\s*(?P<close>\))?"
)
MARKS = r"[.,' ’\u00a0\u202f]"  # between groups of three digits
WHOLE = re.compile(rf"\d*|\d{{1,3}}({MARKS})\d{{3}}(?:\1\d{{3}})*")
OFF = 1 / 3  # of a step
MOST = 10_000  # columns that are looked at


class RowRule(Each):
    kinds: ClassVar[tuple[str, ...]] = ("table",)


class Missing(RowRule):
    """Not too many of a row's cells are missing, and none of some columns."""

    def __init__(
        self, *, most: float = 0.5, never: Sequence[str] = (), words: Sequence[str] = MISSING
    ) -> None:
        """`most`: the share of a row's cells; `never`: columns that must say something; `words`:
        cells that say nothing."""
        self.most, self.never, self.words = most, tuple(never), frozenset(words)

    def __call__(self, example: Example) -> Leave | None:
        gone = {k for k, v in example.data.cells.items() if v is None or v in self.words}
        for column in self.never:
            if column in gone or column not in example.data.cells:
                return Leave(f"no {column}")
        share = len(gone) / max(1, len(example.data.cells))
        if share <= self.most:
            return None
        return Leave(f"over {self.most:g} of its cells are missing", round(share, 3))


class Numbers(RowRule):
    """Cells of the columns that are numbers become plain ones: 1,234  3,5  $12  7 %  (12)."""

    def __init__(
        self, *, columns: Sequence[str], decimal: Literal[".", ","] = ".",
        otherwise: Literal["leave", "missing", "keep"] = "leave", words: Sequence[str] = MISSING,
    ) -> None:  # fmt: skip
        """`columns` of numbers; `decimal`: what parts the decimals where a cell leaves it open, as
        1,234 does; `otherwise`: what is done with a row whose cell is no number."""
        if decimal not in (".", ","):
            raise ValueError(f"decimal={decimal}: write . or ,")
        self.columns, self.decimal, self.words = tuple(columns), decimal, frozenset(words)
        self.otherwise = otherwise

    def __call__(self, example: Example) -> Leave | Change | None:
        row, cells, told = example.data, dict(example.data.cells), []
        for name in self.columns:
            if name not in cells:
                raise ValueError(f"there is no column {name!r}, which `numbers` is to read")
            value = cells[name]
            if not isinstance(value, str) or value in self.words or is_plain(value, row.typed):
                continue
            number = read_number(value, self.decimal)
            if number is None and self.otherwise == "leave":
                return Leave(f"{name}: no number", value[:100])
            if number is None and self.otherwise == "keep":
                continue
            gone = None if row.typed else ""
            cells[name] = gone if number is None else row.value(number)
            told.append(f"{name}={value[:40]}")
        if not told:
            return None
        data = replace(row, cells=cells)
        return Change("numbers as they are computed with", ", ".join(told), data=data, facts=cells)


def is_plain(text: str, typed: bool) -> bool:
    """Whether a text is a number as it stands; in a file with types a text never is."""
    return not typed and re.fullmatch(r"-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", text) is not None


def read_number(text: str, decimal: str = ".") -> float | None:
    """A number as people write it, None for what is none; units are not looked at, 7 % is 7.

    Of . and , the last is the decimal mark where both stand; one that groups three digits, as in
    1,234, is one only if `decimal` says so; any other is the decimal mark.
    """
    found = NOTED.fullmatch(text.strip())
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    body, _, power = found["number"].rstrip().lower().partition("e")
    whole, parts = halves(body, decimal)
    if not WHOLE.fullmatch(whole) or not re.fullmatch(r"\d*", parts) or not whole + parts:
        return None
    value = float(f"{re.sub(MARKS, '', whole) or 0}.{parts or 0}e{power or 0}")
    signs = (found["sign"], found["minus"], "-" if found["open"] else "")
    return None if not math.isfinite(value) else value * (-1) ** sum(s in ("-", "−") for s in signs)


def halves(body: str, decimal: str) -> tuple[str, str]:
    """The digits before and after the decimal mark."""
    marks = [c for c in body if c in ".,"]
    if not marks or (len(set(marks)) == 1 and len(marks) > 1):
        return body, ""
    whole, mark, parts = body.rpartition(marks[-1])
    grouped = re.fullmatch(r"[1-9]\d{0,2}", whole) and re.fullmatch(r"\d{3}", parts)
    return (body, "") if grouped and mark != decimal else (whole, parts)


class OutOfRange(RowRule):
    """Numbers stay between the limits that are stated of their columns."""

    def __init__(self, *, limits: Mapping[str, Sequence[float | None]]) -> None:
        """`limits`: {COLUMN: [least, most]}, null for none; a missing cell is within."""
        for name, pair in limits.items():
            if (
                not isinstance(pair, Sequence)
                or len(pair) != 2
                or (None not in pair and pair[0] > pair[1])
            ):
                raise ValueError(f"limits.{name}={pair}: write [LEAST, MOST], null for none")
        self.limits = {name: tuple(pair) for name, pair in limits.items()}

    def __call__(self, example: Example) -> Leave | None:
        for name, (low, high) in self.limits.items():
            number = number_of(example.data.cells.get(name))
            if number is None:
                continue
            if low is not None and number < low:
                return Leave(f"{name} under {low:g}", number)
            if high is not None and number > high:
                return Leave(f"{name} over {high:g}", number)
        return None


def number_of(cell: Any) -> float | None:
    """A cell's number; None where it is missing or no number."""
    if isinstance(cell, bool) or cell is None:
        return None
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


class Outlying(Whole):
    """Numbers are not far outside of where the middle half of their column lies (Tukey 1977)."""

    kinds = ("table",)

    def __init__(self, *, columns: Sequence[str] | None = None, far: float = 3.0) -> None:
        """`columns`, null: all whose cells are numbers; `far`: quartile ranges beyond a quartile,
        from which on a number is left out (Tukey calls those over 3 far out)."""
        self.columns, self.far = columns if columns is None else tuple(columns), far

    def sketch(self, example: Example, kind: Kind) -> bytes:
        cells = example.data.cells
        names = list(cells)[:MOST] if self.columns is None else self.columns
        found = {n: number_of(cells.get(n)) for n in names}
        return json.dumps({n: x for n, x in found.items() if x is not None}).encode()

    def decide(self, sketches: Sequence[bytes]) -> dict[int, Leave | Note]:
        rows = [json.loads(s) for s in sketches]
        found: dict[int, Leave | Note] = {}
        for name in sorted({name for row in rows for name in row}):
            values = np.array([row[name] for row in rows if name in row])
            first, third = np.quantile(values, [0.25, 0.75])
            reach = self.far * (third - first)
            if reach == 0:
                continue  # most are one number: nothing is said of how far others may be
            for i, row in enumerate(rows):
                if name in row and not first - reach <= row[name] <= third + reach:
                    found.setdefault(i, Leave(f"{name} is far out", row[name]))
        return found


class Rounded(Whole):
    """The same row again when numbers are rounded and texts are of one case, without spaces."""

    kinds = ("table",)

    def __init__(self, *, digits: int = 4, without: Sequence[str] = ()) -> None:
        """`digits` of a number that are looked at; `without`: columns that are not, as an id."""
        if digits < 1:
            raise ValueError(f"digits={digits}: a whole number from 1 on")
        self.step, self.without = 10 ** (digits - 1), frozenset(without)

    def sketch(self, example: Example, kind: Kind) -> bytes:
        cells = example.data.cells
        told = [(k, self.rounded(v)) for k, v in cells.items() if k not in self.without]
        return blake2b(json.dumps(told).encode(), digest_size=16).digest()

    def rounded(self, cell: Any) -> str:
        number = number_of(cell)
        if number is not None:
            power = math.floor(math.log10(abs(number))) if number else 0
            # where a step ends is no number that people write, as 0.5 steps are
            steps = math.floor(float(f"{number:.15e}".partition("e")[0]) * self.step + OFF)
            return f"{steps}e{power}"
        return "" if cell is None else " ".join(str(cell).split()).casefold()

    def decide(self, sketches: Sequence[bytes]) -> dict[int, Leave | Note]:
        first: dict[bytes, int] = {}
        found: dict[int, Leave | Note] = {}
        for i, key in enumerate(sketches):
            if (at := first.setdefault(key, i)) != i:
                found[i] = Leave("the same when rounded as", Twin(at))
        return found


class IdleColumns(Whole):
    """Columns that teach nothing are named: of one value, or of another in nearly each row."""

    kinds = ("table",)

    def __init__(self, *, share: float = 0.95) -> None:
        """`share` of the rows that have a value of their own in a column: an identifier's. Numbers
        with decimals are none."""
        self.share = share

    def sketch(self, example: Example, kind: Kind) -> bytes:
        cells = list(example.data.cells.items())[:MOST]
        return json.dumps([[k, str(v)[:200], is_name(v)] for k, v in cells]).encode()

    def decide(self, sketches: Sequence[bytes]) -> dict[int, Leave | Note]:
        return {}

    def tells(self, sketches: Sequence[bytes]) -> Iterator[Advice]:
        seen: dict[str, Counter] = {}
        names: dict[str, bool] = {}
        for sketch in sketches:
            for column, cell, name in json.loads(sketch):
                digest = blake2b(cell.encode("utf-8", "replace"), digest_size=8).digest()
                seen.setdefault(column, Counter())[digest] += 1
                names[column] = names.get(column, True) and name
        for column, cells in seen.items():
            if len(cells) == 1 and len(sketches) > 1:
                yield Advice(f"column {column!r} has one value: data.drop leaves it out", column)
            elif names[column] and len(cells) >= self.share * len(sketches) > 10 * self.share:
                said = f"column {column!r} has another value in nearly each row, as identifiers do"
                yield Advice(f"{said}: data.drop leaves it out", column)


def is_name(cell: Any) -> bool:
    """Whether a cell may be an identifier: a text or a whole number."""
    number = number_of(cell)
    return number is None or number.is_integer()


class PersonalCells(RowRule):
    """Personal data in cells that are texts are written over, or their row is left out."""

    def __init__(
        self, *, find: Sequence[str] = Personal.ALLOWED, action: Literal["mask", "leave"] = "mask",
        names: str | None = None, columns: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        """As `personal`; `columns` that are looked at, null: all."""
        self.personal = Personal(find=find, action=action, names=names)
        self.columns = None if columns is None else frozenset(columns)

    def __call__(self, example: Example) -> Leave | Change | None:
        cells, found = dict(example.data.cells), []
        for name, cell in example.data.cells.items():
            looked = self.columns is None or name in self.columns
            if looked and isinstance(cell, str) and number_of(cell) is None:
                cells[name], kinds = self.personal.masked(cell)
                found += kinds
        if not found:
            return None
        value = ", ".join(f"{found.count(k)} {k}" for k in dict.fromkeys(found))
        if self.personal.action == "leave":
            return Leave("personal data", value)
        data = replace(example.data, cells=cells)
        return Change("personal data", value, data=data, facts=cells)
