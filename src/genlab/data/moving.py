"""The one gate through which a moving picture of any origin comes in: frames, and when each starts.

Read: `films_in` (what is a clip in a folder: a file, or a folder that itself holds pictures, one a
frame), `opened` (a clip as frames of one size), then a class a kind: `Animation` (GIF and
WebP, by Pillow, after a walk over the file's own blocks), `Coded` (MP4 and the like, by PyAV),
`Folder` (a picture a frame), `Strip` (one picture with its frames side by side). What a header
claims is held against bounds before anything is decoded, and what comes is counted again.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.data import decode
from genlab.data.blocks import animated

FRAMES = 5000  # of a file, read or taken
PIXELS, ALL_PIXELS = 2**24, 2**31  # of a frame; of all frames of a file
VALUES = 2**28  # numbers of what is taken of a file
SECONDS = 120.0  # that reading one file may take
STILLS = (".png", ".jpg", ".jpeg", ".bmp")  # a folder of these is a clip
ANIMATIONS = (".gif", ".webp")
CODED = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi")
DEMUXERS = {"mp4": b"ftyp", "matroska": b"\x1aE\xdf\xa3", "avi": b"RIFF"}  # no other of FFmpeg's
CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mpeg2video", "mjpeg", "ffv1")
OPTIONS = {  # of FFmpeg: each of the first two alone keeps a playlist from opening another file
    "protocol_whitelist": "none",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi",
    "codec_whitelist": ",".join(CODECS),
    "max_streams": "16",
    "probesize": "5000000",
    "analyzeduration": "5000000",
}
DIGITS = re.compile(r"(\d{1,18})")


class Stopped(ValueError):
    """Reading stops for what lies in the machine, which may not decide what is left out.

    A file that takes too long; a library or memory that is missing.
    """


class Film(ABC):
    """A moving picture on disk. Whatever is wrong with it is a ValueError that says what."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def check(self) -> None:
        """Hold what its header claims against the bounds; nothing is decoded."""

    @abstractmethod
    def frames(self) -> Iterator[tuple[Any, float]]:
        """Each frame as a Pillow image, and its start in seconds; the last tells the end alone.

        nan where the frames have no times.
        """


class Animation(Film):
    """An animated GIF or WebP. How often it says that it repeats is not looked at."""

    def check(self) -> None:
        with self.path.open("rb") as f:
            width, height, num = animated(f, self.path.stat().st_size, most=FRAMES)
        bounded(width, height, num)

    def frames(self) -> Iterator[tuple[Any, float]]:
        from PIL import Image

        self.check()
        start = 0.0
        with Image.open(self.path, formats=("GIF", "WEBP")) as image:
            size = image.size
            for i in range(FRAMES + 1):
                try:
                    image.seek(i)
                except EOFError:
                    break
                if image.size != size:
                    raise ValueError(f"frame {i} is of another size than the first")
                image.load()
                yield image.copy(), start
                start += (image.info.get("duration") or 100) / 1000  # 0: browsers take 100 ms
        yield None, start


class Coded(Film):
    """A file of one of a few containers and codecs, by PyAV (FFmpeg), handed over as open bytes.

    So FFmpeg is given no name, may open nothing else (its protocols are forbidden), and is told
    which container to read: no playlist, no device, no network.
    """

    def check(self) -> None:
        with self.path.open("rb") as f, self._opened(f) as container:
            self._stream(container)

    def frames(self) -> Iterator[tuple[Any, float]]:
        with self.path.open("rb") as f, self._opened(f) as container:
            stream = self._stream(container)
            rate = float(stream.average_rate or 25)
            first, start, num = None, 0.0, -1
            size = stream.codec_context.width, stream.codec_context.height
            for num, frame in enumerate(container.decode(stream)):
                if (frame.width, frame.height) != size:
                    raise ValueError(f"frame {num} is of another size than its header claims")
                told = frame.time
                first = told if first is None else first
                start = start + 1 / rate if told is None else max(start, told - (first or 0.0))
                image = frame.to_image()
                yield (
                    (image.rotate(frame.rotation, expand=True) if frame.rotation else image),
                    start,
                )
            if num + 1 < stream.frames / 2:
                raise ValueError(f"it ends after {num + 1:,} of {stream.frames:,} frames")
            yield None, start + 1 / rate

    def _opened(self, f: Any) -> Any:
        av = library()
        start = f.read(12)
        f.seek(0)
        format = next((n for n, magic in DEMUXERS.items() if magic in (start[:4], start[4:8])), "")
        if not format or (format == "avi" and start[8:] != b"AVI "):
            raise ValueError("it begins as no MP4, MOV, WebM, MKV or AVI")
        return av.open(
            f, format=format, container_options=OPTIONS, timeout=(SECONDS / 4, SECONDS / 4)
        )

    def _stream(self, container: Any) -> Any:
        if not container.streams.video:
            raise ValueError("it holds no moving picture")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context.name not in CODECS:
            raise ValueError(f"its codec is {context.name}")
        bounded(context.width, context.height, max(0, stream.frames))
        context.thread_count = 1
        context.options = {"max_pixels": str(PIXELS)}
        return stream


class Folder(Film):
    """A folder with a picture a frame, in the order of the numbers in their names."""

    def check(self) -> None:
        if len(self._paths()) > FRAMES:
            raise ValueError(f"over {FRAMES:,} frames")

    def frames(self) -> Iterator[tuple[Any, float]]:
        from PIL import Image

        self.check()
        for path in self._paths():
            yield Image.fromarray(decode.whole(path)), float("nan")

    def _paths(self) -> list[Path]:
        return sorted(stills(self.path), key=lambda p: numbered(p.name))


