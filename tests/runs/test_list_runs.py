"""`genlab list runs`: the newest first, from small files and the end of each ledger alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from running import genlab_here

from genlab.rows import line_of
from genlab.runs.list_runs import MOST, TAIL, last_rows, read_line


def run(folder: Path, started: float, *rows: dict, metrics: dict | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: x")
    said = {"started": started, "time": f"2026-01-0{int(started)} 10:00:00 +0000"}
    (folder / "provenance.json").write_text(json.dumps(said))
    (folder / "metrics.jsonl").write_bytes(b"".join(map(line_of, rows)))
    if metrics:
        found = {"metrics": metrics, "floor": dict.fromkeys(metrics, 0.0)}
        (folder / "evaluation.json").write_text(json.dumps(found))
    return folder


LOOK, END = {"kind": "look", "examples": 1, "val/loss": 0.25}, {"kind": "end", "examples": 2}


def test_the_newest_come_first_with_state_and_figure(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    run(tmp_path / "a" / "1", 1, LOOK, END, metrics={"frechet_distance": 1.5})
    ledger = run(tmp_path / "b" / "2", 3, LOOK) / "metrics.jsonl"
    run(tmp_path / "sweeps" / "s" / "0_c", 2, LOOK, {"kind": "failed", "error": "x"})
    run(tmp_path / "d" / "4", 4)
    run(tmp_path / "e" / "5", 5, LOOK, {**END, "state": "pruned"})
    assert "running" in genlab_here("list", "runs").stdout, "its ledger was written just now"
    os.utime(ledger, (1, 1))
    done = genlab_here("list", "runs")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [f"2026-01-0{i}" for i in (5, 4, 3, 2, 1)]
    text = done.stdout.splitlines()
    wanted = ["pruned", "not started", "unfinished", "failed", "finished"]
    assert all(state in line for state, line in zip(wanted, text))
    assert "frechet distance 1.5" in text[4] and "validation loss 0.25" in text[2]
    assert str(tmp_path / "sweeps" / "s" / "0_c") in text[3]


def test_what_the_doctor_found_stands_behind_the_state(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    found = {"kind": "finding", "sign": "mode_collapse", "examples": 1}
    run(tmp_path / "a" / "1", 1, LOOK, found, {**END, "findings": ["mode_collapse"]})
    run(tmp_path / "b" / "2", 2, LOOK, {**END, "findings": ["\x1b[2J<b>", "dead_codes"]})
    run(tmp_path / "c" / "3", 3, LOOK, END)
    text = genlab_here("list", "runs").stdout.splitlines()
    assert "finished  " in text[0] and "finished, mode collapse  " in text[2]
    assert "<b>, dead codes" in text[1] and "\x1b" not in text[1]


def test_no_run_is_one_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    done = genlab_here("list", "runs")
    assert done.returncode == 2 and "no run under" in done.stderr


def test_only_the_end_of_a_ledger_is_read(tmp_path: Path) -> None:
    row = {"kind": "train", "examples": 1, "train/loss": 1.0}
    folder = run(tmp_path / "x", 1, LOOK, *[row] * 5000, END)
    assert (folder / "metrics.jsonl").stat().st_size > 3 * TAIL
    rows = last_rows(folder)
    assert 10 < len(rows) < 2000 and rows[-1]["kind"] == "end"
    line = read_line(folder)
    assert (line.state, line.figure) == ("finished", ""), "the look is further up"


def test_a_strangers_folder_is_read_as_text(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path / "o"))
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"metrics": {"canary": 1.0}, "floor": {"canary": 1}, "time": "S"}))
    bad = run(tmp_path / "o" / "x\x1b[31m", 1, {"kind": "end", "examples": 1, "state": "a\x1b[2J"})
    (bad / "evaluation.json").symlink_to(secret)
    (bad / "provenance.json").unlink()
    (bad / "provenance.json").write_text("[" * 100_000)
    piped = run(tmp_path / "o" / "y", 2)
    (piped / "metrics.jsonl").unlink()
    os.mkfifo(piped / "metrics.jsonl")
    done = genlab_here("list", "runs")
    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stdout and "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("num", [MOST + 3])
def test_many_runs_are_counted(tmp_path: Path, monkeypatch, num: int) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    for i in range(num):
        run(tmp_path / "a" / str(i), 1, END)
    done = genlab_here("list", "runs")
    assert "3 older ones are not shown" in done.stdout
    assert sum("finished" in line for line in done.stdout.splitlines()) == MOST
