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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 180  # seconds that a mutant's tests may take
MEMORY = 16 << 30  # bytes of addresses: a mutant without a bound must not take the machine's
LEAST = 0.97  # of the mutants are to be killed
LIBRARIES = (
    "torch pytorch_lightning hydra omegaconf pytest hypothesis anyio._backends._asyncio xdist"
    " sklearn.datasets safetensors.torch PIL"
)
HEAD = """\
# Mutants: what was broken on purpose, and whether a test noticed

Written by `make mutants`: {killed} of {all} mutants are killed. Each is one small wrong change to
the package, named in `tests/mutants.toml`; killed is one that a test fails for.

| area | mutants | killed |
|---|---:|---:|
"""


@dataclass(frozen=True)
class Mutant:
    """One wrong change: `old`, which stands once in `file`, becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: str  # arguments of pytest
    judged: str = ""  # why it may live, where it does

    @property
    def area(self) -> str:
        return str(Path(self.file).parent).replace(".", "genlab")


def listed() -> list[Mutant]:
    """The mutants of tests/mutants.toml."""
    files = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text(encoding="utf-8"))
    judged = files.pop("judged", {})
    return [
        Mutant(name, file, old, new, (tests or [held["tests"]])[0], judged.get(name, ""))
        for file, held in files.items()
        for name, old, new, *tests in held["mutants"]
    ]


def changed(mutant: Mutant, place: Path) -> None:
    """A copy of src/genlab at `place`, changed, and conf/ where genlab looks for it."""
    shutil.copytree(ROOT / "src" / "genlab", place / "src" / "genlab")
    (place / "conf").symlink_to(ROOT / "conf")
    file = place / "src" / "genlab" / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its text stands {text.count(mutant.old)} times")
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def started(mutant: Mutant, place: Path) -> int:
    """A process that tests the package, changed if `old` is not empty; ends with pytest's code."""
    if mutant.old:
        changed(mutant, place)
    if child := os.fork():
        return child
    with contextlib.suppress(BaseException):
        os.setsid()
        signal.alarm(LIMIT)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        out = os.open(place / "out", os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1), os.dup2(out, 2)
        os.chdir(ROOT)
        source = str((place if mutant.old else ROOT) / "src")
        sys.path.insert(0, source)
        # what a mutant has learnt is nobody else's
        os.environ |= {"PYTHONPATH": source, "GENLAB_CACHE": str(place / "cache")}
        words = ["-q", "-x", "-p", "no:cacheprovider", f"--basetemp={place}/t"]
        import pytest

        code = int(pytest.main([*words, *shlex.split(mutant.tests)]))
        sys.stdout.flush()
        os._exit(code)
    os._exit(70)


def outcomes(mutants: Sequence[Mutant], jobs: int) -> Iterator[tuple[Mutant, str, str]]:
    """Of each as it ends: "passed", "killed", "endless" or "error", and what pytest said last."""
    waiting, running = list(reversed(mutants)), {}
    with tempfile.TemporaryDirectory(prefix="mutants") as folder:
        while waiting or running:
            while waiting and len(running) < jobs:
                mutant, place = waiting.pop(), Path(tempfile.mkdtemp(dir=folder))
                running[started(mutant, place)] = mutant, place
            child, status = os.wait()
            mutant, place = running.pop(child)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what its tests have left behind
            how = {0: "passed", 1: "killed", -signal.SIGALRM: "endless"}
            said = (place / "out").read_text(errors="replace") if (place / "out").exists() else ""
            yield mutant, how.get(os.waitstatus_to_exitcode(status), "error"), said[-1500:]
            shutil.rmtree(place, ignore_errors=True)


def report(mutants: list[Mutant], found: dict[Mutant, str]) -> str:
    lived = [m for m in mutants if found[m] == "passed"]
    text = HEAD.format(all=len(mutants), killed=len(mutants) - len(lived))
    for area in sorted({m.area for m in mutants}):
        num, left = (sum(m.area == area for m in some) for some in (mutants, lived))
        text += f"| {area} | {num} | {num - left} |\n"
    lines = [f"- **{m.name}** (`{m.file}`): {m.judged or 'not judged yet.'}\n" for m in lived]
    return text + "\nAlive:\n\n" * bool(lines) + "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help="mutants with this in their name or file")
    parser.add_argument("--jobs", type=int, default=2)
    given, begun = parser.parse_args(), time.monotonic()
    os.environ |= {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    for name in LIBRARIES.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # what all share, nobody need look through
    assert "genlab" not in sys.modules
    mutants = [m for m in listed() if not given.only or given.only in f"{m.name} {m.file}"]
    plain = [Mutant("", "", "", "", tests) for tests in sorted({m.tests for m in mutants})]
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
        said = {"passed": "ALIVE", "endless": "killed: its tests did not end"}.get(how, how)
        print(
            f"{len(found)}/{len(mutants)}, {left:.0f} min left: {mutant.name}: {said}", flush=True
        )
        if how == "error":
            print(out)
    killed = sum(how in ("killed", "endless") for how in found.values())
    minutes = (time.monotonic() - begun) / 60
    print(f"{killed} of {len(mutants)} mutants killed, in {minutes:.0f} minutes")
    for mutant in (m for m in mutants if found[m] not in ("killed", "endless")):
        print(f"{found[mutant]}: {mutant.name} ({mutant.file}) {mutant.judged}")
    if "error" in found.values():
        return 2
    if not given.only:
        (ROOT / "docs" / "mutants.md").write_text(report(mutants, found), encoding="utf-8")
    return int(killed < LEAST * len(mutants))


if __name__ == "__main__":
    code = main()
    gc.unfreeze()
    sys.exit(code)
