"""Running genlab in tests: in this process (quick), or as a user does."""

from __future__ import annotations

import copy
import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from genlab.rows import read_rows
from genlab.runs import train
from genlab.runs.say.answer import answer
from genlab.runs.settings import compose
from genlab.runs.settings.plan import Plan

# float32 by name: what precision=auto takes depends on the processor
TINY = [
    "trainer=cpu", "trainer.threads=1", "trainer.precision=32-true", "logger=none",
    "evaluate=false", "budget.examples=256", "data.batch_size=16", "look_every=128",
    "save_every=128", "callbacks.look.num=4", "callbacks.ledger.log_every=1",
    "data.val_examples=64",
]  # fmt: skip


def settled(overrides: list[str]) -> dict[str, Any]:
    """The settings that the command line composes; a test that asks again need not wait again."""
    here = (os.getcwd(), *(os.environ.get(n) for n in ("GENLAB_OUTPUTS", "GENLAB_DATA", "HOME")))
    return copy.deepcopy(_settled(tuple(overrides), here))


@functools.lru_cache(maxsize=8)
def _settled(overrides: tuple[str, ...], here: tuple[str | None, ...]) -> dict[str, Any]:
    return compose.plan_of(overrides)[0].settings


def fit(overrides: list[str], run: Path, *, resume: bool = False, **changes: Any) -> Path:
    """Train in this process, in a folder given; `changes` replace top-level settings."""
    settings = {**settled([*TINY, *overrides]), **changes}
    run.mkdir(parents=True, exist_ok=True)
    train.write_yaml(run / "config.yaml", settings)
    train.Training(Plan(settings, settings["trust"]), run).fit(resume=resume)
    return run


def losses(run: Path) -> list[float]:
    return [r["train/loss"] for r in read_rows(run / "metrics.jsonl") if r["kind"] == "train"]


def looks(run: Path) -> list[float]:
    """The held-out losses."""
    return [r["val/loss"] for r in read_rows(run / "metrics.jsonl") if r["kind"] == "look"]


def on_two_processes(overrides: list[str], run: Path) -> Path:
    words = [*(o for o in TINY if o != "trainer=cpu"), *overrides]
    done = genlab_here("train", *words, "trainer=ddp_cpu", f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr[-2000:]
    return run


def genlab_here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in this process: its exit code and what it prints, without a start of Python."""
    import contextlib
    import io
    import signal
    import sys

    from hydra.core.global_hydra import GlobalHydra

    from genlab import cli

    out, err, argv, environment = io.StringIO(), io.StringIO(), sys.argv, dict(os.environ)
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    GlobalHydra.instance().clear()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = answer(lambda: cli.run(arguments[0], list(arguments[1:])), [*arguments[1:]])
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        GlobalHydra.instance().clear()
    return subprocess.CompletedProcess(["genlab", *arguments], code, out.getvalue(), err.getvalue())


def genlab(*arguments: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
    """The command, as a process of its own."""
    import os

    return subprocess.run(
        [sys.executable, "-m", "genlab.cli", *arguments],
        capture_output=True, text=True, timeout=timeout, env={**os.environ, **env}, check=False,
    )  # fmt: skip


def children_seconds() -> float:
    """CPU seconds of the processes that this one has started and that have ended: what they cost,
    however busy the machine is."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def valid_checkpoints(run: Path) -> tuple[list[Path], list[str]]:
    """The run's undamaged checkpoints, newest first, and what is wrong with the rest."""
    from genlab.runs.folder.checkpoint import checkpoint_files, damage  # which imports torch

    good, notices = [], []
    for file in checkpoint_files(run):
        if problem := damage(file):
            notices.append(f"{file.name} {problem}")
        else:
            good.append(file)
    return good, notices
