"""A dashboard that refuses, hangs, answers nonsense or dies: the run does not notice."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from faults.record import record
from pytorch_lightning.loggers import Logger

from genlab.rows import read_rows
from genlab.runs.say import dashboard
from genlab.runs.say.dashboard import Harmless


class Stub(Logger):
    """A logger that does at each call what it is told."""

    name, version = "stub", ""

    def __init__(self, fault: Any = None, opening: Any = None) -> None:
        super().__init__()
        self.rows: list[tuple] = []
        self.fault, self.opening = fault, opening

    @property
    def experiment(self) -> None:
        if self.opening:
            self.opening()

    def log_metrics(self, metrics, step=None) -> None:
        if self.fault:
            self.fault()
        self.rows.append((metrics, step))

    def log_image(self, key, images, step=None) -> None:
        self.rows.append((images, step))

    def log_hyperparams(self, params) -> None:
        self.rows.append((params, None))


def fail() -> None:
    raise RuntimeError("the service is gone\x1b[31m")


def test_what_is_logged_arrives_in_order() -> None:
    stub = Stub()
    logger = Harmless(stub, "logger.stub")
    assert hasattr(logger, "log_image") and not hasattr(logger, "log_text")
    for i in range(100):
        logger.log_metrics({"a": i}, step=i)
    logger.log_image("samples", ["a.png"], step=100)
    logger.close()
    assert stub.rows == [*(({"a": i}, i) for i in range(100)), (["a.png"], 100)]


@pytest.mark.parametrize("where", ["fault", "opening"])
def test_a_fault_drops_the_logger_with_one_notice(where: str, capsys) -> None:
    logger = Harmless(Stub(**{where: fail}), "logger.stub")
    for i in range(50):
        logger.log_metrics({"a": i})
        time.sleep(0.001)
    logger.close()
    assert capsys.readouterr().err.count("logger.stub is dropped (RuntimeError: the service") == 1


@pytest.mark.parametrize("where", ["fault", "opening"])
def test_a_logger_that_hangs_is_not_waited_for(where: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr(dashboard, "OPENING", 0.1)
    monkeypatch.setattr(dashboard, "CLOSING", 0.2)
    monkeypatch.setattr(dashboard, "WAITING", 20)
    began, free = time.monotonic(), threading.Event()
    logger = Harmless(Stub(**{where: lambda: free.wait(20)}), "logger.stub")
    for i in range(50):
        logger.log_metrics({"a": i})
    logger.close()
    free.set()
    assert time.monotonic() - began < 1.5
    assert capsys.readouterr().err.count("is dropped") == 1


def test_another_logger_takes_the_place_of_one_that_does_not_open(capsys) -> None:
    instead = Stub()
    logger = Harmless(Stub(opening=fail), "logger.stub", instead=lambda: instead)
    logger.log_metrics({"a": 1}, step=1)
    logger.close()
    assert instead.rows == [({"a": 1}, 1)]
    assert "goes on offline (the service is gone␛[31m)" in capsys.readouterr().err


def test_a_call_costs_the_training_thread_microseconds() -> None:
    logger = Harmless(Stub(fault=lambda: time.sleep(0.001)), "logger.stub")
    seconds = []
    for i in range(1000):
        began = time.thread_time()
        logger.log_metrics({"a": i}, step=i)
        seconds.append(time.thread_time() - began)
    logger.close()
    assert statistics.median(seconds) < 200e-6  # the mean has the garbage collector's passes in it


# --- whole runs -------------------------------------------------------------------------------


@contextmanager
def server(status: int, delay: float = 0) -> Iterator[str]:
    """An HTTP server that answers everything with `status`, after `delay` seconds."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(delay)
            try:
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
            except OSError:
                pass

        do_POST = do_PUT = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()


@contextmanager
def blackhole() -> Iterator[str]:
    """A socket that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as s:
        yield f"http://127.0.0.1:{s.getsockname()[1]}"


@contextmanager
def address(url: str) -> Iterator[str]:
    yield url


# measures what a run spends on loggers on its training thread, and on the way out
TIMED = """
import atexit, json, sys, threading, time
to = sys.argv[1]
spent = {"start": 0.0, "calls": 0.0, "num": 0, "end": 0.0, "all": time.perf_counter()}
def note():
    spent["exit"] = time.perf_counter() - spent["exit"]
    spent["all"] = time.perf_counter() - spent["all"]
    open(to, "w").write(json.dumps(spent))
atexit.register(note)
blocked = sys.argv[2]
if blocked:
    sys.modules[blocked] = None
from genlab.runs.say import dashboard
from genlab.runs.devices import trainer
from genlab import cli
def timed(owner, name, key):
    work = getattr(owner, name)
    def wrapped(*args, **kwargs):
        began = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            spent[key] += time.perf_counter() - began
            spent["num"] += key == "calls"
    setattr(owner, name, wrapped)
timed(dashboard, "prepare_wandb", "start")
timed(dashboard.Harmless, "__init__", "start")
timed(dashboard.Harmless, "_later", "calls")
timed(dashboard.Harmless, "close", "end")
try:
    cli.main(sys.argv[3:])
