"""What all fuzzers share: inputs by number, limits on each, and the property that all must have.

An input is accepted, or refused on purpose in one line; within 10 s and 1 GB, and nothing is
written elsewhere. `$GENLAB_FUZZ_INPUTS` inputs a gate (10,000), drawn from `$GENLAB_FUZZ_SEED` (0)
and their number, so that one can be made again alone.
"""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import linecache
import os
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genlab.runs.say.errors import UserError

TESTS = Path(__file__).resolve().parent.parent
sys.path += [str(TESTS / "faults"), str(TESTS / "hostile")]
from record import record  # noqa: E402

INPUTS = int(os.environ.get("GENLAB_FUZZ_INPUTS", "10000"))
SEED = os.environ.get("GENLAB_FUZZ_SEED", "0")
FEW = 200  # in the fast tests, so that the fuzzers do not rot
SECONDS, MEMORY = 10, 2**30


def sizes(share: float = 1, few: int = FEW) -> pytest.MarkDecorator:
    """Every fuzzer runs twice: a few inputs with the fast tests, all of them with `make fuzz`."""
    every = max(1, round(INPUTS * share))
    return pytest.mark.parametrize(
        "num", [pytest.param(few, id="few"), pytest.param(every, id="all", marks=pytest.mark.fuzz)]
    )


class Refused(Exception):
    """Raised by a fuzzer where a gate refuses nothing as a whole: what it says is left out."""


class Hang(BaseException):
    """Not an Exception: genlab's own code must not catch it."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Within: an end after 10 s of work, or 60 s of waiting, wherever Python is."""

    def stop(*_: Any) -> None:
        raise Hang(f"over {SECONDS} s")

    clocks = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    before = {number: signal.signal(number, stop) for number in clocks}
    for number, clock in clocks.items():
        signal.setitimer(clock, SECONDS if number == signal.SIGPROF else 6 * SECONDS)
    try:
        yield
    finally:
        for number, clock in clocks.items():
            signal.setitimer(clock, 0)
            signal.signal(number, before[number])


class _Watch:
    """Notes what Python writes, starts or sends outside one folder. A hook stays for good."""

    STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen",
              "socket.connect")  # fmt: skip
    CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link",
               "os.truncate", "os.chmod", "shutil.rmtree")  # fmt: skip

    def __init__(self) -> None:
        self.folder, self.found, self.hooked = "", [], False

    def __call__(self, event: str, arguments: tuple) -> None:
        if not self.folder:
            return
        if event in self.STARTS:
            self.found.append(f"{event} {arguments[:2]}")
        elif event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                self.note(event, path)
        elif event in self.CHANGES:
            for path in arguments[:2] if event == "os.rename" else arguments[:1]:
                self.note(event, path)

    def note(self, event: str, path: Any) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            path = os.path.abspath(os.fsdecode(path))
            away = not path.startswith(self.folder)
            if away and "__pycache__" not in path and path != os.devnull:
                self.found.append(f"{event} {path}")

    @contextlib.contextmanager
    def on(self, folder: Path) -> Iterator[list[str]]:
        if not self.hooked:
            sys.addaudithook(self)
            self.hooked = True
        self.folder, self.found = f"{folder}{os.sep}", []
        try:
            yield self.found
        finally:
            self.folder = ""


_watch = _Watch()


def on_purpose(error: BaseException) -> bool:
    """Whether genlab raised it itself: a `raise` in its own code, of one line."""
    if isinstance(error, Refused):
        return True
    last = traceback.extract_tb(error.__traceback__)[-1]
    raised = linecache.getline(last.filename, last.lineno or 0).strip()
    own = f"{os.sep}genlab{os.sep}" in last.filename and raised.startswith("raise ")
    return type(error) in (UserError, ValueError) and own and "\n" not in str(error)


def reason(error: BaseException) -> str:
    """The kind of a refusal: its text without paths, places and numbers."""
    text = re.sub(r"/\S+(:|,)?", "", str(error))
    text = re.sub(r"(['\"]).*\1|\[.*\]|\S*[.=]\S*|\d[\d,]*", "~", text)
    return " ".join(text.split())[:60]


