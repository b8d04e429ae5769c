"""What sampled text is like beside real text of the same amount: words, variety, copying.

All take lists of str, so they are the same for every tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

WORD = re.compile(r"\w+")
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that a window's hash depends on all its characters
SHIFT = np.uint64(64 - 22)


def words(texts: Sequence[str]) -> list[list[str]]:
    return [WORD.findall(text.lower()) for text in texts]


def word_metrics(texts: Sequence[str], known: set[str]) -> dict[str, float]:
    """known_words: share of words that are in `known`; distinct_2: distinct share of word pairs.

    distinct-n: Li et al. 2016, section 5; it falls with the amount of text, so compare equal
    amounts. known_words leaves out a text's first and last word, which may be cut, and words of one
    or two letters: among those, noise finds words too.
    """
    found = words(texts)
    whole = [w for line in found for w in line[1:-1] if len(w) > 2]
    pairs = [pair for line in found for pair in pairwise(line)]
    return {
        "known_words": sum(w in known for w in whole) / max(1, len(whole)),
        "distinct_2": len(set(pairs)) / max(1, len(pairs)),
    }


class Corpus:
    """A training text that can be asked whether passages stand in it word for word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.codes = _codes(text)

    def shared(self, queries: Sequence[np.ndarray], length: int) -> list[np.ndarray]:
        """For each query (character codes), which of its windows of `length` stand in the text."""
        # sort what is asked, which is short, and look the long text up in it
        mine = [windows(q, length) for q in queries]
        asked = np.unique(np.concatenate(mine))
        hit = np.zeros(len(asked), bool)
        # nearly all of the text fails one look into a table of the hashes' leading bits
        table = np.zeros(1 << 22, bool)
        table[asked >> SHIFT] = True
        for first in range(0, len(self.codes), 1 << 20):  # pieces overlap by length - 1
            there = windows(self.codes[first : first + (1 << 20) + length - 1], length)
            there = there[table[there >> SHIFT]]
            if len(asked) and len(there):
                at = np.searchsorted(asked, there).clip(max=len(asked) - 1)
                hit[at[asked[at] == there]] = True
        return [hit[np.searchsorted(asked, w)] for w in mine]

    def longest_copy(self, texts: Sequence[str]) -> str:
        """The longest passage of any of `texts` that stands in this text, letter by letter."""
        queries, found = [_codes(t) for t in texts], ""
        low, high = 0, max((len(q) for q in queries), default=0)
        while low < high:  # a shared passage's parts are shared: bisect the length
            length = (low + high + 1) // 2
            passage = self._confirmed(texts, self.shared(queries, length), length)
            if passage is None:
                high = length - 1
            else:
                low, found = length, passage
        return found

    def _confirmed(self, texts: Sequence[str], hits: list[np.ndarray], length: int) -> str | None:
        for text, hit in zip(texts, hits):
            for start in hit.nonzero()[0].tolist():
                if text[start : start + length] in self.text:  # a hash may collide
                    return text[start : start + length]
        return None

    def copied_share(self, texts: Sequence[str], length: int) -> float:
        """The share of characters in passages of `length` or more that stand in this text."""
        queries = [_codes(t) for t in texts]
        copied = total = 0
        for query, hit in zip(queries, self.shared(queries, length)):
            covered = np.zeros(len(query), bool)
            for start in hit.nonzero()[0].tolist():
                covered[start : start + length] = True
            copied, total = copied + int(covered.sum()), total + len(query)
        return copied / max(1, total)


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def windows(codes: np.ndarray, length: int) -> np.ndarray:
    """A hash (polynomial, modulo 2^64) of every window of `length` characters."""
    if len(codes) < length or length < 1:
        return np.zeros(0, np.uint64)
    value, power, step, out = codes.astype(np.uint64) + np.uint64(1), BASE, 1, None
    with np.errstate(over="ignore"):
        done, rest = 0, length
        while rest:  # value[i] hashes `step` characters from i; out[i] the first `done`
            if rest & 1:
                out = value if out is None else out[: len(value) - done] * power + value[done:]
                done += step
            rest >>= 1
            if rest:
                value = value[:-step] * power + value[step:]
                power, step = power * power, step * 2
    return out[: len(codes) - length + 1]
