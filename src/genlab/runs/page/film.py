"""samples/film.gif: the run's looks one after another, of what the folder holds.

Read: `write_film` makes it where it is missing or older than the newest look; `read_film` gives
what run.html shows. Drawn by views/film.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from genlab.own import own_folder
from genlab.runs.page.record import Record
from genlab.views.film import BYTES, FRAMES, evenly, film
from genlab.views.page import PICTURE_BYTES, SHOWN, Drawn, inside, read_drawn

NAME = "samples/film.gif"


def looks_of(record: Record) -> list[tuple[int, Path]]:
    """The looks that a film is made of: (examples seen, file), in order; no links lead out."""
    named = [(n, p) for n, p in sorted(record.looks.items()) if SHOWN[p.suffix].film]
    chosen = [named[i] for i in evenly(len(named), FRAMES)]
    found = [(n, inside(record.path, path)) for n, path in chosen]
    return [(n, p) for n, p in found if p is not None and p.stat().st_size <= PICTURE_BYTES]


def write_film(record: Record) -> Path | None:
    """The film's path; None where there are no two looks that are pictures."""
    looks, path = looks_of(record), record.path / NAME
    if len(looks) < 2:
        return None
    try:
        if path.is_file() and path.stat().st_mtime >= max(p.stat().st_mtime for _, p in looks):
            return path
        own_folder(path.parent)
        if (made := film([(n, p.read_bytes()) for n, p in looks])) is None:
            return None
        _write_bytes(path, made)
    except (OSError, ValueError) as error:  # a folder that cannot be written still has a page
        record.problems.append(f"{NAME} was not written: {error}")
        return None
    return path


def read_film(record: Record) -> dict[str, Any] | None:
    """What the page shows: the film, and the still that stands in its place; None without one."""
    looks, path = looks_of(record), inside(record.path, record.path / NAME)
    if len(looks) < 2 or path is None or path.stat().st_size > BYTES:
        return None
    moving = read_drawn(record.path, record.path / NAME, width=0)
    still: Drawn = read_drawn(record.path, looks[-1][1], width=300)
    return None if moving.problem else {"moving": moving, "still": still, "last": looks[-1][0]}


def _write_bytes(path: Path, data: bytes) -> None:
    """Whole or not at all, and through no link."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("xb") as f:
            f.write(data)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
