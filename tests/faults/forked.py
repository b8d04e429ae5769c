"""The real command in a child forked from this process, which has imported everything already.

A process start costs 4 s of imports; a fork costs none, so that hundreds of kills fit into minutes.
The parent never computes, so it has no threads that a fork would lose (OMP_NUM_THREADS=1).
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import pkgutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import sklearn.datasets  # noqa: F401  imported here so that the children have it
import torch
from hydra.core.plugins import Plugins

import genlab
from genlab import cli
from genlab.runs.folder import checkpoint

for module in pkgutil.walk_packages(genlab.__path__, "genlab."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as missing:  # of an extra that is not installed: gradio
        if (missing.name or "").partition(".")[0] == "genlab":
            raise
torch.set_num_threads(1)  # a child has none of the threads that its parent made
Plugins.instance()  # Hydra looks for its plug-ins once

CHAIN = [
    "trainer=cpu", "trainer.threads=1", "trainer.precision=32-true",
    "logger=none", "evaluate=false", "data.batch_size=16",
    "budget.examples=960", "look_every=240", "save_every=80", "callbacks.look.num=4",
    "callbacks.ledger.log_every=1", "optim.warmup=64",
]  # fmt: skip


def fork(work: Callable[[], int], log: Path) -> int:
    """The id of a child that does `work` and ends with the code it gives."""
    sys.stdout.flush()
    sys.stderr.flush()
    if child := os.fork():
        return child
    code = 99
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        faulthandler.dump_traceback_later(60)  # a child that hangs says where
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def command(*arguments: str, log: Path, saved: Path | None = None) -> int:
    """A child that runs `genlab ARGUMENTS`; every save that is on the disk is noted in `saved`."""

    def work() -> int:
        if saved is not None:
            original = checkpoint.save

            def save(held: dict, path: Path) -> None:
                original(held, path)
                with saved.open("a") as f:
                    f.write(f"{held['clock']['examples']}\n")

            checkpoint.save = save
        try:
            cli.main(list(arguments))
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        return 0

    return fork(work, log)


def ended(child: int, timeout: float = 120) -> int:
    """The child's exit code, negative for a signal; it is killed after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"a child did not end within {timeout} s")


def start(run: Path, overrides: list[str], **kwargs) -> int:
    """Begin a run in a folder given, or go on with it if it has begun."""
    if (run / "config.yaml").is_file():
        return command("train", f"resume={run}", **kwargs)
    return command("train", *CHAIN, *overrides, f"hydra.run.dir={run}", **kwargs)