finally:
    spent["exit"] = time.perf_counter()
"""
SMALL = [
    "train", "data=digits", "model=vae", "net=mlp_vae", "trainer=cpu", "trainer.threads=1",
    "data.batch_size=16", "look_every=800", "save_every=800", "callbacks.look.num=4",
    "callbacks.ledger.log_every=1", "evaluate=false",
]  # fmt: skip
BATCHES = 200


def train(
    folder: Path, *more: str, blocked: str = "", during: Any = None, **env: str
) -> tuple[dict[str, float], list[dict], str, int]:
    """A run with wandb online: what it spent, its ledger, its stderr, its exit code."""
    out = Path(env.get("GENLAB_OUTPUTS", folder / "outputs"))
    env = {
        **os.environ, "GENLAB_OUTPUTS": str(out), "WANDB_MODE": "online", "OMP_NUM_THREADS": "1",
        "WANDB_API_KEY": "0123456789" * 4, "HOME": str(folder), **env,
    }  # fmt: skip
    arguments = [*SMALL, f"budget.examples={16 * BATCHES}", "logger.wandb.mode=online", *more]
    process = subprocess.Popen(
        [sys.executable, "-c", TIMED, str(folder / "spent.json"), blocked, *arguments],
        env=env, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if during is not None:
        during(process, out)
    stderr = process.communicate(timeout=240)[1]
    rows = [r for p in out.rglob("metrics.jsonl") for r in read_rows(p)]
    return json.loads((folder / "spent.json").read_text()), rows, stderr, process.returncode


SERVERS = {
    "port closed": lambda: address("http://127.0.0.1:9"),
    "no such host": lambda: address("http://nowhere.invalid"),
    "blackhole": blackhole,
    "HTTP 500": lambda: server(500),
    "HTTP 401": lambda: server(401),
    "nonsense, HTTP 200": lambda: server(200),
    "slow, 30 s": lambda: server(200, 30),
}


def check(name: str, spent: dict, rows: list[dict], stderr: str, code: int) -> None:
    """The run ended, its ledger is whole, and nobody waited."""
    note = (
        f"start +{spent['start']:.1f} s, end +{spent['end']:.1f} s, exit {spent['exit']:.1f} s,"
        f" {1e6 * spent['calls'] / max(1, spent['num']):.0f} µs a call"
    )
    batches = [r["batches"] for r in rows if r["kind"] == "train"]
    good = [
        code == 0,
        batches == list(range(1, BATCHES + 1)),
        any(r["kind"] == "end" for r in rows),
        spent["start"] <= 5,
        spent["end"] + spent["exit"] <= 7,
        "Traceback" not in stderr,
    ]
    record(f"dashboard: {name}", 1, int(all(good)), note)
    print(note)
    assert all(good), (good, note, stderr[-3000:])


@pytest.mark.faults
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_with_a_fault_costs_the_dashboard_alone(name: str, tmp_path: Path) -> None:
    with SERVERS[name]() as url:
        spent, rows, stderr, code = train(tmp_path, WANDB_BASE_URL=url)
    check(name, spent, rows, stderr, code)
    # whatever came of it, the user is told once
    assert stderr.count("goes on offline") + stderr.count("is dropped") == 1, stderr


@pytest.mark.faults
def test_wandb_that_cannot_be_imported(tmp_path: Path) -> None:
    check("wandb cannot be imported", *train(tmp_path, blocked="wandb"))


@pytest.mark.faults
def test_wandb_killed_in_the_middle(tmp_path: Path) -> None:
    killed = []

    def kill(process: subprocess.Popen, out: Path) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None and not killed:
            time.sleep(0.02)
            started = [r for p in out.rglob("metrics.jsonl") for r in read_rows(p)]
            if len(started) < 20:
                continue
            for entry in Path("/proc").glob("[0-9]*/stat"):
                try:
                    name, _, rest = entry.read_text().partition("(")[2].rpartition(")")
                except OSError:
                    continue
                if name.startswith("wandb") and int(rest.split()[1]) == process.pid:
                    os.kill(int(entry.parent.name), signal.SIGKILL)
                    killed.append(name)

    found = train(tmp_path, "logger.wandb.mode=offline", during=kill, WANDB_MODE="offline")
    assert killed
    check("wandb's process killed", *found)
    assert found[2].count("is dropped") == 1, found[2]


@pytest.mark.faults
def test_no_room_for_wandb(tmp_path: Path) -> None:
    """Its folder lies on a file system that is full."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    run = tmp_path / "run"
    full = run / "wandb"
    full.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(OSError), (full / "filler").open("wb", buffering=0) as f:
            while True:
                f.write(b"0" * 1024)
        mode = "offline"
        given = (f"logger.wandb.mode={mode}", f"hydra.run.dir={run}")
        found = train(tmp_path, *given, WANDB_MODE=mode, GENLAB_OUTPUTS=str(tmp_path))
    finally:
        subprocess.run(["umount", full], check=True)
    check("wandb's folder is on a full disk", *found)
