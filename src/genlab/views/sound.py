"""Sounds: a picture of their waveforms and spectrograms, and a WAV file to hear them.

Read: `Player.write` is the two files. On a page every sound of the file has its own player.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import NEAREST, View, log_picture
from genlab.views.wav import regions, write_wav

SHOWN, COLUMNS = 12, 3  # sounds in the picture
LOGGED = 10  # that a dashboard is given to play
WIDTH, WAVE, HEIGHT = 208, 36, 88  # pixels of a panel, of its waveform, of its spectrogram
LEFT, TOP, BELOW, GAP = 26, 17, 16, 10  # around it
RANGE = 70.0  # dB below the loudest of a panel that are told apart
FRAMES, SECONDS = 128, 1 / 31  # of a spectrogram, at least; of the sound that one of them sees
PAPER, WHITE, LINE, INK = "#f7f7f7", "#ffffff", "#d9d9dd", "#333333"
COLOURS = ((31, 111, 235), (208, 112, 42))  # of waveforms; of a pair the other
SHADES = ((255, 255, 255), (120, 170, 240), (31, 90, 200), (10, 24, 70))  # quiet to loud


class Player(View):
    """Waveforms [samples] in [-1, 1]: stem.png shows the first of them, stem.wav holds all."""

    suffix = ".png"
    most = measured = 20
    few = 10
    paired = SHOWN // 2
    lines = (4, 5)
    beside = {".wav": "to hear"}

    def __init__(self, *, rate: int) -> None:
        self.rate = rate

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        names = [f"{i} · {name}" for i, name in enumerate(captions or [""] * len(items), 1)]
        names = [name.removesuffix(" · ") for name in names]
        write_wav(items, names, path.with_suffix(".wav"), rate=self.rate)
        draw(items[:SHOWN], names[:SHOWN], path, rate=self.rate)

    def pairs(
        self,
        mine: Sequence[np.ndarray],
        theirs: Sequence[np.ndarray],
        path: Path,
        *,
        names: tuple[str, str] = NEAREST,
    ) -> bool:
        """Each sound beside its other."""
        pairs = list(zip(mine, theirs))[: self.paired]
        items = [item for pair in pairs for item in pair]
        told = [f"{i} {what}" for i in range(1, len(pairs) + 1) for what in names]
        write_wav(items, told, path.with_suffix(".wav"), rate=self.rate)
        draw(items, told, path, rate=self.rate, columns=2)
        return True

    def rows(
        self,
        items: Sequence[np.ndarray],
        columns: int,
        path: Path,
        *,
        names: Sequence[str] | None = None,
    ) -> bool:
        heads = names or [f"row {i}" for i in range(1, len(items) // columns + 1)]
        told = [f"{head} · {i}" for head in heads for i in range(1, columns + 1)]
        write_wav(items, told, path.with_suffix(".wav"), rate=self.rate)
        draw(items, told, path, rate=self.rate, columns=columns)
        return True

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)
        if hasattr(logger, "log_audio") and len(items):
            names = [n for n, _ in regions(path.with_suffix(".wav").read_bytes())][:LOGGED]
            waves = [np.nan_to_num(item.clip(-1, 1)) for item in items[: len(names)]]
            rates = [self.rate] * len(waves)
            logger.log_audio(f"{name}/sound", waves, step=step, sample_rate=rates, caption=names)


def draw(
    items: Sequence[np.ndarray],
    names: Sequence[str],
    path: Path,
    *,
    rate: int,
    columns: int = COLUMNS,
) -> None:
    """A panel a sound, to the pixel: its waveform from -1 to 1 above its spectrogram."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=10)
    columns = max(1, min(columns, len(items)))
    across, down = LEFT + WIDTH + GAP, TOP + WAVE + HEIGHT + BELOW
    size = (columns * across, max(1, -(-len(items) // columns)) * down + GAP)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, (item, name) in enumerate(zip(items, names)):
        left, top = i % columns * across + LEFT, i // columns * down + TOP
        item = np.nan_to_num(np.asarray(item, np.float64))
        pen.text((left, top - TOP + 3), _short(name), fill=INK, font=font)
        pen.rectangle((left, top, left + WIDTH - 1, top + WAVE - 1), fill=WHITE)
        middle = top + WAVE / 2
        pen.line((left, middle, left + WIDTH - 1, middle), fill=LINE)
        colour = COLOURS[i % 2 if columns == 2 else 0]
        for x, (low, high) in enumerate(ends(item.clip(-1, 1), WIDTH)):
            y = [middle - v * (WAVE / 2 - 1) for v in (high, low)]
            pen.line((left + x, y[0], left + x, y[1]), fill=colour)
        picture = Image.fromarray(spectrogram(item, rate))
        picture = picture.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
        sheet.paste(picture, (left, top + WAVE + 2))
        bottom = top + WAVE + HEIGHT + 3
        for y, f in ((top + WAVE + 6, rate / 2), (bottom - 6, 0)):
            pen.text((left - 4, y), f"{f / 1000:g}k" if f else "0", INK, font, anchor="rm")
        pen.text((left, bottom), "0", INK, font)
        pen.text((left + WIDTH, bottom), f"{len(item) / rate:.3g} s", INK, font, anchor="ra")
    sheet.save(path, optimize=True)


def ends(wave: np.ndarray, columns: int) -> list[tuple[float, float]]:
    """The lowest and highest sample of each of so many even stretches."""
    parts = np.array_split(wave, columns)
    return [(float(p.min()), float(p.max())) if len(p) else (0.0, 0.0) for p in parts]


def spectrogram(wave: np.ndarray, rate: int) -> np.ndarray:
    """A picture [frequencies, frames, 3] uint8, low tones at the bottom, in dB of the loudest."""
    window = 2 ** round(np.log2(max(64, rate * SECONDS)))
    hop = max(1, min(window // 4, len(wave) // FRAMES))
    padded = np.pad(wave, (window // 2, window))
    parts = np.lib.stride_tricks.sliding_window_view(padded, window)[: max(1, len(wave)) : hop]
    level = np.abs(np.fft.rfft(parts * np.hanning(window), axis=1)).T[::-1]
    dB = 20 * np.log10(np.maximum(level / max(level.max(), 1e-3 * window), 1e-9))
    place = (1 + dB / RANGE).clip(0, 1) * (len(SHADES) - 1)
    shades = np.array(SHADES, np.float64)
    low = np.minimum(place.astype(int), len(SHADES) - 2)
    share = (place - low)[..., None]
    return np.rint(shades[low] * (1 - share) + shades[low + 1] * share).astype(np.uint8)


def _short(name: str) -> str:
    return name if len(name) <= 34 else name[:33] + "…"
