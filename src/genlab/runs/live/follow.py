"""Follow a ledger: only what was added since is read, and a ledger that was cut is read anew.

Read: `Follower.news`. It asks the file system for sizes and inodes alone, so it works on a
network's disk, and it never writes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from genlab.rows import LINE, body
from genlab.views.page import inside

KEPT = 48  # bytes before the place read to, which must be the same when it is read on
AT_ONCE = 2**24  # bytes read in one go; the rest is read the next time
LOOK = b'"kind": "look"'


class Follower:
    """A run's metrics.jsonl; `tail` bytes of its end are enough at first, 0 reads it whole."""

    def __init__(self, run: Path, *, tail: int = 0) -> None:
        self.run, self.tail = run, tail
        self.problem = ""
        self._forget()

    def _forget(self) -> None:
        self.offset, self._inode, self._before = 0, None, b""

    def news(self) -> tuple[bool, list[dict[str, Any]]]:
        """Whether what was read before no longer holds, and the rows since."""
        self.problem = ""
        path = inside(self.run, self.run / "metrics.jsonl")
        if path is None:
            anew = self._inode is not None
            self._forget()
            return anew, []
        try:
            with path.open("rb") as file:
                return self._read(file)
        except OSError as error:
            self.problem = f"metrics.jsonl: {error.strerror}"
            return False, []

    def _read(self, file: Any) -> tuple[bool, list[dict[str, Any]]]:
        found, anew = os.fstat(file.fileno()), False
        if self._inode is not None:
            file.seek(self.offset - len(self._before))
            same = found.st_ino == self._inode and found.st_size >= self.offset
            if not same or file.read(len(self._before)) != self._before:  # cut, mended, replaced
                self._forget()
                anew = True
        first, self._inode = self._inode is None, found.st_ino
        start = found.st_size - self.tail if first and self.tail else 0
        if start > 0:
            file.seek(start)
            file.readline(LINE)  # the rest of a row that began before
            self.offset = file.tell()
        file.seek(self.offset)
        data = file.read(AT_ONCE)
        whole = data[: data.rfind(b"\n") + 1]  # a row that is being written is read the next time
        if not whole and len(data) >= LINE:
            whole = data  # no row is as long as this
        self.offset += len(whole)
        if whole:
            self._before = (self._before + whole)[-KEPT:]
        lines = whole.split(b"\n")
        if start > 0 and LOOK not in whole:
            lines = [*self._last_look(file, start), *lines]
        rows = (row_of(line) for line in lines)
        return anew, [row for row in rows if row is not None]

    def _last_look(self, file: Any, end: int) -> list[bytes]:
        """The last look before `end`, of up to sixteen tails' bytes: looks are rare."""
        file.seek(max(0, end - 16 * self.tail))
        data = file.read(min(end, 16 * self.tail) + LINE // 64)
        at = data.rfind(LOOK)
        if at < 0:
            return []
        stop = data.find(b"\n", at)
        return [data[data.rfind(b"\n", 0, at) + 1 : stop if stop >= 0 else len(data)]]


def row_of(line: bytes) -> dict[str, Any] | None:
    """A whole row; None for a torn, damaged or empty one."""
    if not line or len(line) > LINE:
        return None
    try:
        row = json.loads(body(line))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
