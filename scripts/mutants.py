"""Break genlab in named ways, one at a time, and see whether its tests notice: `make mutants`.

python scripts/mutants.py [--only NAME] [--jobs N]

tests/mutants.toml says of each mutant what is broken, where, the text before and after, and which
tests should fail. Each runs on a copy of src/genlab, in a process forked from this one, which has
imported the libraries but not genlab. Killed is one whose tests fail, or do not end; tests that
cannot be collected are a mistake in the list, never a kill. Writes docs/mutants.md.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 180  # seconds that a mutant's tests may take
MEMORY = 8 << 30  # bytes of addresses: a mutant without a bound must not take the machine's
LEAST = 0.97  # of the mutants are to be killed
KILLED = ("killed", "its tests did not end")
LIBRARIES = """torch pytorch_lightning hydra omegaconf pytest hypothesis anyio._backends._asyncio
 sklearn.datasets safetensors.torch PIL"""
HEAD = """\
# Mutants: what was broken on purpose, and whether a test noticed

Written by `make mutants`: {killed} of {all} mutants are killed. Each is one small wrong change to
the package, named in `tests/mutants.toml`; killed is one that a test fails for.

| area | mutants | killed |
|---|---:|---:|
"""


class Mutant(NamedTuple):
    """One wrong change: `old`, which stands once in `file`, becomes `new`; `tests` are pytest's
    arguments. No change where `file` is empty."""

    tests: str
    name: str = ""
    file: str = ""
    old: str = ""
    new: str = ""
    judged: str = ""  # why it may live, where it does


def listed() -> list[Mutant]:
    """The mutants of tests/mutants.toml."""
    files = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text(encoding="utf-8"))
    judged = files.pop("judged", {})
    return [
        Mutant((own or [held["tests"]])[0], name, file, old, new, judged.get(name, ""))
        for file, held in files.items()
        for name, old, new, *own in held["mutants"]
    ]


def started(mutant: Mutant, place: Path) -> int:
    """A process that tests the package, changed; it ends with pytest's exit code."""
    if mutant.file:
        shutil.copytree(ROOT / "src" / "genlab", place / "src" / "genlab")
        (place / "conf").symlink_to(ROOT / "conf")  # where genlab looks for it
        file = place / "src" / "genlab" / mutant.file
        before, after = file.read_text(encoding="utf-8").split(mutant.old)  # it stands there once
        file.write_text(before + mutant.new + after, encoding="utf-8")
    if child := os.fork():
        return child
    code = 70
    try:
        os.setsid()
        signal.alarm(LIMIT)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        out = os.open(place / "out", os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1), os.dup2(out, 2)
        os.chdir(ROOT)
        source = str((place if mutant.file else ROOT) / "src")
        sys.path.insert(0, source)
        # what a mutant has learnt is nobody else's
        os.environ |= {"PYTHONPATH": source, "GENLAB_CACHE": str(place / "cache")}
        words = ["-q", "-x", "-p", "no:cacheprovider", f"--basetemp={place}/t"]
        code = int(sys.modules["pytest"].main([*words, *shlex.split(mutant.tests)]))
    finally:
        sys.stdout.flush()
        os._exit(code)


def outcomes(mutants: Sequence[Mutant], jobs: int) -> Iterator[tuple[Mutant, str, str]]:
    """Each as it ends, with "passed", one of KILLED, or "error", and what pytest said last."""
    waiting, running = list(reversed(mutants)), {}
    means = {0: "passed", 1: KILLED[0], -signal.SIGALRM: KILLED[1]}
    with tempfile.TemporaryDirectory(prefix="mutants") as folder:
        while waiting or running:
            while waiting and len(running) < jobs:
                mutant, place = waiting.pop(), Path(tempfile.mkdtemp(dir=folder))
                running[started(mutant, place)] = mutant, place
            child, status = os.wait()
            mutant, place = running.pop(child)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what its tests have left behind
            said = (place / "out").read_text(errors="replace")[-1500:]
            yield mutant, means.get(os.waitstatus_to_exitcode(status), "error"), said
            shutil.rmtree(place, ignore_errors=True)


def report(found: dict[Mutant, str]) -> str:
    """A table of areas, and the mutants that lived."""
    lived = [m for m, how in found.items() if how not in KILLED]
    text = HEAD.format(all=len(found), killed=len(found) - len(lived))
    area = {m: os.path.dirname(m.file) or "genlab" for m in found}
    for name in sorted(set(area.values())):
        num, left = (sum(area[m] == name for m in some) for some in (found, lived))
        text += f"| {name} | {num} | {num - left} |\n"
    lines = [f"- **{m.name}** (`{m.file}`): {m.judged or 'not judged yet.'}\n" for m in lived]
    return text + "\nAlive:\n\n" * bool(lines) + "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="those with this in their name or file")
    parser.add_argument("--jobs", type=int, default=2)
    given, begun = parser.parse_args(), time.monotonic()
    os.environ |= {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    for name in LIBRARIES.split():
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    gc.freeze()  # what all share, nobody need look through
    mutants = [m for m in listed() if given.only in f"{m.name} {m.file}"]
    plain = [Mutant(tests) for tests in sorted({m.tests for m in mutants})]
    print(f"{len(mutants)} mutants; first their {len(plain)} selections of tests as they are")
    for one, how, out in outcomes(plain, given.jobs):
        if how != "passed":
            print(f"{one.tests}: {how} without any mutant\n{out}")
            return 2
    found: dict[Mutant, str] = {}
    start = time.monotonic()
    for mutant, how, out in outcomes(mutants, given.jobs):
        found[mutant] = how
        left = (time.monotonic() - start) / len(found) * (len(mutants) - len(found)) / 60
        at = f"{len(found)}/{len(mutants)}, {left:.0f} min left"
        print(f"{at}: {mutant.name}: {how.replace('passed', 'ALIVE')}", flush=True)
        if how == "error":
            print(out)
    killed = sum(how in KILLED for how in found.values())
    minutes = (time.monotonic() - begun) / 60
    print(f"{killed} of {len(mutants)} mutants killed, in {minutes:.0f} minutes")
    print("".join(f"{how}: {m.name} ({m.file})\n" for m, how in found.items() if how not in KILLED))
    if "error" in found.values():
        return 2
    if not given.only:
        in_order = {m: found[m] for m in mutants}
        (ROOT / "docs" / "mutants.md").write_text(report(in_order), encoding="utf-8")
    return int(killed < LEAST * len(mutants))


if __name__ == "__main__":
    code = main()
    gc.unfreeze()
    sys.exit(code)
