"""Documents one after another, each on one side of the split, without holding them all.

Read: `Documents` (a side, read anew each time it is gone through) and `sides` (which are held out).
A text too long to be held comes in parts: the first is a str, those that go on with it are `Rest`.
"""

from __future__ import annotations

import codecs
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genlab.data.origins import COLUMNS, Origin, Origins, origin_of
from genlab.data.records import Record, read_records
from genlab.rng import seed_of

PART = 2**22  # characters of a text that are taken at once
LONGEST = 16 * PART  # of a text without a space
VAL, TEST = ("val", "valid", "validation"), ("test",)
SPLIT = "split"  # the column that says a row's side
SHOWN = 12  # columns that are named in a message


class Rest(str):
    """What goes on with the document before it."""


class Documents:
    """The documents of one side; they are read each time they are gone through."""

    def __init__(self, read: Callable[[], Iterator[str]]) -> None:
        self.read = read

    def __iter__(self) -> Iterator[str]:
        return self.read()


def held(documents: Iterable[str], most: int) -> list[str] | None:
    """All documents, whole; None where they are over `most` bytes."""
    parts: list[list[str]] = []
    size = 0
    for text in documents:
        size += len(text.encode())
        if size > most:
            return None
        if isinstance(text, Rest):
            parts[-1].append(text)
        else:
            parts.append([text])
    return ["".join(texts) for texts in parts]


# --- which side ---------------------------------------------------------------------------------


class Place(NamedTuple):
    """What decides a document's side: `split` where it is said, else the hash of `key`."""

    key: str
    split: str | None = None


def sides(
    places: Iterable[Place], share: float, where: str, *, noun: str = "document"
) -> Callable[[Place], str | None]:
    """The side of each place, train or val; None: on neither.

    Where some are said to be held out, the column `split` is the split, and its test rows are val
    only where there are no others. Else a share of the keys is val, those of the least hashes: the
    same in every run, in whatever order, and equal keys are on one side.
    """
    hashes, named = array("Q"), set()
    for place in places:
        hashes.append(seed_of("document", place.key))
        named.add(place.split and place.split.lower())
        if len(named) > 100:
            raise ValueError(f"{where}: its column {SPLIT} has over 100 values; name it otherwise")
    if not hashes:
        raise ValueError(f"{where} has no {noun} with anything in it: name another")
    if held_out := next((names for names in (VAL, TEST) if named & {*names}), None):
        return lambda place: _said(place.split, held_out)
    keys = np.unique(np.frombuffer(hashes, np.uint64))
    if len(keys) < 2:
        raise ValueError(
            f"{where} has one {noun} (or group of them), so none is left for val: give two or more"
            " that differ" + ("; of one long text in a .txt the end is val" * (noun == "document"))
        )
    last = keys[min(len(keys) - 1, max(1, round(share * len(keys)))) - 1]
    return lambda place: "val" if seed_of("document", place.key) <= last else "train"


def _said(split: str | None, held_out: tuple[str, ...]) -> str | None:
    name = (split or "").lower()
    return "val" if name in held_out else None if name in (*VAL, *TEST) else "train"


# --- rows of a file -----------------------------------------------------------------------------


