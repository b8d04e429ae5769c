"""Rules of sounds: silence, clipping, loudness, rate and length. fingerprints.py finds near copies.

Levels are in dB of full scale (a sample of 1); loudness is ITU-R BS.1770-4's, in LUFS.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from genlab.curation.base import Change, Each, Example, Leave
from genlab.data import audio

FRAME = 0.01  # seconds in which a level is measured
TOP = 1 - 1.5 / 2**15  # of full scale: the last two steps of 16 bits
RUN = 3  # samples at full scale, one after another, that are cut off and no peak


class SoundRule(Each):
    kinds: ClassVar[tuple[str, ...]] = ("sound",)


class Silence(SoundRule):
    """A sound that is silent is left out; silence before and after a sound is cut off."""

    def __init__(
        self, *, floor: float = -60.0, below: float = -50.0, margin: float = 0.05,
        least: float = 0.1,
    ) -> None:  # fmt: skip
        """`floor`: dB that the loudest frame has at least; `below`: dB under the loudest frame,
        from which on a frame at the ends is silence, unless it is above; `margin` seconds of it are
        left, and less than `least` seconds are not cut."""
        if floor >= 0 or below >= 0 or margin < 0 or least < 0:
            raise ValueError(
                f"floor={floor} below={below} margin={margin} least={least}: levels are under 0 dB,"
                " seconds from 0 on"
            )
        self.floor, self.below, self.margin, self.least = floor, below, margin, least

    def __call__(self, example: Example) -> Leave | Change | None:
        wave, rate = example.data.wave, example.data.rate
        found = levels(wave, max(1, round(FRAME * rate)))
        if found.max() < self.floor:
            return Leave(f"silent: no part above {self.floor:g} dB", round(float(found.max()), 1))
        loud = np.flatnonzero(found > max(found.max() + self.below, self.floor))
        step, margin = max(1, round(FRAME * rate)), round(self.margin * rate)
        first = max(0, int(loud[0]) * step - margin)
        last = min(len(wave), (int(loud[-1]) + 1) * step + margin)
        cut = (first + len(wave) - last) / rate
        if cut < self.least or cut == 0:
            return None
        data = replace(example.data, wave=wave[first:last].copy())
        return Change("silence at its ends", round(cut, 3), data=data)


class Clipping(SoundRule):
    """Not recorded too loud: the share of samples that stand at full scale, three and more on end.

    What was turned down after it was clipped is not seen.
    """

    def __init__(self, *, most: float = 0.001) -> None:
        """`most`: the share of all samples."""
        self.most = most

    def __call__(self, example: Example) -> Leave | None:
        share = clipped(example.data.wave)
        if share <= self.most:
            return None
        return Leave(f"over {self.most:g} of its samples are clipped", round(share, 5))


class Loudness(SoundRule):
    """All alike loud: scaled to one loudness, as far as the largest sample allows."""

    def __init__(self, *, to: float = -23.0, peak: float = -1.0, slack: float = 0.5) -> None:
        """`to` LUFS (-23: EBU R 128); `peak`: dB that no sample is brought above; `slack`: dB that
        a sound may be off and is left alone."""
        if not -70 < to < 0 or peak > 0 or slack < 0:
            raise ValueError(f"to={to} peak={peak} slack={slack}: to is from -70 to 0 LUFS")
        self.to, self.peak, self.slack = to, peak, slack

    def __call__(self, example: Example) -> Change | None:
        wave = example.data.wave
        found, loudest = loudness(wave, example.data.rate), float(np.abs(wave).max(initial=0))
        if found < -70 or loudest == 0:
            return None  # too quiet to be measured: the rule `silence`
        gain = min(self.to - found, self.peak - 20 * np.log10(loudest))
        if abs(gain) <= self.slack:
            return None
        data = replace(example.data, wave=(wave * 10 ** (gain / 20)).astype(np.float32))
        return Change("loudness in LUFS", round(found, 1), data=data)


class Rate(SoundRule):
    """Not of too low a rate; all of one rate, where one is asked for (by soxr, very high quality).

    The highest frequency that is in a sound is half its rate: resampling up brings none back.
    """

    def __init__(self, *, least: int = 8000, to: int | None = None) -> None:
        """`least` samples a second that a file has; `to`: what all are brought to, null: none."""
        low, high = audio.RATES
        if to is not None and not low <= to <= high:
            raise ValueError(f"to={to}: {low:,} to {high:,} samples a second, or null")
        self.least, self.to = least, to

    def __call__(self, example: Example) -> Leave | Change | None:
        rate = example.data.rate
        if rate < self.least:
            return Leave(f"under {self.least:,} samples a second", rate)
        if self.to is None or rate == self.to:
            return None
        wave = audio.resampled(example.data.wave, rate, self.to).astype(np.float32)
        if not len(wave):
            return Leave(f"nothing is left of it at {self.to:,} samples a second", rate)
        return Change("rate", rate, data=replace(example.data, wave=wave, rate=self.to))


class Seconds(SoundRule):
    """Neither too short nor too long."""

    def __init__(self, *, least: float = 0.1, most: float = 60.0) -> None:
        self.least, self.most = least, most

    def __call__(self, example: Example) -> Leave | None:
        value = example.data.seconds
        if value < self.least:
            return Leave(f"under {self.least:g} s", round(value, 3))
        return Leave(f"over {self.most:g} s", round(value, 3)) if value > self.most else None


def levels(wave: np.ndarray, step: int) -> np.ndarray:
    """The level of each frame of `step` samples in dB [frames]; digital silence is -200."""
    whole = np.pad(wave.astype(np.float64), (0, -len(wave) % step)).reshape(-1, step)
    power = (whole**2).mean(1)
    return 10 * np.log10(np.maximum(power, 1e-20))


def clipped(wave: np.ndarray) -> float:
    """The share of samples at full scale, of which there are RUN or more on end."""
    if not len(wave):
        return 0.0
    edges = np.diff(np.concatenate([[False], np.abs(wave) >= TOP, [False]]).astype(np.int8))
    runs = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return float(runs[runs >= RUN].sum() / len(wave))


# --- ITU-R BS.1770-4 ------------------------------------------------------------------------------

# the two filters at 48 kHz, tables 1 and 2: (b0, b1, b2), (1, a1, a2)
SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
PIECE = 2**22  # samples that are filtered at a time: a matter of memory


def loudness(wave: np.ndarray, rate: int) -> float:
    """The integrated loudness of one channel in LUFS: eq. 2 to 7; silence is -inf.

    A sound under 0.4 s is one block, and is not gated.
    """
    power = np.concatenate([weighted(p, rate) ** 2 for p in pieces(wave)]) if len(wave) else wave
    block, step = round(0.4 * rate), round(0.1 * rate)
    total = np.concatenate([[0.0], np.cumsum(power)])
    starts = np.arange(0, max(1, len(wave) - block + 1), max(1, step))
    ends = np.minimum(starts + block, len(wave))
    found = (total[ends] - total[starts]) / np.maximum(1, ends - starts)
    for gate in (lambda z: -70.0, lambda z: lufs(z.mean()) - 10):
        if len(wave) > block and len(found):
            found = found[lufs(found) > gate(found)]
    return float(lufs(found.mean())) if len(found) else -np.inf


def pieces(wave: np.ndarray) -> list[np.ndarray]:
    return [wave[i : i + PIECE] for i in range(0, len(wave), PIECE)]


def lufs(power: np.ndarray) -> np.ndarray:
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-30))


def weighted(wave: np.ndarray, rate: int) -> np.ndarray:
    """K-weighted: what the standard's filters do at 48 kHz, done by frequency at any rate."""
    spare = round(0.1 * rate)  # in which the filters ring out
    spectrum = np.fft.rfft(wave.astype(np.float64), len(wave) + spare)
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(len(wave) + spare, 1 / rate).clip(max=24_000) / 48_000)
    for b, a in (SHELF, HIGH_PASS):
        spectrum *= np.polyval(b[::-1], z) / np.polyval(a[::-1], z)
    return np.fft.irfft(spectrum, len(wave) + spare)[: len(wave)]
