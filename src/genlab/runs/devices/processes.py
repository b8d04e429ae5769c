"""One process per device, started and watched here.

Each child is `python -m genlab.runs.devices.worker RUN`: it reads the run folder's config.yaml, so
neither sub-command nor sweep has to be typed again (Lightning relaunches sys.argv, which breaks
both). If one child ends badly, the others are ended too.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genlab.runs.devices import ranks
from genlab.runs.devices.signals import WATCHED, hand_on, others
from genlab.runs.say.errors import UserError

GRACE = 20.0  # seconds for all processes to save and end by themselves after a signal
ENDING = 8.0  # seconds between asking what is left of a broken run to end and ending it


def processes_here(trainer: dict[str, Any]) -> int:
    """How many processes this machine is to run; 1 where a launcher (Slurm, torchrun) made them."""
    if ranks.started_outside() or "LOCAL_RANK" in os.environ:
        return 1
    if trainer["num_nodes"] > 1:
        raise UserError(
            f"trainer.num_nodes={trainer['num_nodes']}: start it on each node, by srun (one task a"
            " device) or torchrun"
        )
    devices = trainer["devices"]
    if isinstance(devices, str) and "," in devices:
        devices = [d for d in devices.split(",") if d.strip()]
    if isinstance(devices, list):
        return len(devices)
    if isinstance(devices, str) and devices != "auto" and not re.fullmatch(r"-?\d+", devices):
        raise UserError(f"trainer.devices={devices}: a number, -1 or auto for all, or a list")
    plain = trainer["accelerator"] not in ("gpu", "cuda") and str(devices) == "1"
    gpus = 0 if plain else _gpus(trainer["accelerator"])  # torch is imported where it is asked
    if devices == "auto" and trainer["accelerator"] == "cpu":
        return 1
    if devices == "auto" or (int(devices) == -1 and trainer["accelerator"] != "cpu"):
        return max(1, gpus)
    if int(devices) < 1:
        raise UserError(f"trainer.devices={devices}: say how many processes, trainer.devices=2")
    there, kind = (gpus, "GPUs") if gpus else (max(2, os.cpu_count() or 1), "cores")
    if int(devices) > there:
        raise UserError(
            f"trainer.devices={devices}: this machine has {there} {kind}, one for each process:"
            f" write trainer.devices={there}"
        )
    return int(devices)


def _gpus(accelerator: str) -> int:
    """How many GPUs a run would use here; refused where it asks for one and there is none."""
    if accelerator == "cpu":
        return 0
    num = mps = 0
    if may_have_gpu():
        import torch

        num = torch.cuda.device_count() if torch.cuda.is_available() else 0
        mps = torch.backends.mps.is_available()
    if accelerator in ("gpu", "cuda") and not num and not mps:
        raise UserError(
            f"trainer.accelerator={accelerator}: torch {version('torch')} sees no GPU here; write"
            " trainer=cpu, or trainer=auto for what is there"
        )
    return num


def may_have_gpu() -> bool:
    """Whether torch, which takes seconds to import, is worth asking.

    Linux shows a GPU that it can use as a device: NVIDIA's (in WSL dxg), AMD's kfd.
    """
    if sys.platform != "linux":
        return True
    return any(Path("/dev", name).exists() for name in ("nvidia0", "nvidiactl", "dxg", "kfd"))


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def supervise(run: Path, num: int, *, resume: bool, trust: Sequence[str]) -> None:
    """Start `num` workers on the run folder and wait; the first that fails ends all.

    A signal to this process goes to the workers, which agree on a batch, save and end. If this
    process dies, its end of a pipe closes, which the workers watch: none is left behind.
    """
    port = _free_port()
    cores = os.cpu_count() or 1
    watched, held = os.pipe()
    children: list[subprocess.Popen] = []
    try:
        with forwarding(children):
            for rank in range(num):
                env = {
                    **os.environ,
                    "LOCAL_RANK": str(rank),
                    "NODE_RANK": os.environ.get("NODE_RANK", "0"),
                    "WORLD_SIZE": str(num),
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(port),
                    "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, cores // num))),
                    "GENLAB_PARENT": str(watched),
                }
                command = [sys.executable, "-m", "genlab.runs.devices.worker"]
                command += [str(run), str(int(resume)), *trust]
                children.append(
                    subprocess.Popen(
                        command,
                        env=env,
                        pass_fds=[watched],
                        stdin=subprocess.DEVNULL,
                        process_group=0,  # a terminal's Ctrl-C comes through this process, once
                    )
                )
            code = _wait(children)
    finally:
        _end(children)
        os.close(watched)
        os.close(held)
    if code:
        code = code if code > 0 else 128 - code
        hand_on(code - 128)
        raise SystemExit(code)


@contextlib.contextmanager
def forwarding(children: list[subprocess.Popen]) -> Iterator[None]:
    """Within: signals are passed on to the children.

    A SIGTERM that somebody else answers is not: whoever does may let it pass (see `stops`), and
    children that had ended would not come back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, frame: object) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(number)

    passed_on = [n for n in WATCHED if n != signal.SIGTERM or n not in others]
    before = {n: signal.signal(n, forward) for n in passed_on}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch_parent() -> None:
    """In a worker: end at once when the process that started it is gone."""
    handle = os.environ.pop("GENLAB_PARENT", None)
    if handle is None:
        return

    def wait() -> None:
        os.read(int(handle), 1)  # nothing is ever written: it returns when the pipe closes
        os._exit(128 + signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _wait(children: list[subprocess.Popen]) -> int:
    """The exit code of the first that fails, once the others had time to end the same way."""
    while True:
        codes = [c.poll() for c in children]
        if bad := [c for c in codes if c]:
            deadline = time.monotonic() + GRACE
            while bad[0] > 128 and None in codes and time.monotonic() < deadline:
                time.sleep(0.1)  # stopped by a signal: they all save and end by themselves
                codes = [c.poll() for c in children]
            return bad[0]
        if all(c == 0 for c in codes):
            return 0
        time.sleep(0.1)


def _end(children: list[subprocess.Popen]) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + ENDING
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
