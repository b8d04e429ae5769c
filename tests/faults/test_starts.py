"""Many starts at once, readers that go away, and run folders made to hurt whoever reads them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from faults.record import record
from running import TINY

from genlab.rows import read_rows
from genlab.runs.folder.layout import claim, find_run
from genlab.runs.report import report
from genlab.runs.say.errors import UserError
from genlab.runs.say.summary import print_summary
from genlab.runs.say.terminal import Lasting, complain, say

SMALL = [*TINY, "data=digits", "model=vae", "net=mlp_vae", "callbacks.look.num=0"]
GENLAB = [sys.executable, "-m", "genlab.cli"]


def environment(out: Path) -> dict[str, str]:
    return {**os.environ, "GENLAB_OUTPUTS": str(out), "OMP_NUM_THREADS": "1"}


# --- starts in the same second ----------------------------------------------------------------


def test_of_twenty_that_want_one_folder_one_has_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    got, refused, ready = [], [], threading.Barrier(20)

    def want() -> None:
        ready.wait()
        try:
            got.append(claim(tmp_path / "run"))
        except UserError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=want) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1 and len(refused) == 19
    assert all("is being written by" in r for r in refused)


@pytest.mark.faults
def test_a_folder_that_holds_a_run_is_not_taken(tmp_path: Path) -> None:
    """Also where the user, or chance, names the same folder twice."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("name: mine\n")
    done = subprocess.run(
        [*GENLAB, "train", *SMALL, f"hydra.run.dir={run}"],
        env=environment(tmp_path), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and str(run) in done.stderr, done.stderr
    assert (run / "config.yaml").read_text() == "name: mine\n"
    assert not (run / "metrics.jsonl").exists()


@pytest.mark.faults
def test_twenty_runs_in_one_second_have_twenty_folders(tmp_path: Path) -> None:
    command = [*GENLAB, "train", *SMALL, "name=same", "budget.examples=16"]
    began = time.monotonic()
    runs = [
        subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
        for _ in range(20)
    ]
    spread = time.monotonic() - began
    errors = [run.communicate(timeout=580)[1] for run in runs]
    folders = [p.parent for p in (tmp_path / "same").glob("*/config.yaml")]
    whole = [
        f for f in folders if [r["kind"] for r in read_rows(f / "metrics.jsonl")][-1:] == ["end"]
    ]
    seconds = {f.name.rpartition("_")[0] for f in folders}
    record("same-second starts", 20, len(whole), f"started within {spread:.2f} s")
    assert [run.returncode for run in runs] == [0] * 20, errors
    assert len(folders) == len(whole) == 20
    assert len(seconds) < 20, "some did share a second"
    assert len({json.loads((f / "provenance.json").read_text())["started"] for f in folders}) == 20


# --- readers that go away ---------------------------------------------------------------------


def test_a_stream_outlives_its_reader() -> None:
    there, end = os.pipe()
    stream = Lasting(os.fdopen(end, "w"))
    os.close(there)
    for _ in range(3):
        print("x" * 100_000, file=stream, flush=True)  # SIGPIPE is ignored in Python: EPIPE
    with pytest.raises(BrokenPipeError):  # the control
        there, end = os.pipe()
        os.close(there)
        os.write(end, b"x")


@pytest.mark.faults
@pytest.mark.parametrize(
    "how", ["2>&1 | head -1", "2>&1 | true", ">&- 2>&-", "</dev/null 2>/dev/full"]
)
def test_a_run_goes_on_when_nobody_reads(how: str, tmp_path: Path) -> None:
    command = " ".join([*GENLAB, "train", *SMALL, "budget.examples=1600"])
    done = subprocess.run(
        ["bash", "-c", f"{command} {how}; exit ${{PIPESTATUS[0]}}"],
        env=environment(tmp_path), capture_output=True, timeout=240, check=False,
    )  # fmt: skip
    rows = read_rows(next(tmp_path.rglob("metrics.jsonl")))
    good = done.returncode == 0 and rows[-1]["kind"] == "end" and rows[-1]["examples"] == 1600
    good &= any(tmp_path.rglob("report.html"))
    record(f"nobody reads: `{how}`", 1, int(good))
    assert good, (done, rows[-1:])


@pytest.mark.faults
def test_a_failure_is_told_by_the_exit_code_when_nobody_reads(tmp_path: Path) -> None:
    command = " ".join([*GENLAB, "train", "modl=vae"])
    done = subprocess.run(
        ["bash", "-c", f"{command} 2>&1 | true; exit ${{PIPESTATUS[0]}}"],
        env=environment(tmp_path), capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    record("nobody reads: a mistake's exit code is 2", 1, int(done.returncode == 2))
    assert done.returncode == 2


@pytest.mark.faults
def test_a_terminal_that_is_closed_does_not_end_a_run(tmp_path: Path) -> None:
    command = [*GENLAB, "train", *SMALL, "budget.examples=16000", "save_every=16000"]
    pid, master = pty.fork()  # its own session: the terminal's end sends SIGHUP
    if pid == 0:
        os.execve(sys.executable, command, environment(tmp_path))
    drawn = b""
    deadline = time.monotonic() + 120
    while b"examples/s" not in drawn and time.monotonic() < deadline:
        drawn += os.read(master, 4096)
    assert b"examples/s" in drawn and b"\x1b[" in drawn, "the bar was being drawn"
    at = read_rows(next(tmp_path.rglob("metrics.jsonl")))[-1]["examples"]
    os.close(master)
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline + 120:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    rows = read_rows(next(tmp_path.rglob("metrics.jsonl")))
    good = ended[1] == 0 and rows[-1]["kind"] == "end" and rows[-1]["examples"] == 16000
    good &= any(tmp_path.rglob("report.html"))
    record("the terminal closes while the bar is drawn", 1, int(good), f"closed at {at} of 16000")
    assert good and at < 16000, (ended, at, rows[-1:])


# --- what a terminal is shown -----------------------------------------------------------------

ESCAPES = ("\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "\x08\x08", "\r", "\u202e", "\x00")


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, capsys) -> None:
    name = "".join(ESCAPES)
    run = tmp_path / f"run{name}".replace("\x00", "")
    run.mkdir()
    found = {"metrics": {name: 1.0}, "floor": {name: 2.0}}
    (run / "evaluation.json").write_text(json.dumps(found))
    (run / "metrics.jsonl").write_text('{"kind": "end", "examples": 1}\n')
    print_summary(run, report(run))
    complain(ValueError(f"{name}: there is no such thing"))
    say(name)
    told = capsys.readouterr().err
    assert not [c for c in ESCAPES if c in told], told
    assert "␛]0;owned␇" in told and "⟨U+202E⟩" in told


# --- a folder made to hurt whoever reads it ---------------------------------------------------


def rows(num: int) -> str:
    row = (
        '{{"kind": "train", "examples": {n}, "batches": {n}, "seconds": 1.0, "train/loss": 0.5}}\n'
    )
    return "".join(row.format(n=n) for n in range(1, num + 1))


FILES = ("config.yaml", "overrides.yaml", "provenance.json", "metrics.jsonl", "evaluation.json",
         "samples/000000000000.png", "samples/000000000000.txt", "evaluation/samples.png",
         "evaluation/neighbours.txt", "report.html")  # fmt: skip


def instead(kind: str, path: Path, outside: Path) -> None:
    """Something else where a file is looked for."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "huge":
        with path.open("wb") as f:
            f.truncate(20 * 2**30)  # 20 GiB of nothing, in no blocks
    else:
        path.symlink_to({
            "link out": outside, "endless": "/dev/zero", "link to itself": path, "tty": "/dev/tty",
        }[kind])  # fmt: skip


@pytest.mark.parametrize("kind", ["pipe", "link out", "endless", "link to itself", "folder", "tty"])
def test_odd_files_neither_hang_nor_lead_out(kind: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path / "outputs"))
    outside = tmp_path / "outside"
    outside.write_text("kept outside")
    (tmp_path / "outputs" / "plain").mkdir(parents=True)
    (tmp_path / "outputs" / "plain" / "config.yaml").write_text("name: plain\n")
    for i, name in enumerate(FILES):
        run = tmp_path / "outputs" / "odd" / str(i)
        run.mkdir(parents=True)
        (run / "metrics.jsonl").write_text(rows(10))
        (run / "config.yaml").write_text("name: odd\n")
        instead(kind, run / name, outside)
        worker = threading.Thread(target=_read, args=(run,), daemon=True)
        worker.start()
        worker.join(20)
        assert not worker.is_alive(), f"{name} as a {kind} hangs"
        page = run / "report.html"
        if name != "report.html" or kind != "folder":
            assert page.is_file() and not page.is_symlink()
            assert "kept outside" not in page.read_text()
    assert outside.read_text() == "kept outside"


def _read(run: Path) -> None:
    try:
        report(run)
    except OSError:  # a folder called report.html
        assert (run / "report.html").is_dir()
    find_run("last")


@pytest.mark.faults
def test_huge_files_are_read_in_bounded_time_and_memory(tmp_path: Path) -> None:
    limit = 3 * 2**30
    for name in (*FILES[:-1], "million rows"):
        run = tmp_path / name.replace("/", "_")
        run.mkdir()
        (run / "metrics.jsonl").write_text(rows(10**6 if name == "million rows" else 10))
        if name != "million rows":
            instead("huge", run / name, tmp_path)
        began = time.monotonic()
        done = subprocess.run(
            ["prlimit", f"--as={limit}", *GENLAB, "report", str(run)],
            env=environment(tmp_path), capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
        good = done.returncode == 0 and (run / "report.html").is_file() and seconds < 120
        what = "a ledger of a million rows" if name == "million rows" else f"20 GiB of {name}"
        record(f"report: {what}", 1, int(good), f"{seconds:.0f} s within 3 GiB")
        print(what, f"{seconds:.1f} s")
        assert good, (name, seconds, done.stderr[-1500:])
