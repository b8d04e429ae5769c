"""Pieces of music as notes, whether they were learned as events or as frames.

Read: `counted` says what is counted of a piece, `key_of` which key it is in, `Spelling` what a
passage is. Each distance is the total variation of two histograms: of samples, and of held-out
pieces cut to as many tokens or frames; 0 of equal ones, 1 of such that have nothing in common:

  pitch_class_distance  the twelve tones, whatever the octave
  pitch_distance        the keys
  interval_distance     the steps, in semitones, of the highest note from a start to the next
  harmony_distance      the intervals, within an octave, between notes that start together
  rhythm_distance       from a start to the next, in 24ths of a quarter (inter-onset intervals)
  duration_distance     how long notes last, in 24ths of a quarter
  polyphony_distance    how many notes sound at a start
  key_distance          the 24 keys that pieces are in (Krumhansl & Schmuckler; Krumhansl 1990)

key_clarity is the mean correlation of a piece's tones with its key's profile: low where notes are
in no key. Their floor is as many training pieces. A passage is notes in a row, in the order of
their starts and pitches: it is copied where a training piece has the same intervals at the same
distances in time, in whatever key. longest_copy is the longest, in notes; copied_share the share of
notes in such passages of `copy_length` or more; their floor is what held-out pieces score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from genlab.metrics.base import Evaluation, Samples, check_count
from genlab.metrics.interval import jackknife, share_interval
from genlab.metrics.language import Corpus
from genlab.metrics.report import Data, Model, Report, subset
from genlab.metrics.rolls import variation

UNITS = 24  # of a quarter: starts and lengths are counted in these
LONGEST = 8 * UNITS  # longer notes and gaps count as so long
WIDTHS = {
    "pitch_class": 12, "pitch": 128, "interval": 255, "harmony": 12, "rhythm": LONGEST + 1,
    "duration": LONGEST + 1, "polyphony": 129, "key": 24,
}  # fmt: skip
# how well each tone fits into C major and C minor (Krumhansl & Kessler 1982)
PROFILES = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)
Notes = np.ndarray  # [N, 3]: start and length in quarters, pitch; in order of start and pitch


class MusicEvaluation(Evaluation):
    """Pieces as events, against held-out ones and, for copies, against the training pieces."""

    kind = "music"
    least = 2

    def __init__(
        self,
        *,
        num_samples: int = 100,
        chunk: int = 50,
        copy_length: int = 16,
        max_train: int = 20_000,
        pairs: int = 6,
        likelihood_examples: int | None = None,
    ) -> None:
        """As `Evaluation`; `copy_length`: notes in a row that stand in a training piece count as
        copied; `max_train`: pieces that copies are looked for in; `pairs` of a sample and the
        training piece it shares its longest passage with."""
        check_count("copy_length", copy_length, 2)
        check_count("max_train", max_train, 1)
        check_count("pairs", pairs, 0)
        super().__init__(
            num_samples=num_samples, chunk=chunk, likelihood_examples=likelihood_examples
        )
        self.copy_length, self.max_train, self.pairs = copy_length, max_train, pairs

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        mine, num = data.heard(samples.x), len(data.train.lengths)
        real = data.tunes(data.val, whole=False)
        floor = data.tunes(data.train, subset(num, len(mine)).tolist(), whole=False)
        theirs = histograms(real)
        for pieces, values, into in (
            (mine, report.metrics, report.interval),
            (floor, report.floor, report.floor_interval),
        ):
            rows, clear = histograms(pieces), clarity(pieces)

            def measured(ids: Any, rows=rows, clear=clear) -> dict[str, float]:
                part = {name: values[ids] for name, values in rows.items()}
                return {**distances(part, theirs), "key_clarity": float(clear[ids].mean())}

            found = measured(np.arange(len(pieces)))
            values |= found
            parts = jackknife(lambda ids, m=measured: m(ids.numpy()), len(pieces), found)
            limits = {n: (-1.0 if n == "key_clarity" else 0.0, 1.0) for n in parts}
            into |= {
                n: (max(limits[n][0], low), min(limits[n][1], high))
                for n, (low, high) in parts.items()
            }
        self.copies(report, data, samples, mine, real)
        report.notes |= {
            "num_train": min(num, self.max_train),
            "num_floor": len(floor),
            "num_notes": sum(map(len, mine)),
            "copy_length": self.copy_length,
            "floor": "training pieces cut as samples are; of copies, held-out pieces",
        }
        if empty := sum(not len(notes) for notes in mine):
            report.notes["num_without_notes"] = empty
        report.pictures["samples"] = samples.x
        self.more(report, data, samples)

    def more(self, report: Report, data: Data, samples: Samples) -> None:
        """well_formed_share: of tokens, those that stand where one of their kind may."""
        wrong, num = data.slips(samples.x)
        report.metrics["well_formed_share"] = 1 - wrong / max(1, num)
        report.floor["well_formed_share"] = 1.0
        if num:
            report.interval["well_formed_share"] = share_interval(num - wrong, num)

    def copies(
        self,
        report: Report,
        data: Data,
        samples: Samples,
        mine: Sequence[Notes],
        real: Sequence[Notes],
    ) -> None:
        """longest_copy in notes, copied_share, and the pairs to look at."""
        self.tell("looking for copies", 0)
        spelling = Spelling()
        chosen = subset(len(data.train.lengths), self.max_train).tolist()
        lines = [spelling(notes) for notes in data.tunes(data.train, chosen)]
        corpus = Corpus("\0".join(lines))
        steps = self.copy_length - 1  # between so many notes
        for pieces, values, into in (
            (mine, report.metrics, report.interval),
            (real, report.floor, report.floor_interval),
        ):
            texts = [spelling(notes) for notes in pieces]
            longest = len(corpus.longest_copy(texts))
            values["longest_copy"] = float(longest + 1 if longest else 0)
            shares = copied(corpus, texts, steps)

            def share(ids: Any, shares=shares) -> dict[str, float]:
                hit, num = shares[ids].sum(0)
                return {"copied_share": float(hit / max(1, num))}

            found = share(np.arange(len(shares)))
            values |= found
            parts = jackknife(lambda ids, s=share: s(ids.numpy()), len(shares), found)
            into |= {n: (max(0.0, low), min(1.0, high)) for n, (low, high) in parts.items()}
        left, most, nearest = [spelling(notes) for notes in mine], [], []
        for share in range(self.pairs):  # the longest of all, then the longest of the others
            self.tell("looking for copies", share / self.pairs)
            if not (passage := corpus.longest_copy(left)):
                break
            most.append(next(i for i, text in enumerate(left) if passage in text))
            nearest.append(next(k for k, line in enumerate(lines) if passage in line))
            left[most[-1]] = ""
        if most:
            report.pictures["neighbour_samples"] = samples.x[most]
            report.pictures["neighbours"] = torch.stack(
                [data.beginning(data.train, chosen[k]) for k in nearest]
            )


class FramesEvaluation(MusicEvaluation):
    """The same of pieces that are learned as frames: a note is a key that sounds in a row."""

    kind = "rolls"

    def more(self, report: Report, data: Data, samples: Samples) -> None:
        """Frames are always well formed."""


def histograms(pieces: Sequence[Notes]) -> dict[str, np.ndarray]:
    """Counts by name, a row a piece [N, width]."""
    found = {name: np.zeros((len(pieces), width)) for name, width in WIDTHS.items()}
    for i, notes in enumerate(pieces):
        for name, values in counted(notes).items():
            found[name][i] = np.bincount(values, minlength=WIDTHS[name])[: WIDTHS[name]]
    return found


def counted(notes: Notes) -> dict[str, np.ndarray]:
    """What there is in a piece to count, as whole numbers from 0 on."""
    if not len(notes):
        return {name: np.zeros(0, int) for name in WIDTHS}
    start, length = (np.rint(notes[:, k] * UNITS).astype(int) for k in (0, 1))
    pitch = notes[:, 2].astype(int)
    starts, first = np.unique(start, return_index=True)  # notes are in order
    top = np.append(first[1:], len(notes)) - 1
    apart = [np.zeros(0, int)]
    for k in range(1, 12):  # the k-th next note of the same start
        same = start[k:] == start[:-k]
        if not same.any():
            break
        apart.append((pitch[k:] - pitch[:-k])[same])
    begun = np.searchsorted(start, starts, side="right")
    ended = np.searchsorted(np.sort(start + length), starts, side="right")
    return {
        "pitch_class": pitch % 12,
        "pitch": pitch,
        "interval": np.diff(pitch[top]) + 127,
        "harmony": np.concatenate(apart) % 12,
        "rhythm": np.diff(starts).clip(max=LONGEST),
        "duration": length.clip(max=LONGEST),
        "polyphony": (begun - ended).clip(0, 128),
        "key": np.array([key_of(notes)[0]]),
    }


def key_of(notes: Notes) -> tuple[int, float]:
    """(key, correlation): 0 to 11 are C major to B major, 12 to 23 the minor keys.

    The profile that the tones' durations correlate with most.
    """
    if not len(notes):
        return 0, 0.0
    tones = np.bincount(notes[:, 2].astype(int) % 12, notes[:, 1], 12)
    tones = tones - tones.mean()
    fits = []
    for profile in PROFILES:
        centred = np.array(profile) - np.mean(profile)
        turned = np.stack([np.roll(centred, k) for k in range(12)])
        norm = np.linalg.norm(centred) * max(np.linalg.norm(tones), 1e-12)
        fits += (turned @ tones / norm).tolist()
    return int(np.argmax(fits)), float(max(fits))


def clarity(pieces: Sequence[Notes]) -> np.ndarray:
    """The correlation of each piece's tones with its key's profile [N]; 0 without notes."""
    return np.array([key_of(notes)[1] for notes in pieces])


def distances(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, float]:
    """The total variation of the sets' histograms, by name."""
    return {
        f"{name}_distance": variation(mine[name].sum(0), theirs[name].sum(0)) for name in WIDTHS
    }


class Spelling:
    """Pieces as texts: a letter is the step from a note to the next, in semitones and in time."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], str] = {}

    def __call__(self, notes: Notes) -> str:
        start, pitch = np.rint(notes[:, 0] * UNITS).astype(int), notes[:, 2].astype(int)
        steps = zip(np.diff(pitch).tolist(), np.diff(start).clip(max=LONGEST).tolist())
        return "".join(self.known.setdefault(s, letter(len(self.known))) for s in steps)


def letter(number: int) -> str:
    """Of numbers from 0 on, a character each; 0 parts texts, and surrogates are none."""
    return chr(number + 1 if number + 1 < 0xD800 else number + 0x801)


def copied(corpus: Corpus, texts: Sequence[str], steps: int) -> np.ndarray:
    """Notes in passages of `steps` steps or more that the corpus has, and notes, of each [N, 2]."""
    codes = [np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in texts]
    found = np.zeros((len(texts), 2), int)
    for i, hits in enumerate(corpus.shared(codes, steps)):
        covered = np.zeros(len(codes[i]) + 1 if len(codes[i]) else 0, bool)
        for at in hits.nonzero()[0].tolist():
            covered[at : at + steps + 1] = True
        found[i] = covered.sum(), len(covered)
    return found
