"""What a sound is known by when it is packed, turned down, resampled or moved: its fingerprint.

Haitsma & Kalker 2002 (A Highly Robust Audio Fingerprinting System): 33 bands of a spectrogram; bit
m of frame t says whether the difference of the energies of bands m and m + 1 grew since frame t - 1
(eq. 1). Two copies differ in few bits (theirs: under 0.35 of 8192), two sounds in near half.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from genlab.curation.rules.duplicates import Sketch
from genlab.data import audio

RATE, WINDOW, HOP = 8000, 1024, 96  # samples: 128 ms every 12 ms; theirs 370 ms every 11.6 ms
BANDS, LOW, HIGH = 33, 200.0, 3400.0  # Hz, which a telephone and all codecs keep
QUIET = 1e-4  # of the loudest frame's energy: a frame below has no bits to compare


class Fingerprint(Sketch):
    """The bits of 512 frames, 6 s: of a longer sound four parts, at even places.

    Two sounds are alike if fewer bits than `most` differ, each part at its best shift under 0.15 s,
    of frames that are loud in both: half of them at least. Candidates share a key. Key k is what
    twelve of the bits, drawn once for all sounds, are at the frame where the least sure of them is
    surest: there a codec changes none (Haitsma & Kalker, 5.2, flip the bits that are least sure).
    """

    kinds: ClassVar = ("sound",)
    FRAMES: ClassVar = 512
    PARTS: ClassVar = 4
    KEYS: ClassVar = 64
    CHOSEN: ClassVar = 12  # bits of a key
    LAG: ClassVar = 12  # frames
    LEAST: ClassVar = 8  # frames that are compared: 0.1 s
    TYPE: ClassVar = np.dtype(
        [("bits", "<u4", FRAMES), ("loud", "u1", FRAMES // 8), ("num", "<u4"),
         ("keys", "<u2", KEYS)]
    )  # fmt: skip

    def __init__(self, *, most: float = 0.19) -> None:
        """`most`: the share of bits that differ."""
        if not 0 < most < 0.5:
            raise ValueError(f"most={most}: a share of bits, under the half that differs by chance")
        self.most = most
        draws = np.random.default_rng(0)
        self.chosen = [
            np.sort(draws.permutation(BANDS - 1)[: self.CHOSEN]) for _ in range(self.KEYS)
        ]

    def of(self, data: Any) -> bytes:
        differ, sure, loud = differences(data.wave, data.rate)
        at = self.places(len(differ))
        differ, sure, loud = differ[at], sure[at], loud[at]
        found = np.zeros((), self.TYPE)
        bits = differ > 0
        found["bits"][: len(at)] = np.packbits(bits, axis=1).view(">u4")[:, 0]
        found["loud"] = np.packbits(np.pad(loud, (0, self.FRAMES - len(at))))
        found["num"] = len(at)
        powers = 1 << np.arange(self.CHOSEN)
        for k, chosen in enumerate(self.chosen):
            frame = int(np.where(loud, sure[:, chosen].min(1), -1).argmax())
            found["keys"][k] = bits[frame, chosen] @ powers
        return found.tobytes()

    def places(self, num: int) -> np.ndarray:
        """Which frames of a sound of `num` are kept."""
        if num <= self.FRAMES:
            return np.arange(num)
        part = self.FRAMES // self.PARTS
        starts = np.linspace(0, num - part, self.PARTS).astype(int)
        return (starts[:, None] + np.arange(part)).ravel()

    def bands(self, sketches: np.ndarray) -> Iterator[np.ndarray]:
        held = self.fields(sketches)
        for k in range(self.KEYS):
            yield held["keys"][:, k].astype(np.uint64)

    def fields(self, sketches: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(sketches).view(self.TYPE)[:, 0]

    def alike(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self.differing(a, b) < self.most

    def differing(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The share of bits that differ, each part at its best shift [P]; 1 where too little is
        loud."""
        first, second = self.fields(a), self.fields(b)
        num = int(max(first["num"].max(initial=1), second["num"].max(initial=1)))
        part = self.FRAMES // self.PARTS
        shape = (len(a), -(-num // part), min(num, part))
        x, y = (f["bits"][:, : shape[1] * shape[2]].reshape(shape) for f in (first, second))
        u, v = (
            np.unpackbits(f["loud"], axis=1)[:, : shape[1] * shape[2]].reshape(shape).astype(bool)
            for f in (first, second)
        )
        wanted = np.maximum(u.sum(2), v.sum(2)) / 2  # [P, parts]
        best, wrong, count = (np.full(shape[:2], n) for n in (1.0, 0, 0))
        for lag in range(-min(self.LAG, shape[2] - 1), min(self.LAG, shape[2] - 1) + 1):
            i, j = (slice(max(0, s), shape[2] + min(0, s)) for s in (lag, -lag))
            both = u[..., i] & v[..., j]
            differ, frames = (np.bitwise_count(x[..., i] ^ y[..., j]) * both).sum(2), both.sum(2)
            share = differ / np.maximum(1, frames * (BANDS - 1))
            better = (frames >= wanted) & (share < best)
            best, wrong, count = (
                np.where(better, *pair)
                for pair in ((share, best), (differ, wrong), (frames, count))
            )
        enough = count.sum(1) >= np.maximum(self.LEAST, wanted.sum(1))
        return np.where(enough, wrong.sum(1) / np.maximum(1, count.sum(1) * (BANDS - 1)), 1.0)


def differences(wave: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each frame: eq. 1's differences [T, 32], how large they are beside the energies that they
    are of (0 to 1), and whether the frame and the one before it are loud [T]."""
    if rate != RATE:
        wave = audio.resampled(wave, rate, RATE)
    wave = np.pad(wave.astype(np.float32), WINDOW // 2 + HOP)
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::HOP]
    window, energies = np.hanning(WINDOW).astype(np.float32), []
    for i in range(0, len(frames), 512):
        power = np.abs(np.fft.rfft(frames[i : i + 512] * window, axis=1)) ** 2
        energies.append(power @ filters().T)
    E = np.concatenate(energies)  # [T + 1, 33]
    D, S = E[:, :-1] - E[:, 1:], E[:, :-1] + E[:, 1:]
    total = E.sum(1)
    loud = total > QUIET * max(float(total.max()), 1e-12)
    differ = D[1:] - D[:-1]
    return differ, np.abs(differ) / (S[1:] + S[:-1] + 1e-30), loud[1:] & loud[:-1]


@lru_cache(maxsize=1)
def filters() -> np.ndarray:
    """How much of each bin of the spectrum is in each band [33, bins]."""
    edges = np.geomspace(LOW, HIGH, BANDS + 1) * WINDOW / RATE
    bins = np.arange(WINDOW // 2 + 1)
    low = np.maximum(bins - 0.5, edges[:-1, None])
    return np.clip(np.minimum(bins + 0.5, edges[1:, None]) - low, 0, 1)
