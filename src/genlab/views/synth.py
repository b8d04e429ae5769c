"""Notes as sound: sums of a few sines that die away, as a plucked string's do. No library.

Read: `tone` is one note, `played` a piece: note p sounds at 440 * 2^((p - 69) / 12) Hz (equal
temperament), its n-th partial at n times that, 1 / n^1.5 as loud, and gone the sooner the higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from genlab.views.midi import Note

RATE = 11025  # samples a second; partials from RATE / 2 on are left out, and notes from F8 on
SECONDS = 10  # of a piece
PARTIALS = 6
ATTACK, RELEASE = 0.005, 0.06  # seconds
DECAY = 1.2  # seconds after which the first partial has fallen to 1/e
PEAK = 0.8  # the largest sample of a piece


def played(notes: Sequence[Note], *, tempo: int, seconds: float = SECONDS) -> np.ndarray:
    """The first `seconds` of a piece, at `tempo` quarters a minute [samples] float32 in [-1, 1]."""
    quarter = 60 / tempo * RATE
    last = max((n.start + n.length for n in notes), default=0) * quarter + RELEASE * RATE
    wave = np.zeros(int(min(seconds * RATE, last)), np.float64)
    for note in notes:
        start = round(note.start * quarter)
        if start < len(wave):
            sound = tone(note.pitch, round(note.length * quarter)) * note.velocity / 127
            part = wave[start : start + len(sound)]
            part += sound[: len(part)]
    fade = min(len(wave), round(RELEASE * RATE))
    wave[len(wave) - fade :] *= np.linspace(1, 0, fade)
    loudest = np.abs(wave).max(initial=0)
    return (wave * (PEAK / loudest if loudest else 1)).astype(np.float32)


@lru_cache(maxsize=512)
def tone(pitch: int, length: int) -> np.ndarray:
    """A note of so many samples, and its release after them."""
    release = round(RELEASE * RATE)
    num = max(1, min(length, SECONDS * RATE)) + release
    t = np.arange(num) / RATE
    f = 440 * 2 ** ((pitch - 69) / 12)
    sound = np.zeros(num)
    for n in range(1, PARTIALS + 1):
        if n * f < RATE / 2:
            sound += np.sin(2 * np.pi * n * f * t) * np.exp(-t * n**0.5 / DECAY) / n**1.5
    sound[-release:] *= np.linspace(1, 0, release)
    return sound * np.minimum(1, t / ATTACK)
