"""Data modules for tests, as conf/data composes them: the defaults, and what a test changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genlab.data.images import Images
from genlab.data.sounds import Sounds
from genlab.data.sources import folder, images, sounds, tables, text, videos
from genlab.data.table import Table
from genlab.data.text import Text
from genlab.data.tokenizers import Bytes
from genlab.data.videos import Videos
from genlab.data.waves import Waves

DIGITS = {"shape": [1, 8, 8], "num_classes": 10, "levels": 17, "batch_size": 32, "seed": 0}
FOLDER = {"shape": [3, 8, 8], "num_classes": None, "levels": 256, "batch_size": 4, "seed": 0}


def digits(**given: Any) -> Images:
    return Images(**{"source": images.Digits(), **DIGITS, **given})


def image_folder(root: Path | str | None, *, val_fraction: float = 0.1, **given: Any) -> Images:
    root = None if root is None else str(root)
    source = folder.ImageFolder(root=root, val_fraction=val_fraction)
    return Images(source=source, **{**FOLDER, **given})


def text_file(path: Path | str | None, *, val_fraction: float = 0.1, **given: Any) -> Text:
    path = None if path is None else str(path)
    settings = {"tokenizer": Bytes(), "block": 8, "batch_size": 4, "seed": 0, **given}
    return Text(source=text.TextFile(path=path, val_fraction=val_fraction), **settings)


def people(path: Path) -> Path:
    """A csv file of 60 rows: numbers a and categories b."""
    path.write_text("a,b\n" + "".join(f"{i % 7},{'xyz'[i % 3]}\n" for i in range(60)))
    return path


def table(path: Path, **given: Any) -> Table:
    return Table(
        source=tables.CsvFile(path=str(people(path))), **{"batch_size": 8, "seed": 0, **given}
    )


def sound_folder(root: Path | str | None, **given: Any) -> Sounds:
    """A quarter of a second of 8 kHz: 32 bands, 32 frames of 64 samples."""
    names = {"val_fraction", "group"} & set(given)
    source = sounds.SoundFolder(
        root=None if root is None else str(root), **{n: given.pop(n) for n in names}
    )
    settings = {
        "shape": [1, 32, 32], "rate": 8000, "seconds": 0.256, "window": 512, "num_classes": None,
        "batch_size": 4, "seed": 0,
    }  # fmt: skip
    return Sounds(source=source, **{**settings, **given})


def wave_folder(root: Path | str | None, **given: Any) -> Waves:
    """A quarter of a second of 8 kHz as waveforms; measured in 32 bands and 32 frames."""
    source = sounds.SoundFolder(root=None if root is None else str(root))
    settings = {
        "shape": [1, 2048], "rate": 8000, "bands": [32, 32], "window": 512, "num_classes": None,
        "batch_size": 4, "seed": 0,
    }  # fmt: skip
    return Waves(source=source, **{**settings, **given})


def video_folder(root: Path | str | None, **given: Any) -> Videos:
    """Clips of four frames of 8x8."""
    names = {"val_fraction", "group"} & set(given)
    source = videos.VideoFolder(
        root=None if root is None else str(root), **{n: given.pop(n) for n in names}
    )
    settings = {"shape": [3, 4, 8, 8], "num_classes": None, "batch_size": 4, "seed": 0}
    return Videos(source=source, **{**settings, **given})
