"""Near copies of texts and music: half of an example stands in long runs that train has too.

Read: `common` (which items of one sequence stand in runs of another), then what an item is: a word,
in whatever case and with whatever between; a chord and the step to it, in whatever key. 13 words in
a row are what GPT-3 took for an overlap (Brown et al. 2020, appendix C).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from genlab.metrics import language
from genlab.metrics.near import Found, Near, Progress, hashed
from genlab.metrics.report import Data, subset

RUN = 13  # items in a row
HALF = 0.5  # of an example's items, from which on it is a near copy
PIECE = 2**22  # letters that are taken at once
LONGEST = 64  # letters of a word that count
STRETCH = 64  # windows that follow on one another, where not all are looked at
ONES = np.array([chr(i).isalnum() or chr(i) == "_" for i in range(2**16)])  # as \w in Python's re


def words(text: str) -> tuple[np.ndarray, np.ndarray]:
    """The words of a text: a hash of each [W] uint64, and where it begins [W]."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    inside = np.where(codes < 2**16, ONES[codes.clip(max=2**16 - 1)], True)
    begins = np.flatnonzero(inside & ~np.concatenate([[False], inside[:-1]]))
    if not len(begins):
        return np.zeros(0, np.uint64), begins
    at = np.flatnonzero(inside)
    word = np.searchsorted(begins, at, side="right") - 1  # the number of the word it is in
    place = np.minimum(at - begins[word], LONGEST)
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(LONGEST + 1, language.BASE, np.uint64), dtype=np.uint64)
        terms = (codes[at].astype(np.uint64) + np.uint64(1)) * powers[place]
        firsts = np.searchsorted(at, begins)
        return np.add.reduceat(terms, firsts), begins


def common(mine: np.ndarray, pieces: Iterator[np.ndarray]) -> np.ndarray:
    """Which items of a sequence [W] stand in RUN in a row that one of `pieces` has too [W] bool."""
    asked = np.unique(language.windows(mine, RUN))
    hit = np.zeros(len(asked), bool)
    for piece in pieces:
        there = np.unique(language.windows(piece, RUN))
        if len(asked) and len(there):
            at = np.searchsorted(asked, there).clip(max=len(asked) - 1)
            hit[at[asked[at] == there]] = True
    found = np.zeros(len(mine) + 1, np.int64)
    if len(asked):
        runs = np.flatnonzero(hit[np.searchsorted(asked, language.windows(mine, RUN))])
        np.add.at(found, runs, 1)
        np.add.at(found, runs + RUN, -1)
    return found.cumsum()[: len(mine)] > 0


def half(shared: np.ndarray, owner: np.ndarray, num: int) -> Tensor:
    """Which of `num` examples have at least HALF of their items shared [num]; `owner` of each."""
    all_of = np.bincount(owner, minlength=num)
    these = np.bincount(owner[shared], minlength=num)
    return torch.from_numpy((all_of > 0) & (these >= HALF * all_of))


class WordRuns(Near):
    """Windows of text at least half of whose words stand in runs of 13 that train has."""

    said = f"at least half of the words in runs of {RUN} that stand in the training text"

    def __call__(self, data: Data, ids: Tensor, progress: Progress = lambda share: None) -> Found:
        from genlab.metrics.text import MOST, documents

        texts: list[str] = []
        apart = torch.cat([ids.diff() != 1, torch.ones(1, dtype=torch.bool)])
        for part, breaks in zip(ids.split(4096), apart.split(4096)):
            x = data.val.batch(part, None)["x"]
            # <|end|> is trimmed, but parts two documents
            ends = ((x[:, -1] == 0) | breaks).tolist()
            texts += [(t + "\n" * end).lower() for t, end in zip(documents(data, x), ends)]
        hashes, begins = words("".join(texts))
        edges = np.cumsum([0, *map(len, texts)])
        owner = np.searchsorted(edges, begins, side="right") - 1
        stream, done = data.train.stream[:MOST], 0

        def pieces() -> Iterator[np.ndarray]:
            nonlocal done
            for part in stream.split(PIECE):
                done += len(part)
                progress(done / len(stream))
                yield words(documents(data, part[None])[0].lower())[0]

        return Found(half(common(hashes, pieces()), owner, len(ids)), len(data.train))

    def some(self, length: int, num: int) -> Tensor:
        """Stretches of windows: a run may go on from one to the next."""
        if num >= length:
            return torch.arange(length)
        firsts = subset(-(-length // STRETCH), max(1, num // STRETCH)) * STRETCH
        ids = (firsts[:, None] + torch.arange(STRETCH)).flatten()
        return ids[ids < length]


class NoteRuns(Near):
    """Pieces at least half of whose chords stand in runs of 13 that a training piece has."""

    said = f"at least half of the chords in runs of {RUN} of a training piece, in whatever key"

    def __call__(self, data: Data, ids: Tensor, progress: Progress = lambda share: None) -> Found:
        from genlab.metrics.rolls import pieces

        train, held_out = pieces(data.train), pieces(data.val)
        mine = [chords(held_out[i]) for i in ids.tolist()]
        ends = [np.array([hashed(f"end {i}".encode())], np.uint64) for i in range(len(mine))]
        whole = np.concatenate([part for both in zip(mine, ends) for part in both])
        owner = np.repeat(np.arange(len(mine)), [len(m) + 1 for m in mine])
        shared = common(whole, (chords(piece) for piece in train))
        played = np.concatenate([np.arange(len(m) + 1) < len(m) for m in mine])
        return Found(half(shared[played], owner[played], len(ids)), len(train))


def chords(roll: np.ndarray) -> np.ndarray:
    """The chords of a piece [T, K], held ones once: of each its intervals and the step to it [C].

    The first has no step, so that a piece in another key is the same throughout.
    """
    frames = roll > 0
    new = np.concatenate([[True], (frames[1:] != frames[:-1]).any(1)]) & frames.any(1)
    lowest = frames.argmax(1)
    found, before = [], None
    for t in np.flatnonzero(new):
        low = int(lowest[t])
        step = 0 if before is None else low - before
        above = np.packbits(frames[t, low:]).tobytes().rstrip(b"\0")
        found.append(hashed(bytes([step + 128]) + above))
        before = low
    return np.array(found, np.uint64)