def clean(text: str) -> str:
    """The text without what is no character: half of a pair of surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def of_rows(
    path: Path, *, column: str, group: str | None, share: float, key: str = "data.path",
    told: Callable[[Origins], None] = lambda origins: None,
) -> tuple[Documents, Documents]:  # fmt: skip
    """Train and val of a file of rows, a document a row; rows without text are left out.

    Whenever all of train has been read, its origins are `told`.
    """
    where = f"{key}={path}"

    def rows() -> Iterator[tuple[Place, str, Origin, str]]:
        wanted = [column, SPLIT, *COLUMNS, *([group] if group else [])]
        for number, row in enumerate(read_records(path, columns=wanted), 1):
            for name, named in ((column, "column"), (group, "group")):
                if name is not None and name not in row:
                    raise ValueError(_missing(path, f"data.{named}={name}", number))
            text = row[column]
            if not isinstance(text, str | None):
                raise ValueError(
                    f"data.column={column}: row {number} of {path.name} has a {_kind(text)}, where"
                    " a text is wanted"
                )
            if text and text.strip():
                split = row.get(SPLIT)
                said = clean(text if group is None else str(row[group]))
                place = Place(said, None if split is None else str(split))
                yield place, clean(text), origin_of(row), f"{path.name}, row {number}"

    side = sides((place for place, *_ in rows()), share, where)

    def train() -> Iterator[str]:
        found = Origins("documents")
        for place, text, origin, name in rows():
            if side(place) == "train":
                found.add(origin, name)
                yield text
        told(found)

    def val() -> Iterator[str]:
        return (text for place, text, *_ in rows() if side(place) == "val")

    return Documents(train), Documents(val)


def _missing(path: Path, said: str, number: int) -> str:
    """What to say of a column that a row has not, with those that it has."""
    row: Record = next(islice(read_records(path), number - 1, None), {})
    there = [str(name)[:40] for name in row]
    shown = ", ".join(there[:SHOWN]) + (", ..." if len(there) > SHOWN else "")
    what = f"row {number} of {path.name} has no such column, but {shown}"
    return f"{said}: {what}: write {said.split('=')[0]}={there[0] if there else 'NAME'}"


def _kind(value: Any) -> str:
    return {bool: "truth value", int: "number", float: "number", list: "list", dict: "mapping"}.get(
        type(value), type(value).__name__
    )


# --- one long file ------------------------------------------------------------------------------


def of_file(path: Path, share: float, where: str) -> tuple[Documents, Documents]:
    """Train, the beginning of a UTF-8 file, and val, its end, by characters: read in parts."""
    at = int(sum(map(len, parts_of(path, where))) * (1 - share))

    def train() -> Iterator[str]:
        seen = 0
        for part in parts_of(path, where):
            if seen >= at:
                return
            yield (Rest if seen else str)(part[: at - seen])
            seen += len(part)

    def val() -> Iterator[str]:
        seen, begun = 0, False
        for part in parts_of(path, where):
            if seen + len(part) > at:
                yield (Rest if begun else str)(part[max(0, at - seen) :])
                begun = True
            seen += len(part)

    return Documents(train), Documents(val)


def parts_of(path: Path, where: str) -> Iterator[str]:
    """The text of a UTF-8 file in parts of about PART characters, each cut where `cut_at` says."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    done, whole, half = 0, "", ""  # `half`: a CR at the end, which may be half of a line's end
    with path.open("rb") as f:
        for block in chain(iter(lambda: f.read(PART), b""), [b""]):
            pending = len(decoder.getstate()[0])
            try:
                read = half + decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                at = done - pending + error.start
                raise ValueError(
                    f"{where} is not UTF-8 text: byte {at} is 0x{error.object[error.start]:02x};"
                    " convert it, as with iconv -t UTF-8"
                ) from None
            done += len(block)
            half = "\r" if block and read.endswith("\r") else ""
            whole += read.removesuffix(half).replace("\r\n", "\n")
            at = cut_at(whole) if block else len(whole)
            if not at and len(whole) > LONGEST:
                raise ValueError(f"{where}: a word of over {LONGEST:,} letters: is it text?")
            if at:
                yield whole[:at]
            whole = whole[at:]


def cut_at(text: str) -> int:
    """The last place between two words, at one line's end or space; 0 where there is none.

    There a tokenizer that `joins` gives the same ids of the two parts as of the whole: a pattern of
    words such as GPT-2's begins anew behind a line's end and before a space.
    """
    for mark, behind in (("\n", 1), (" ", 0)):
        at = len(text) - 1
        while (at := text.rfind(mark, 1, at)) >= 0:
            if not text[at - 1].isspace() and not text[at + 1].isspace():
                return at + behind
    return 0


def in_parts(text: str, size: int) -> Iterator[str]:
    """A long text in parts of about `size` characters, the first as it is, then `Rest`."""
    kind, at = type(text), 0
    while len(text) - at > size:
        end = at + cut_at(text[at : at + size])
        if end == at:
            break
        yield kind(text[at:end])
        kind, at = Rest, end
    yield kind(text[at:]) if at else text