class Strip(Film):
    """One picture, its frames side by side from left to right."""

    def __init__(self, path: Path, num: int) -> None:
        super().__init__(path)
        self.num = num

    def check(self) -> None:
        if not 2 <= self.num <= FRAMES:
            raise ValueError(
                f"it is said to hold {self.num} frames, where 2 to {FRAMES:,} are read"
            )

    def frames(self) -> Iterator[tuple[Any, float]]:
        from PIL import Image

        self.check()
        sheet = decode.whole(self.path)
        if sheet.shape[1] % self.num:
            raise ValueError(
                f"{sheet.shape[1]} pixels across are not {self.num} frames of one width"
            )
        for frame in np.split(sheet, self.num, 1):
            yield Image.fromarray(frame), float("nan")


def film(path: Path, strip: int | None = None) -> Film:
    """The film at a path; `strip`: so many frames side by side in one picture."""
    if strip is not None:
        return Strip(path, strip)
    if path.is_dir():
        return Folder(path)
    return Animation(path) if path.suffix.lower() in ANIMATIONS else Coded(path)


def opened(
    path: Path, shape: Sequence[int], *, stride: int = 1, fps: float | None = None,
    strip: int | None = None,
) -> np.ndarray:  # fmt: skip
    """A film as frames [N, C, H, W] uint8, each made its size as a picture is (decode.fitted).

    Every `stride`-th frame; with `fps` the frame that is shown at each of 0, 1 / fps, ... seconds.
    """
    most, found = min(FRAMES, VALUES // int(np.prod(shape))), []
    try:
        for image in taken(film(path, strip).frames(), stride=stride, fps=fps):
            if len(found) == most:
                raise ValueError(f"over {most:,} frames: cut it into pieces")
            found.append(decode.fitted(image, shape))
        if len(found) < 2:
            raise ValueError(f"{len(found)} frame{'s' * (len(found) != 1)}: nothing moves")
    except Exception as error:
        raise refused(path, error) from None
    return np.stack(found)


def checked(path: Path, strip: int | None = None) -> None:
    """Refuse a film by what its header claims."""
    try:
        film(path, strip).check()
    except Exception as error:
        raise refused(path, error) from None


def refused(path: Path, error: Exception) -> ValueError:
    """One line for whatever went wrong within a file: Pillow and FFmpeg raise dozens of kinds."""
    if isinstance(error, MemoryError | Stopped):
        return Stopped(f"data.root: {path}: {error or 'no memory'}, or take it out of the folder")
    said = " ".join(str(error).replace(str(path), "it").split())[:160] or type(error).__name__
    return ValueError(f"{path.name} ({said})")


def taken(frames: Iterator[tuple[Any, float]], *, stride: int, fps: float | None) -> Iterator[Any]:
    """Every `stride`-th frame, or those that are shown at the times k / fps."""
    began, held, k = time.monotonic(), None, 0
    for i, (image, start) in enumerate(frames):
        if time.monotonic() - began > SECONDS:
            raise Stopped(f"reading it takes over {SECONDS:g} s: cut it into pieces")
        if image is not None:
            bounded(*image.size, i + 1)
        if fps is None:
            if image is not None and i % stride == 0:
                yield image
            continue
        if start != start:
            raise ValueError("its frames have no times: write data.fps=null data.stride=1")
        while held is not None and k / fps < start - 1e-6:
            yield held
            k += 1
        held = image


def bounded(width: int, height: int, num: int) -> None:
    """Refuse frames that are too large or too many."""
    if not 0 < width * height <= PIXELS:
        raise ValueError(f"{width} x {height} pixels, where 1 to {PIXELS:,} are read")
    if num > FRAMES:
        raise ValueError(f"over {FRAMES:,} frames: cut it into pieces")
    if num * width * height > ALL_PIXELS:
        raise ValueError(
            f"{num:,} frames of {width} x {height}: cut it into pieces, or scale it down"
        )


def stills(folder: Path) -> list[Path]:
    """The pictures that lie in a folder itself."""
    files = (p for p in folder.iterdir() if p.suffix.lower() in STILLS and p.is_file())
    return [p for p in files if not p.name.startswith(".")]


def is_clip(folder: Path) -> bool:
    """Whether a folder is a clip: two pictures or more lie in it, a frame each."""
    return len(stills(folder)) > 1


def films_in(folder: Path, endings: Sequence[str], *, deep: bool) -> tuple[list[Path], list[str]]:
    """The clips of a folder, and the names of files that are no part of one."""
    if deep and is_clip(folder):
        return [], []  # its parent's clip
    found, skipped, below = [], [], []
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".")
        if path.is_dir() and not hidden:
            (found if is_clip(path) else below).append(path)
        elif path.is_file():
            (found if path.suffix.lower() in endings and not hidden else skipped).append(path)
    skipped = [p.name for p in skipped]
    for path in below if deep else ():
        more, others = films_in(path, endings, deep=True)
        found, skipped = found + more, skipped + others
    return sorted(found), skipped


def numbered(name: str) -> list[tuple[int, int, str]]:
    """A key by which 9.png comes before 10.png."""
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in DIGITS.split(name)]


def library() -> Any:
    """PyAV, or the line that says how it is had."""
    try:
        import av
    except ImportError as error:
        raise Stopped(
            f"MP4 and the like are read by PyAV ({error}): pip install 'genlab[video]'"
        ) from None
    return av
