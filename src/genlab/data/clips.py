"""Sounds that are taken by number: waveforms in memory, or files that are decoded when asked for.

Read: `Clips`; then `opened`, the one gate through which a sound file of any origin comes in: what
its header claims is held against its bytes and against bounds before anything is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from genlab import machine
from genlab.data.sources.listing import Listing

FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")  # no other decoder of libsndfile's two dozen
ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".mp3")
NAMED = 10  # files that are named in a message
RATES, CHANNELS = (1000, 384_000), 32
SECONDS, VALUES = 3600, 2**28  # of a file: how long it may be; frames x channels
RATIO, BLOCK = 4000, 2**16  # frames that a byte may hold (silence in FLAC: 300); frames at a time
LOUD = 100.0  # a sample that is larger is of another scale than -1 to 1
UNKNOWN = 0x7FFFF000  # bytes of data, from which on a WAV's header says that it does not know


class Clips:
    """Sound files [N] as waveforms of one rate, mono; decoded when asked for until `hold`."""

    def __init__(self, listing: Listing, *, root: Path, rate: int, peak: float | None) -> None:
        """`peak`: the largest sample that each file is scaled to; None leaves levels alone."""
        self.paths, self.root, self.rate, self.peak = list(listing.paths), root, rate, peak
        self.labels = torch.tensor(listing.labels, dtype=torch.long)
        self.lengths = torch.zeros(0, dtype=torch.long)  # samples at `rate` [N]
        self.waves: Tensor | None = None  # all, one after another

    def __len__(self) -> int:
        return len(self.paths)

    def wave(self, i: int) -> Tensor:
        """The whole waveform of sound i [samples]."""
        if self.waves is None:
            return torch.from_numpy(opened(self.paths[i], self.rate, peak=self.peak))
        end = int(self._ends[i])
        return self.waves[end - int(self.lengths[i]) : end]

    def num_silent(self) -> int:
        """How many that are held have no sample but 0."""
        if self.waves is None:
            return 0
        return sum(not self.wave(i).any() for i in range(len(self)))

    def hold(self) -> Clips:
        """Read all into memory; those that cannot be read are named together."""
        most, num, found = machine.memory() / 2, 0, []
        for wave in self._all(lambda p: opened(p, self.rate, peak=self.peak)):
            found.append(torch.from_numpy(wave))
            if (num := num + 4 * len(wave)) > most:
                raise ValueError(
                    "data.num_workers=0 would hold more sounds in memory than half of it: write"
                    " data.num_workers=4 to decode them on demand"
                )
        self.lengths = torch.tensor([len(w) for w in found])
        self.waves = torch.cat(found)
        self._ends = self.lengths.cumsum(0)
        return self

    def check(self) -> Clips:
        """Read all headers."""
        self.lengths = torch.tensor(list(self._all(lambda p: length(p, self.rate))))
        return self

    def _all(self, read: Any) -> Iterator[Any]:
        broken: list[ValueError] = []
        for path in self.paths:
            try:
                yield read(path)
            except ValueError as error:
                broken.append(error)
        if len(broken) > 1:
            names = [str(e).split(" is no sound")[0].removeprefix("data.root: ") for e in broken]
            shown = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
            raise ValueError(
                f"data.root: {len(broken)} of {len(self)} files are no sounds that can be read:"
                f" {shown}: mend them or take them out of the folder"
            )
        if broken:
            raise broken[0]

    def identity(self) -> list[Tensor | str]:
        """What a hash of them is taken over: names and sizes stand for files that are not held."""
        if self.waves is not None:
            return [self.waves, self.lengths]
        return [f"{p.relative_to(self.root).as_posix()} {p.stat().st_size}" for p in self.paths]


def opened(path: Path, rate: int, *, peak: float | None = None) -> np.ndarray:
    """A sound file as one waveform [samples] float32 at `rate`: the mean of its channels.

    With `peak` it is scaled so that its largest sample is that; silence stays silence.
    """
    _, soxr = libraries()
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
        if f.samplerate != rate:
            wave = soxr.resample(wave, f.samplerate, rate)
    if peak is not None and (loudest := float(np.abs(wave).max(initial=0))) > 0:
        wave = wave * np.float32(peak / loudest)
    return np.ascontiguousarray(wave, dtype=np.float32)


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
