"""Sounds: a folder of sound files, with classes by folder or metadata.jsonl beside them."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from genlab.curation.base import Raw
from genlab.curation.kinds.files import FileKind
from genlab.curation.kinds.pictures import as_uri
from genlab.data import audio

FULL = 2**15  # of a sample of 16 bits
PLOT = (320, 72)  # pixels of the page's waveforms


@dataclass(frozen=True, slots=True)
class Sound:
    """A waveform [samples] float32 from -1 to 1, and its samples a second."""

    wave: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.wave) / self.rate


class Sounds(FileKind):
    """A sound is the mean of its file's channels at the file's own rate; written as FLAC, 16 bits.

    A file of 16 bits and one channel that no rule changes is written sample by sample as it was.
    """

    name = "sound"
    noun: ClassVar[str] = "sounds"
    shard = 64  # a minute at 48 kHz is 12 MB
    endings = audio.ENDINGS
    suffix = ".flac"

    def open(self, raw: Raw) -> Sound:
        return Sound(*audio.whole(raw.source))

    def dump(self, data: Sound) -> bytes:
        return struct.pack("<I", data.rate) + data.wave.astype("<f4").tobytes()

    def parse(self, contents: bytes) -> Sound:
        wave = np.frombuffer(contents, "<f4", offset=4)
        return Sound(wave.astype(np.float32), struct.unpack("<I", contents[:4])[0])

    def packed(self, data: Sound) -> bytes:
        soundfile, _ = audio.libraries()
        # libsndfile would scale by 2^15 - 1 what it reads by 2^15, and move every sample
        whole = np.rint(data.wave.astype(np.float64) * FULL).clip(-FULL, FULL - 1)
        file = io.BytesIO()
        soundfile.write(file, whole.astype(np.int16), data.rate, "PCM_16", format="FLAC")
        return file.getvalue()

    def shown(self, data: Sound, beside: Any = None) -> str:
        """Its waveform, from the least to the largest sample in each column; 0 dB is the edge."""
        from PIL import Image, ImageDraw

        width, height = PLOT
        image = Image.new("RGB", PLOT, "white")
        draw, middle = ImageDraw.Draw(image), (height - 1) / 2
        ends = np.linspace(0, len(data.wave), width + 1).astype(int)
        for x, (a, b) in enumerate(pairwise(ends)):
            part = data.wave[a : max(b, a + 1)]
            if len(part):
                low, high = np.clip([part.min(), part.max()], -1, 1) * middle
                draw.line((x, middle - high, x, middle - low), fill=(31, 119, 180))
        return as_uri(image)

    @property
    def option(self) -> dict[str, str]:
        return {"data": "audio_folder"}
