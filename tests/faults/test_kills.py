"""kill -9 at any instant: the run goes on to the same bits, and no save is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
from record import record, share
from running import genlab, valid_checkpoints
from test_runs import FAMILIES, parts

from genlab.rows import damaged_rows, read_rows
from genlab.runs.folder.checkpoint import damage

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict:
    """By family: what a run that nobody kills comes to, and how long it takes; made once."""
    made: dict[str, tuple[dict[str, str], float]] = {}

    def get(family: str) -> tuple[dict[str, str], float]:
        if family not in made:
            run = tmp_path_factory.mktemp("whole") / family
            began = time.monotonic()
            code = forked.ended(forked.start(run, FAMILIES[family], log=run.parent / "log"))
            assert code == 0, (run.parent / "log").read_text()[-2000:]
            made[family] = parts(run), time.monotonic() - began
        return made[family]

    return get


def number(path: Path) -> int:
    return int(path.stem.partition("=")[2])


def check_after_kill(run: Path, saved: Path, before: int) -> int:
    """What must hold at any instant; gives the newest valid checkpoint's number."""
    good, bad = valid_checkpoints(run)
    assert not bad, bad
    newest = number(good[0]) if good else 0
    told = [int(x) for x in saved.read_text().split()] if saved.exists() else []
    assert newest >= before, "the newest valid checkpoint went backwards"
    assert newest >= max(told, default=0), "an acknowledged save is lost"
    large = [p for p in run.glob("checkpoints/.*.tmp") if p.stat().st_size > 200]
    assert len(large) <= 1, large
    return newest


def check_end(run: Path, expected: dict[str, str], log: Path) -> None:
    assert parts(run) == expected, log.read_text()[-2000:]
    rows = [(r["kind"], r["batches"]) for r in read_rows(run / "metrics.jsonl")]
    rows = [r for r in rows if r[0] != "notice"]
    assert len(rows) == len(set(rows)) and not damaged_rows(run / "metrics.jsonl")
    assert not list(run.rglob(".*.tmp"))


@pytest.mark.parametrize("family", FAMILIES)
def test_kill_9_at_random_instants(family: str, tmp_path: Path, whole) -> None:
    """Kills one run again and again (a new one where it ends sooner), then lets it end."""
    expected, seconds = whole(family)
    dice, kills, chains, wanted, lives = random.Random(family), 0, 0, share(50), 0
    in_training = in_start = 0
    while kills < wanted:
        run, chains = tmp_path / str(chains) / "run", chains + 1
        run.parent.mkdir()
        log, saved, newest = run.parent / "log", run.parent / "saved", 0
        while True:
            child, lives = forked.start(run, FAMILIES[family], log=log, saved=saved), lives + 1
            if kills < wanted:
                time.sleep(dice.uniform(0, 0.75 * seconds))
                pid, status = os.waitpid(child, os.WNOHANG)
                if not pid:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    kills += 1
                    after = check_after_kill(run, saved, newest)
                    in_training, in_start = in_training + (after > newest), in_start + (not after)
                    newest = after
                    continue
                code = os.waitstatus_to_exitcode(status)
            else:
                code = forked.ended(child)
            assert code == 0, log.read_text()[-2000:]
            check_end(run, expected, log)
            break
    assert wanted < 20 or in_training > 3, "the kills did not fall into training"
    record(
        f"kill -9 at random instants, {family}", kills, kills,
        f"{chains} chained runs, {lives} starts; every final hash as uninterrupted",
    )  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_kill_9_of_the_process_itself(family: str, tmp_path: Path, whole) -> None:
    expected, _ = whole(family)
    dice, run, wanted = random.Random(family + "process"), tmp_path / "run", min(3, share(3))
    for _ in range(wanted):
        words = [f"resume={run}"]
        if not (run / "config.yaml").is_file():
            words = [*forked.CHAIN, *FAMILIES[family], f"hydra.run.dir={run}"]
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "genlab.cli", "train", *words],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        time.sleep(dice.uniform(2, 8))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        check_after_kill(run, tmp_path / "none", 0)
    words = [f"resume={run}"]
    if not (run / "config.yaml").is_file():
        words = [*forked.CHAIN, *FAMILIES[family], f"hydra.run.dir={run}"]
    done = genlab("train", *words)
    assert done.returncode == 0, done.stderr
    check_end(run, expected, tmp_path / "log")
    record(f"kill -9 of the command, {family}", wanted, wanted, "a process of its own each time")


def test_kills_during_saves_with_tmpdir_elsewhere(tmp_path: Path, monkeypatch) -> None:
    """Lightning's own save leaves torn files where TMPDIR is on another file system."""
    import torch

    from genlab.runs.folder.checkpoint import save

    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system at /dev/shm")
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    state = {"w": torch.arange(2_000_000.0)}  # 8 MB
    folder, dice, kills, newest = tmp_path / "checkpoints", random.Random(0), share(50), 0
    folder.mkdir()

    def work() -> int:
        i = max((number(p) for p in folder.glob("examples=*.ckpt")), default=0)
        while True:
            i += 1
            save(state, folder / f"examples={i:012d}.ckpt")
            if (old := folder / f"examples={i - 2:012d}.ckpt").exists():
                old.unlink()

    for _ in range(kills):
        child = forked.fork(work, tmp_path / "log")
        time.sleep(dice.uniform(0.01, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        files = sorted(folder.glob("examples=*.ckpt"))
        assert not [d for d in map(damage, files) if d]
        newest, before = max(map(number, files), default=0), newest
        assert newest >= before
        for left in folder.glob(".*.tmp"):
            left.unlink()
    assert newest > kills // 2
    record("kill -9 during saves, TMPDIR on another file system", kills, kills, f"{newest} saves")
