"""Pieces of music as frames: pitches, chords, note lengths, and passages copied from training.

Held-out nats per frame is the published unit (Bai et al. 2018, Table 1): the sum over the keys, the
mean over all frames of the split but the first of each piece, which is given. Samples are pieces
of `data.frames` frames from silence on. Each distance is the total variation of two histograms, 0
of equal ones and 1 of such that have nothing in common:

  pitch_distance      which keys sound
  chord_distance      the intervals, in semitones, between the notes of a frame
  melody_distance     the steps of the highest note from a frame to the next, where both have one
  polyphony_distance  how many keys sound in a frame
  duration_distance   how many frames a note lasts (held and repeated ones are one)

Their floor is as many training pieces, cut to as many frames. A passage is frames in a row: how
long is the longest that stands in the training pieces (`longest_copy`), and what share of frames is
in such a passage of `copy_length` or more (`copied_share`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from genlab.metrics.base import Evaluation, Samples, check_count
from genlab.metrics.interval import jackknife
from genlab.metrics.language import Corpus
from genlab.metrics.report import Data, Model, Report, subset
from genlab.metrics.shared_runs import NoteRuns

NAMES = ("pitch", "chord", "melody", "polyphony", "duration")
LONGEST = 64  # frames; longer notes count as so long
WIDTHS = {"pitch": 128, "chord": 128, "melody": 255, "polyphony": 129, "duration": LONGEST + 1}
Roll = np.ndarray  # [T, K] bool


class RollsEvaluation(Evaluation):
    """Pieces, against held-out ones and, for copies, against the training pieces."""

    kind = "rolls"
    near = NoteRuns()
    least = 2

    def __init__(
        self,
        *,
        num_samples: int = 200,
        chunk: int = 100,
        copy_length: int = 16,
        pairs: int = 6,
        likelihood_examples: int | None = None,
    ) -> None:
        """As `Evaluation`; `copy_length`: frames in a row that stand in a training piece count as
        copied; `pairs` of a sample and the training piece it shares its longest passage with."""
        check_count("copy_length", copy_length, 1)
        check_count("pairs", pairs, 0)
        super().__init__(
            num_samples=num_samples, chunk=chunk, likelihood_examples=likelihood_examples
        )
        self.copy_length, self.pairs = copy_length, pairs

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        mine, length = [x > 0.5 for x in samples.x.numpy()], samples.x.shape[1]
        train, held_out = pieces(data.train), pieces(data.val)
        real = [r[:length] for r in held_out]
        chosen = subset(len(train), len(mine)).tolist()
        floor = [train[i][:length] for i in chosen]
        # a piece's histograms are counted once; a set's are their sum
        of_mine, of_floor, theirs = histograms(mine), histograms(floor), histograms(real)
        for these, values, into in (
            (of_mine, report.metrics, report.interval),
            (of_floor, report.floor, report.floor_interval),
        ):
            found = distances(these, theirs)
            values |= found
            parts = jackknife(
                lambda ids, these=these: distances(
                    {name: rows[ids.numpy()] for name, rows in these.items()}, theirs
                ),
                len(these["pitch"]),
                found,
            )
            into |= {n: (max(0.0, low), min(1.0, high)) for n, (low, high) in parts.items()}
        self.copies(report, mine, real, train)
        report.notes |= {
            "num_floor": len(floor),
            "frames": length,
            "copy_length": self.copy_length,
            "floor": "training pieces of as many frames; of copies, held-out pieces",
        }
        report.pictures["samples"] = samples.x

    def copies(
        self, report: Report, mine: Sequence[Roll], real: Sequence[Roll], train: Sequence[Roll]
    ) -> None:
        """longest_copy in frames, copied_share, and the pairs to look at."""
        spell = Spelling()
        lines = [spell(piece) for piece in train]
        corpus = Corpus("\0".join(lines))
        for rolls, values in ((mine, report.metrics), (real, report.floor)):
            texts = [spell(roll) for roll in rolls]
            values["longest_copy"] = float(len(corpus.longest_copy(texts)))
            values["copied_share"] = corpus.copied_share(texts, self.copy_length)
        texts = [spell(roll) for roll in mine]
        passages = [corpus.longest_copy([text]) for text in texts]
        most = sorted(range(len(texts)), key=lambda i: -len(passages[i]))[: self.pairs]
        most = [i for i in most if passages[i]]
        if most:
            nearest = [next(k for k, line in enumerate(lines) if passages[i] in line) for i in most]
            length = len(mine[0])
            report.pictures["neighbour_samples"] = torch.from_numpy(
                np.stack([mine[i] for i in most])
            )
            report.pictures["neighbours"] = torch.from_numpy(
                np.stack([filled(train[k], length) for k in nearest])
            )


class Spelling:
    """Pieces as texts: each different frame is a character of its own."""

    def __init__(self) -> None:
        self.known: dict[bytes, str] = {}

    def __call__(self, roll: Roll) -> str:
        rows = np.packbits(roll, axis=1)
        return "".join(
            self.known.setdefault(row.tobytes(), chr(len(self.known) + 1)) for row in rows
        )


def pieces(examples) -> list[Roll]:
    """The pieces of a split, each as long as it is [T, K]."""
    parts = examples.frames.split(examples.lengths.tolist())
    return [part.numpy() for part in parts]


def filled(roll: Roll, length: int) -> Roll:
    """The first `length` frames, with silence after a shorter piece."""
    return np.pad(roll[:length], ((0, max(0, length - len(roll))), (0, 0)))


def histograms(rolls: Sequence[Roll]) -> dict[str, np.ndarray]:
    """Counts by name, a row a piece [N, width]."""
    found = {name: np.zeros((len(rolls), WIDTHS[name])) for name in NAMES}
    for i, roll in enumerate(rolls):
        for name, values in counted(roll).items():
            found[name][i] = np.bincount(values, minlength=WIDTHS[name])[: WIDTHS[name]]
    return found


def counted(roll: Roll) -> dict[str, np.ndarray]:
    """What there is in a piece to count, as whole numbers from 0 on."""
    frame, key = np.nonzero(roll)
    apart = [np.zeros(0, int)]
    for k in range(1, 12):  # the k-th next note of the same frame
        same = frame[k:] == frame[:-k]
        if not same.any():
            break
        apart.append((key[k:] - key[:-k])[same])
    sounding = roll.any(1)
    top = roll.shape[1] - 1 - roll[:, ::-1].argmax(1)
    both = sounding[1:] & sounding[:-1]
    silence = np.zeros((1, roll.shape[1]), bool)
    change = np.diff(np.concatenate([silence, roll, silence]).astype(np.int8), axis=0).T
    lengths = np.nonzero(change == -1)[1] - np.nonzero(change == 1)[1]
    return {
        "pitch": key,
        "chord": np.concatenate(apart),
        "melody": np.diff(top)[both] + 127,
        "polyphony": roll.sum(1),
        "duration": lengths.clip(max=LONGEST),
    }


def distances(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, float]:
    """The total variation of the sets' histograms, by name."""
    return {f"{name}_distance": variation(mine[name].sum(0), theirs[name].sum(0)) for name in NAMES}


def variation(a: np.ndarray, b: np.ndarray) -> float:
    """1/2 sum |a - b| of two histograms, each as shares; 1 where one of them is empty."""
    if not a.sum() or not b.sum():
        return float(a.sum() != b.sum())
    return float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
