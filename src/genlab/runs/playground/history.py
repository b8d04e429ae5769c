"""What was asked and drawn, kept in the run's folder: play/history.jsonl, and a file a result.

A result's file is named by a hash of all that it depends on, so the same ask is the same file. The
folder may be foreign: rows are read with their checksums, their fields checked, and what is written
follows no link.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from genlab.data.decode import opened
from genlab.own import own_folder
from genlab.rows import append, read_rows
from genlab.runs.folder.layout import check_own
from genlab.runs.folder.trained_on import write_beside
from genlab.runs.playground.drawing import Asked, Drawn
from genlab.runs.playground.seats import Seat
from genlab.runs.sample import named
from genlab.runs.settings.overrides import Change
from genlab.views.page import inside

FOLDER, FILE = "play", "history.jsonl"
SHOWN = 100  # of the newest rows
NAME = re.compile(r"(given|mask)_[0-9a-f]{16}\.png")


def folder_of(home: Path) -> Path:
    """play/ in a run's folder, where no link leads out."""
    if home.is_dir():
        check_own(home)
    return own_folder(home / FOLDER)


def stem_of(seat: Seat, asked: Asked, sampler: dict[str, Any]) -> str:
    """The name of a result: the same only where weights, sampler, asks and seeds are."""
    words = {**asked.words}
    parts = [seat.checkpoint, sampler, words, asked.num, asked.seed, asked.first]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def keep(
    seat: Seat, asked: Asked, changes: list[Change], sampler: dict[str, Any], drawn: Drawn,
    *, seconds: float,
) -> Path:  # fmt: skip
    """Write a result, to look at and as numbers, and its row; gives the file to look at."""
    from safetensors.torch import save_file

    folder = folder_of(seat.home)
    stem = folder / stem_of(seat, asked, sampler)
    view = seat.data.view
    picture = view.save(seat.data.decode(drawn.x[: view.most]), stem, drawn.captions)
    numbers = stem.with_name(stem.name + ".safetensors")
    save_file({"x": drawn.x.contiguous(), **named("cond", drawn.cond)}, numbers)
    if seat.own:
        files = [picture, *(picture.with_suffix(s) for s in view.beside), numbers]
        write_beside(stem, files, seat.own, asked={"num": asked.num, "seed": asked.seed})
    row = {
        "kind": "draw",
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "asked": {key: _kept(value, folder) for key, value in asked.words.items()},
        "num": asked.num,
        "seed": asked.seed,
        "first": asked.first,
        "sampler": [list(change) for change in changes],
        "checkpoint": seat.checkpoint,
        "seconds": round(seconds, 3),
        "file": picture.name,
    }
    append(folder / FILE, row)
    return picture


def _kept(value: Any, folder: Path) -> Any:
    """A word as it is kept: of a file in the folder its name alone, so that the run may move."""
    path = Path(value) if isinstance(value, str) and len(value) < 4096 else Path()
    return path.name if path.parent == folder and NAME.fullmatch(path.name) else value


def read_history(home: Path) -> list[dict[str, Any]]:
    """The newest rows that say what a row must, the newest first."""
    path = home / FOLDER / FILE
    if inside(home, path) is None:
        return []
    try:
        rows = read_rows(path)
    except ValueError:  # more than a history has
        return []
    return [_restored(r, path.parent) for r in rows[::-1] if _whole(r)][:SHOWN]


def _whole(row: dict[str, Any]) -> bool:
    asked, sampler = row.get("asked"), row.get("sampler")
    numbers = [row.get(k) for k in ("num", "seed", "first")]
    return (
        row["kind"] == "draw"
        and isinstance(asked, dict)
        and all(isinstance(v, str) and len(v) < 100_000 for v in asked.values())
        and asked.keys() <= {"cond", "prompt", "given", "mask"}
        and all(type(n) is int and 0 <= n < 2**53 for n in numbers)
        and isinstance(sampler, list)
        and all(
            isinstance(c, list) and len(c) == 2 and all(isinstance(w, str) for w in c)
            for c in sampler
        )
        and all(isinstance(row.get(k), str) for k in ("time", "file", "checkpoint"))
    )


def _restored(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    asked = {k: str(folder / v) if NAME.fullmatch(v) else v for k, v in row["asked"].items()}
    return {**row, "asked": asked}


def keep_picture(home: Path, file: str | Path, shape: tuple[int, ...]) -> Path:
    """A picture's file of any origin, through the gate of all pictures, in a run's folder."""
    image = opened(Path(file), shape, key="given")  # [C, H, W]
    return _write_picture(home, "given", image)


def keep_mask(home: Path, kept: np.ndarray) -> Path:
    """Which part of a picture is kept [H, W] bool, as a picture: white where it is."""
    return _write_picture(home, "mask", (kept[None] * 255).astype(np.uint8))


def _write_picture(home: Path, key: str, image: np.ndarray) -> Path:
    from PIL import Image

    digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:16]
    path = folder_of(home) / f"{key}_{digest}.png"
    flat = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    Image.fromarray(flat).save(path)
    return path
