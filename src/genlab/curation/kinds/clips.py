"""Clips: a folder of GIF, WebP and coded films, and of folders with a picture a frame; classes by
folder or metadata beside them."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from genlab.curation.base import Example, Raw
from genlab.curation.kinds.files import FileKind
from genlab.curation.kinds.pictures import as_uri
from genlab.data import moving

SIDE = 64  # pixels at which rules look at a clip, fitted and cut as data=video_folder does
MOST = 512  # frames that they look at
SHOWN = 4  # frames on the page


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames [T, SIDE, SIDE, 3] uint8 of a file, or of a folder of pictures."""

    path: Path | None
    frames: np.ndarray

    @property
    def is_folder(self) -> bool:
        return self.path is not None and self.path.is_dir()


class Clips(FileKind):
    """A clip is written as the file that it was, or as the pictures of its folder, byte by byte."""

    name = "video"
    noun: ClassVar[str] = "clips"
    shard = 32
    endings = (*moving.ANIMATIONS, *moving.CODED)

    def paths(self, source: Path) -> Iterator[Path]:
        found, _ = moving.films_in(source, self.endings, deep=True)
        yield from found

    def open(self, raw: Raw) -> Clip:
        frames = moving.opened(Path(raw.source), (3, SIDE, SIDE))
        if len(frames) > MOST:
            raise ValueError(f"{raw.id}: over {MOST} frames: cut it into pieces")
        return Clip(Path(raw.source), np.ascontiguousarray(frames.transpose(0, 2, 3, 1)))

    def dump(self, data: Clip) -> bytes:
        return struct.pack("<I", len(data.frames)) + data.frames.tobytes()

    def parse(self, contents: bytes) -> Clip:
        (num,) = struct.unpack("<I", contents[:4])
        frames = np.frombuffer(contents, np.uint8, offset=4)
        return Clip(None, frames.reshape(num, SIDE, SIDE, 3))

    def suffix_of(self, example: Example) -> str:
        return "" if example.data.is_folder else Path(example.id).suffix.lower()

    def packed(self, data: Clip) -> bytes:
        if data.path is None:
            raise ValueError("a clip whose frames were changed has no file")
        return data.path.read_bytes()

    def store(self, data: Clip, path: Path) -> None:
        if not data.is_folder:
            return super().store(data, path)
        path.mkdir(exist_ok=True)
        for still in moving.stills(data.path):
            shutil.copyfile(still, path / still.name)

    def shown(self, data: Clip, beside: Any = None) -> str:
        from PIL import Image

        at = np.linspace(0, len(data.frames) - 1, SHOWN).round().astype(int)
        return as_uri(Image.fromarray(np.concatenate(list(data.frames[at]), 1)))

    @property
    def option(self) -> dict[str, str]:
        return {"data": "video_folder"}
