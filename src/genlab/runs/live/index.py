"""Which runs there are below a folder, and which of them changed: read in the background.

Read: `Index.changes(since)` is what the page asks for, again and again; threads keep it true. The
newest are read first. Nothing is watched by the system's means: folders and sizes are looked at
again, which works on a network's disk, and nothing is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

from genlab.metrics.figures import better
from genlab.runs.compare import LOSSES
from genlab.runs.live.summary import Summary, newest_first
from genlab.runs.page.record import MARKS

TICK, RESCAN = 0.5, 4.0  # seconds between two looks at runs, and at folders
OTHERS = 100  # of the runs that do not run: so many are looked at again in each tick
MOST, DEEP, ENTRIES = 20_000, 8, 500_000  # runs; folders within each other; entries of all
WAITS = 20  # of 5 ms that a reader gives to those who ask
OPENING = 0.8  # seconds that a page which opens is waited for until it has asked for the runs
READERS = 4  # threads: on a network's disk each waits for its answer
HEAD = {*MARKS, "config.yaml"}


class Index:
    """The runs below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.boot = secrets.token_hex(4)  # a cursor of another server's is worth nothing
        self.runs: dict[str, Summary] = {}
        self.version, self.walked = 0, False
        self._gone: list[tuple[int, str]] = []
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="board")
        self._turn = self._answering = 0
        self._opening = 0.0  # until when a page that opens comes first

    # --- what is asked ------------------------------------------------------------------------

    def changes(self, since: int = 0, boot: str = "") -> str:
        """JSON: the runs that changed after the cursor `since`, those that are gone, the cursor."""
        since = since if boot == self.boot else 0
        with self._lock:
            runs = [r for r in self.runs.values() if r.version > since]
            gone = [key for at, key in self._gone if at > since and key not in self.runs]
            head = {
                "boot": self.boot, "cursor": self.version, "walked": self.walked,
                "found": len(self.runs), "read": sum(r.read_once for r in self.runs.values()),
                "root": self.root.name, "anew": since == 0, "gone": gone,
                "ways": {n: way for r in runs for n in (*r.figures, *r.last) if (way := way_of(n))},
            }  # fmt: skip
            texts = [r.text for r in sorted(runs, key=lambda r: newest_first(r.where))[::-1]]
        return f'{json.dumps(head)[:-1]}, "runs": [{", ".join(texts)}]}}'

    def run(self, key: str) -> Summary | None:
        return self.runs.get(key)

    def chosen(self, keys: Sequence[str]) -> list[Summary]:
        return [self.runs[k] for k in dict.fromkeys(keys) if k in self.runs]

    def within(self, group: str) -> list[Summary]:
        """The runs of one folder, in their names' order."""
        return sorted((r for r in self.runs.values() if r.group == group), key=lambda r: r.where)

    # --- how it is kept true ------------------------------------------------------------------

    def start(self) -> None:
        threading.Thread(target=self._work, name="board", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read_all(self) -> None:
        """Find and read everything now, for an export."""
        self.scan()
        self._read(list(self.runs.values()))

    def _work(self) -> None:
        scanned = 0.0
        while not self._stop.is_set():
            # the disk is away; or the board ends
            with contextlib.suppress(OSError, RuntimeError, CancelledError):
                if time.monotonic() - scanned > RESCAN:
                    self.scan()
                    scanned = time.monotonic()
                    self._read([r for r in self._ordered() if not r.read_once])
                self.tick()
            self._stop.wait(TICK)

    def _ordered(self) -> list[Summary]:
        with self._lock:
            runs = list(self.runs.values())
        return sorted(runs, key=lambda r: newest_first(r.where), reverse=True)

    def scan(self) -> None:
        """Look for run folders, and for those that are gone."""
        there = set()
        known = {r.where for r in self.runs.values()}
        for where in find_runs(self.root, known):
            if len(there) >= MOST:
                break
            there.add(where)
            if where not in known:
                run = Summary(self.root, where)
                with self._lock:
                    self._bump(run)
                    self.runs[run.key] = run
        with self._lock:
            for run in [r for r in self.runs.values() if r.where not in there]:
                del self.runs[run.key]
                self.version += 1
                self._gone = [*self._gone[-1000:], (self.version, run.key)]
            self.walked = True

    def tick(self) -> None:
        """Look at the runs that run, and at some of the others in turn."""
        runs = self._ordered()
        live = [r for r in runs if r.state == "running"]
        rest = [r for r in runs if r.state != "running" and r.read_once]
        start, self._turn = self._turn, (self._turn + OTHERS) if len(rest) > OTHERS else 0
        self._turn %= max(1, len(rest))
        self._read([*live, *(rest[start:] + rest[:start])[:OTHERS]])

    def _read(self, runs: Sequence[Summary]) -> None:
        list(self._pool.map(self._read_one, runs))

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Within, readers wait a moment: a page that is asked for comes first."""
        self._answering += 1
        try:
            yield
        finally:
            self._answering -= 1

    def opening(self, *, done: bool = False) -> None:
        """A page opens, or has its first rows: what is read in between would keep it waiting."""
        self._opening = 0.0 if done else time.monotonic() + OPENING

    def _read_one(self, run: Summary) -> None:
        while time.monotonic() < self._opening and not self._stop.is_set():
            time.sleep(0.005)
        for _ in range(WAITS):
            if not self._answering:
                break
            time.sleep(0.005)
        if self._stop.is_set():
            return
        try:
            changed = run.update(time.time())
        except Exception as error:  # a foreign folder has many ways to be odd; the others are shown
            run.read_once, run.reason, changed = (
                True,
                f"{type(error).__name__}: {error}"[:300],
                True,
            )
        if changed:
            with self._lock:
                self._bump(run)

    def _bump(self, run: Summary) -> None:
        self.version += 1
        run.version = self.version


def find_runs(root: Path, known: set[str]) -> Iterator[str]:
    """Run folders below `root`, relative to it, none within another one; links are not followed.

    A folder that is known for a run is not looked into again.
    """
    left, open_folders = ENTRIES, [""]
    while open_folders:
        here = open_folders.pop()
        try:
            with os.scandir(os.path.join(root, here)) as entries:
                inner, head = [], False
                for entry in entries:
                    left -= 1
                    if entry.name in HEAD and here:
                        head = True
                        break
                    if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                        inner.append(os.path.join(here, entry.name))
        except OSError:
            continue
        if left <= 0:
            return
        if head:
            yield here
            continue
        yield from (folder for folder in inner if folder in known)
        if here.count(os.sep) < DEEP:
            open_folders += sorted((f for f in inner if f not in known), key=newest_first)


def way_of(name: str) -> int:
    """1 where less of a figure is better, -1 where more is, 0 where it is not known."""
    return 1 if name in LOSSES else better(name)
