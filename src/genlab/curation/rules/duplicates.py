"""Duplicates: what was there before, bit for bit or nearly.

Read: `Exact`, then `Near` and the sketches that it may look at: `Words` for text (MinHash; Broder
1997), `Look` for pictures. Near ones are found by bands of the sketch that are equal (locality-
sensitive hashing), then each pair is compared; of two like ones the first stays.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np

from genlab.curation.base import Example, Kind, Leave, Note, Twin, Whole


class Exact(Whole):
    """The same data again, whatever they are called."""

    def sketch(self, example: Example, kind: Kind) -> bytes:
        return blake2b(kind.dump(example.data), digest_size=16).digest()

    def decide(self, sketches: Sequence[bytes]) -> dict[int, Leave | Note]:
        first: dict[bytes, int] = {}
        found: dict[int, Leave | Note] = {}
        for i, key in enumerate(sketches):
            if (at := first.setdefault(key, i)) != i:
                found[i] = Leave("the same as", Twin(at))
        return found


class Sketch(ABC):
    """What `Near` looks at of an example: a fixed number of bytes."""

    kinds: ClassVar[tuple[str, ...]]

    @abstractmethod
    def of(self, data: Any) -> bytes: ...

    @abstractmethod
    def bands(self, sketches: np.ndarray) -> Iterator[np.ndarray]:
        """Of sketches [N, bytes]: keys [N] uint64, band by band; like ones share one somewhere."""

    @abstractmethod
    def alike(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Whether sketches a [P, bytes] and b [P, bytes] are of near duplicates [P]."""


class Runs(Sketch):
    """MinHash over an example's runs: how large a share of the runs of two is in both.

    With `bands` of `rows` each, a pair of similarity s is found with probability
    1 - (1 - s^rows)^bands: 0.98 at 0.6 with 28 bands of 4; with 14 of 8 (FineWeb's) 0.21. It is
    left out if the estimate from all hashes is `least` or more.
    """

    def __init__(self, *, n: int, bands: int, rows: int, least: float) -> None:
        """`n`: what a run is long."""
        if min(n, bands, rows) < 1 or not 0 < least <= 1:
            raise ValueError(f"n={n} bands={bands} rows={rows} least={least}: from 1 on, a share")
        self.n, self.num_bands, self.rows, self.least = n, bands, rows, least

    @abstractmethod
    def runs_of(self, data: Any) -> Sequence[str]:
        """The runs of an example, as texts."""

    def of(self, data: Any) -> bytes:
        from genlab.curation.rules.minhash import minhash

        return minhash(self.runs_of(data), self.num_bands * self.rows).tobytes()

    def bands(self, sketches: np.ndarray) -> Iterator[np.ndarray]:
        hashes = sketches.view(np.uint16)
        for i in range(self.num_bands):
            yield joined(hashes[:, i * self.rows : (i + 1) * self.rows])

    def alike(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a.view(np.uint16) == b.view(np.uint16)).mean(1) >= self.least


class Words(Runs):
    """Runs of words of a text, by which candidates are found, and its single words beside them.

    Words that are changed here and there take n runs each, and a passage that is another's takes
    as many runs as words: in the mean of both shares the first stays high, as the runs alone do
    not tell (one word in 50: 0.83 of the runs, 0.98 of the words; half a page: 0.5 of both).
    """

    kinds = ("text",)
    SINGLE: ClassVar = 64  # hashes of single words

    def __init__(self, *, n: int = 5, bands: int = 28, rows: int = 4, least: float = 0.75) -> None:
        super().__init__(n=n, bands=bands, rows=rows, least=least)

    def runs_of(self, data: str) -> list[str]:
        return runs(data, self.n)

    def of(self, data: str) -> bytes:
        from genlab.curation.rules.minhash import minhash

        words = words_of(data)
        in_runs = minhash(joined_words(words, self.n), self.num_bands * self.rows)
        return in_runs.tobytes() + minhash([*{*words}], self.SINGLE).tobytes()

    def alike(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        same = a.view(np.uint16) == b.view(np.uint16)
        in_runs, in_words = same[:, : -self.SINGLE].mean(1), same[:, -self.SINGLE :].mean(1)
        return (in_runs + in_words) / 2 >= self.least


def words_of(text: str) -> list[str]:
    """Its words, in lower case without marks."""
    return re.findall(r"\w+", text.lower())


def runs(text: str, n: int) -> list[str]:
    """All runs of n words; of a shorter text the whole of it."""
    return joined_words(words_of(text), n)


def joined_words(words: list[str], n: int) -> list[str]:
    return [" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1))]


def joined(columns: np.ndarray) -> np.ndarray:
    """Rows of numbers [N, R] as one key each [N] uint64 (FNV-1a over the numbers)."""
    key = np.full(len(columns), 0xCBF29CE484222325, np.uint64)
    for column in columns.T:
        key = (key ^ column) * np.uint64(0x100000001B3)
    return key


class Near(Whole):
    """What is nearly the same as something before it, by what `sketch` looks at."""

    MOST: ClassVar = 200  # pairs of one key that are compared: with the first of it, then

    def __init__(self, sketch: Sketch) -> None:
        self.by = sketch
        self.kinds = sketch.kinds  # type: ignore[misc]

    def sketch(self, example: Example, kind: Kind) -> bytes:
        return self.by.of(example.data)

    def decide(self, sketches: Sequence[bytes]) -> dict[int, Leave | Note]:
        """One that is alike to one before it, which stays, is left out: likeness is not handed on,
        or a chain of small steps would end at what is not alike at all."""
        if not sketches:
            return {}
        held = np.frombuffer(b"".join(sketches), np.uint8).reshape(len(sketches), -1)
        found: dict[int, Leave | Note] = {}
        for a, b in self.pairs(held).tolist():  # by b, then by a
            if a not in found and b not in found:
                found[b] = Leave("nearly the same as", Twin(a))
        return found

    def pairs(self, held: np.ndarray) -> np.ndarray:
        """The pairs (a, b), a before b, that are alike [P, 2], in the order of b, then a."""
        num, known = len(held), np.empty(0, np.int64)
        right = [np.empty((0, 2), np.int64)]
        for keys in self.by.bands(held):
            order = np.argsort(keys, kind="stable")
            ends = np.flatnonzero(np.diff(keys[order], append=~keys[order[-1:]])) + 1
            sizes = np.diff(ends, prepend=0)
            groups = (order[e - n : e] for e, n in zip(ends[sizes > 1], sizes[sizes > 1]))
            pairs = [pairs_of(members, self.MOST) for members in groups]
            if not pairs:
                continue
            numbers = np.unique(np.concatenate(pairs) @ np.array([1, num]))  # b * num + a
            numbers = np.setdiff1d(numbers, known, assume_unique=True)
            known = np.union1d(known, numbers)
            for i in range(0, len(numbers), 4096):
                b, a = np.divmod(numbers[i : i + 4096], num)
                alike = self.by.alike(held[a], held[b])
                right.append(np.stack([a[alike], b[alike]], 1))
        pairs = np.concatenate(right)
        return pairs[np.lexsort(pairs.T)]


def pairs_of(members: np.ndarray, most: int) -> np.ndarray:
    """Pairs [P, 2] of those that share a key: each with the one before it and with the first."""
    members = np.sort(members)
    if len(members) * (len(members) - 1) // 2 <= most:
        a, b = np.triu_indices(len(members), 1)
        return np.stack([members[a], members[b]], 1)
    before = np.stack([members[:-1], members[1:]], 1)
    return np.concatenate(
        [before, np.stack([np.full(len(members) - 2, members[0]), members[2:]], 1)]
    )
