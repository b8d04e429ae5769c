"""The one gate through which a sound file of any origin comes in.

Read: `opened` (a waveform of a stated rate), `whole` (of its own). What a header claims is held
against the file's bytes and against bounds before anything is decoded. No torch: workers start
quickly.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")  # no other decoder of libsndfile's two dozen
ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".mp3")
RATES, CHANNELS = (1000, 384_000), 32
SECONDS, VALUES = 3600, 2**28  # of a file: how long it may be; frames x channels
RATIO, BLOCK = 4000, 2**16  # frames that a byte may hold (silence in FLAC: 300); frames at a time
LOUD = 100.0  # a sample that is larger is of another scale than -1 to 1
UNKNOWN = 0x7FFFF000  # bytes of data, from which on a WAV's header says that it does not know


def opened(path: Path, rate: int, *, peak: float | None = None) -> np.ndarray:
    """A sound file as one waveform [samples] float32 at `rate`: the mean of its channels.

    With `peak` it is scaled so that its largest sample is that; silence stays silence.
    """
    wave, own = whole(path)
    if own != rate:
        wave = resampled(wave, own, rate)
    if peak is not None and (loudest := float(np.abs(wave).max(initial=0))) > 0:
        wave = wave * np.float32(peak / loudest)
    return np.ascontiguousarray(wave, dtype=np.float32)


def whole(path: Path) -> tuple[np.ndarray, int]:
    """A sound file as one waveform [samples] float32, and its samples a second."""
    with Gate(path) as f:
        parts, num = [], 0
        while len(part := f.read(BLOCK, dtype="float32", always_2d=True)):
            num += len(part)
            if num * f.channels > VALUES or num > SECONDS * f.samplerate:
                raise ValueError(f"longer than {SECONDS:,} s, or over {VALUES:,} samples")
            parts.append(part.mean(1))
        if num < f.frames:
            raise ValueError(f"it ends after {num:,} of {f.frames:,} frames")
        wave = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        if not len(wave):
            raise ValueError("it holds no samples")
        if not np.isfinite(wave).all():
            raise ValueError("a sample is not finite")
        if (loudest := float(np.abs(wave).max())) > LOUD:
            raise ValueError(f"a sample is {loudest:.3g}, where full scale is 1")
        return wave, f.samplerate


def resampled(wave: np.ndarray, own: int, rate: int) -> np.ndarray:
    """A waveform of `own` samples a second at `rate`."""
    return libraries()[1].resample(wave, own, rate)


def length(path: Path, rate: int) -> int:
    """The samples at `rate` that its header claims."""
    with Gate(path) as f:
        return max(1, round(f.frames * rate / f.samplerate))


class Gate:
    """`with Gate(path) as f`: an open soundfile whose header is within bounds.

    Whatever goes wrong within is one ValueError that names the file and the remedy.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        soundfile, _ = libraries()
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as f:
                check_start(f, size)
            self.file = soundfile.SoundFile(self.path)
            try:
                check_header(self.file, size)
            except ValueError:
                self.file.close()
                raise
        except Exception as error:
            raise self.refused(error) from None
        return self.file

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.file.close()
        if isinstance(error, Exception):
            raise self.refused(error) from None

    def refused(self, error: Exception) -> ValueError:
        said = " ".join(str(error).replace(str(self.path), "it").split())[:160]
        return ValueError(
            f"data.root: {self.path} is no sound that can be read ({said}); allowed are WAV, FLAC,"
            " OGG and MP3: mend it or take it out of the folder"
        )


def check_start(f: IO[bytes], size: int) -> None:
    """Refuse a file that does not begin as one of FORMATS, and a WAV that is shorter than it says.

    libsndfile would read what there is, and a cut file would pass for a short one.
    """
    start = f.read(12)
    if start[:4] == b"RIFF" and start[8:] == b"WAVE":
        while len(head := f.read(8)) == 8:
            name, claimed = head[:4], struct.unpack("<I", head[4:])[0]
            left = size - f.tell()
            if name == b"data":
                if left < claimed < UNKNOWN:
                    raise ValueError(f"its header claims {claimed:,} bytes of samples, of {left:,}")
                return
            f.seek(claimed + claimed % 2, 1)
        raise ValueError("it has no samples")
    mpeg = start[:3] == b"ID3" or (start[:1] == b"\xff" and len(start) > 1 and start[1] >= 0xE0)
    if start[:4] not in (b"fLaC", b"OggS") and not mpeg:
        raise ValueError("it begins as no sound file")


def check_header(f: Any, size: int) -> None:
    """Refuse formats, rates, channels and lengths out of bounds, before anything is decoded."""
    low, high = RATES
    if f.format not in FORMATS:
        raise ValueError(f"its format is {f.format}")
    if not low <= f.samplerate <= high:
        raise ValueError(f"{f.samplerate:,} samples a second, where {low:,} to {high:,} are read")
    if not 1 <= f.channels <= CHANNELS:
        raise ValueError(f"{f.channels:,} channels, {CHANNELS} at most")
    if f.frames > RATIO * size:
        raise ValueError(f"its header claims {f.frames:,} frames in {size:,} bytes")
    if f.frames > SECONDS * f.samplerate or f.frames * f.channels > VALUES:
        raise ValueError(
            f"{f.frames / f.samplerate:,.0f} s of {f.channels} channels: {SECONDS:,} s and"
            f" {VALUES:,} samples at most; cut it into pieces"
        )


def libraries() -> tuple[Any, Any]:
    """soundfile and soxr, or the line that says how they are had."""
    try:
        import soundfile
        import soxr
    except (ImportError, OSError) as error:  # OSError: libsndfile itself is missing
        raise ValueError(
            f"data: sounds are read by soundfile and soxr ({error}): pip install 'genlab[audio]'"
        ) from None
    return soundfile, soxr
