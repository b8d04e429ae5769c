"""The meter: what a long silent piece of work is doing, how far it is, and how long it may take.

    with Meter("measuring") as meter:
        meter("drawing", 0.25)  # a quarter of the part "drawing" is done

On a terminal one line that is rewritten; elsewhere (a file, a scheduler's log) a line every
`seconds_between_lines`. A thread writes it, so that time is seen to pass in work that says nothing.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import Any


def clock_time(seconds: float) -> str:
    """75 -> "1:15"."""
    seconds = max(0, round(seconds))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


class Meter:
    """Called with (what is being done, its share done from 0 to 1), from any thread."""

    def __init__(self, title: str, *, seconds_between_lines: float = 10.0) -> None:
        self.title, self.seconds = title, seconds_between_lines
        self._began = self._part_began = time.monotonic()
        self._what, self._share = "", 0.0
        self._told = self._began  # when it was told the share last
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Meter:
        # a bar that is on the terminal holds back what is written to stderr until a line ends
        self._stream: Any = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
        self._rewrites = self._stream.isatty()
        self._began = self._part_began = time.monotonic()
        self._thread = threading.Thread(target=self._work, name=self.title, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        if self._rewrites:
            self._write("\r\x1b[K")

    def __call__(self, what: str, share: float) -> None:
        if what != self._what:
            self._what, self._part_began = what, time.monotonic()
        self._share, self._told = min(1.0, max(0.0, share)), time.monotonic()

    def line(self, now: float) -> str:
        """The line at the time `now`: of the part that is done, for it alone can be foreseen."""
        spent, part = now - self._began, self._told - self._part_began
        words = [f"{self.title}: {self._what}" if self._what else self.title]
        if 0 < self._share < 1:
            words.append(f"{self._share:.0%}")
        words.append(f"{clock_time(spent)} so far")
        if 0 < self._share < 1:
            left = part * (1 - self._share) / self._share - (now - self._told)
            words.append(f"about {clock_time(left)} left" + (" of this part" if self._what else ""))
        return "  " + " · ".join(words)

    def _work(self) -> None:
        while not self._done.wait(0.5 if self._rewrites else self.seconds):
            line = self.line(time.monotonic())
            if self._rewrites:
                line = line[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r{line}\x1b[K" if self._rewrites else f"{line}\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads, or the stream is closed: no fault of the work
            self._done.set()
