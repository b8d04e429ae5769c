"""A run's own folders and files: written where they are named, never where a link leads.

A run folder may come from somebody else. When a command opens one, links in it are refused
(runs/folder/layout.py); here the same holds at the moment of writing.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


def own_folder(path: Path) -> Path:
    """A folder within a run, made where it is not there; refused where a link stands for it."""
    path.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        raise ValueError(f"{path} is a link to {os.readlink(path)}: a run writes into its own")
    return path


def open_to_append(path: Path) -> BinaryIO:
    """A file to which whole rows are added, unbuffered; refused where it is a link or a pipe."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        # a pipe that nobody reads would be waited for
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if path.is_symlink() or path.is_fifo():
            raise ValueError(f"{path} is no file of the run's own: remove it") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError(f"{path} is no regular file: remove it")
    return os.fdopen(handle, "ab", buffering=0)