def fuzz(
    gate: str,
    num: int,
    folder: Path,
    make: Callable[[random.Random], Any],
    meet: Callable[[Any], str | None],
    *,
    least: float = 0.02,
) -> None:
    """Meet `num` inputs; `meet` gives what was accepted ("" or None: "accepted"), or raises.

    AssertionError is a wrong acceptance. At least the share `least` is accepted, and refused.
    """
    seen: Counter[str] = Counter()
    faults: dict[str, list[str]] = {}
    accepted, began, slowest = 0, time.monotonic(), 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(num):
        value = make(random.Random(f"{gate} {SEED} {number}"))
        start, fault = time.monotonic(), ""
        try:
            # of the library's loops that no signal reaches
            faulthandler.dump_traceback_later(12 * SECONDS, exit=True, file=sys.__stderr__)
            # in the folder: rmtree names what it removes relative to an open one
            with contextlib.chdir(folder), _watch.on(folder) as written, limited():
                seen[meet(value) or "accepted"] += 1
            accepted += 1
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if on_purpose(error):
                seen[f"refused: {reason(error)}"] += 1
            else:
                last = traceback.extract_tb(error.__traceback__)[-1]
                fault = f"{type(error).__name__} at {last.filename[-40:]}:{last.lineno}: {error}"
        finally:
            faulthandler.cancel_dump_traceback_later()
        slowest = max(slowest, time.monotonic() - start)
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if (now - peak) * 1024 > MEMORY:
            fault, peak = fault or f"{(now - peak) / 2**20:.1f} GB more memory", now
        fault = fault or (f"outside its folder: {written[0]}" if written else "")
        if fault:
            kind = re.sub(r"\d+|'.*?'", "~", fault)[:80]
            faults.setdefault(kind, []).append(f"input {number}: {fault[:300]}\n    {value!r:.700}")
    took = time.monotonic() - began
    lines = [f"{n:7,} {n / num:6.1%}  {what}" for what, n in seen.most_common(25)]
    wrong = sum(map(len, faults.values()))
    print(f"\n{gate}: {num:,} inputs, {accepted / num:.0%} accepted, {took:.0f} s,"
          f" the slowest {slowest:.2f} s, {wrong} faults", *lines, sep="\n")  # fmt: skip
    record(f"fuzz: {gate}", num, num - wrong, f"{accepted / num:.0%} accepted, {took:.0f} s")
    shown = [f"{len(found)} x {found[0]}" for found in faults.values()]
    assert not faults, "\n".join([f"{wrong} faults of {len(faults)} kinds", *shown])
    assert num < 100 or least <= accepted / num <= 1 - least, "the inputs do not reach both answers"


# --- what makes an honest text or file an odd one -------------------------------------------------


def span(rng: random.Random, size: int) -> tuple[int, int]:
    """Where a change begins and ends: mostly short, sometimes all that is left."""
    first = rng.randrange(size + 1)
    return first, min(size, first + rng.choice((0, 1, 1, 2, 4, 16, 64, size)))


def mutated(rng: random.Random, data: Any, words: list[Any], most: int = 3) -> Any:
    """Bytes or a text after a few changes: flips, cuts, doubled spans, words put in."""
    for _ in range(rng.randint(1, most)):
        first, last = span(rng, len(data))
        kind = rng.randrange(6)
        if kind == 0 and isinstance(data, bytes) and data:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        elif kind == 1:
            data = data[:first] + data[last:]
        elif kind == 2:
            data = data[:last] + data[first:last] * rng.choice((1, 1, 2, 50)) + data[last:]
        elif kind == 3:
            data = data[:first] + rng.choice(words) + data[last:]
        elif kind == 4:
            at = rng.randrange(len(data) + 1)
            data = data[:at] + rng.choice(words) + data[at:]
        elif kind == 5 and rng.random() < 0.2:
            data = data[:first]
        data = data[: 2**21]
    return data


ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, float("nan"),
    float("inf"), 1e308, 1e-320, "", "x", " ", "a\nb", "\0", "\x1b[2J", "é", "\u202e", "🙂",
    "x" * 300, "${a}", "${oc.env:HOME}", "os.system", "genlab.data.toy.Ring", "../x", "/etc/passwd",
    "1", "null", [], {}, [[]], {"": None}, [1, "a", None], {"_target_": "os.mkdir"},
    {"_target_": None}, {"_target_": "genlab.nn.mlp.MLP"}, {"a": {"a": {"a": 1}}}, {1: 2},
    {None: 1}, [0] * 1000,
)  # fmt: skip


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of plain data."""
    if isinstance(data, dict | list):
        for key in [*data] if isinstance(data, dict) else range(len(data)):
            yield data, key
            yield from places(data[key])


def change(rng: random.Random, data: Any, odd: tuple[Any, ...] = ODD, most: int = 3) -> None:
    """Values and keys of plain data replaced, removed, put in, swapped: in place."""
    for _ in range(rng.randint(1, most)):
        found = list(places(data))
        if not found:
            return
        holder, key = rng.choice(found)
        kind = rng.randrange(6)
        if kind < 3:
            holder[key] = copy.deepcopy(rng.choice(odd))
        elif kind == 3:
            del holder[key]
        elif kind == 4 and isinstance(holder, dict):
            new = rng.choice([v for v in odd if not isinstance(v, dict | list)])
            holder[new] = holder.pop(key) if rng.random() < 0.5 else copy.deepcopy(holder[key])
        else:
            other, at = rng.choice(found)
            if not (isinstance(other, list) and at >= len(other)):
                value = other.get(at) if isinstance(other, dict) else other[at]
                holder[key] = copy.deepcopy(value)
