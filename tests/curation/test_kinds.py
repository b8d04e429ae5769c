"""Sounds and tables through the whole command: the same bytes whatever the processes and kills."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_shards import contents

from genlab.curation import shards
from genlab.runs.prepare import prepare_command

pytest.importorskip("pyarrow")
soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


def sounds(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    (folder / "a").mkdir(parents=True)
    for i in range(150):
        wave = draw.normal(0, 0.1, 2400) * np.repeat(draw.random(12), 200)
        wave = np.concatenate([np.zeros(1600), wave]) if i % 9 == 0 else wave
        soundfile.write(folder / "a" / f"{i:03d}.wav", wave.astype(np.float32), 8000)
    for i, name in enumerate(("copy", "zcopy")):
        (folder / "a" / f"{name}.wav").write_bytes((folder / "a" / f"{i:03d}.wav").read_bytes())
    (folder / "a" / "torn.wav").write_bytes(b"RIFF")
    return folder


def rows(path: Path) -> Path:
    draw = random.Random(0)
    lines = [f"{draw.random():.6f},{draw.choice('abc')},{i}" for i in range(90)]
    lines[40], lines[50] = lines[3], "1,2"
    path.write_text("\n".join(["x,c,n", *lines]) + "\n")
    return path


@pytest.fixture(params=["sound", "table"])
def words(request, tmp_path: Path, monkeypatch) -> list[str]:
    if request.param == "sound":
        return ["kind=sound", f"from={sounds(tmp_path / 'raw')}"]
    return ["kind=table", f"from={rows(tmp_path / 'raw.csv')}"]


def test_what_comes_out_hangs_neither_on_stops_nor_on_processes(
    words, tmp_path, monkeypatch
) -> None:
    from genlab.curation.kinds.tables import Tables

    monkeypatch.setattr(Tables, "shard", 16)
    prepare_command([*words, f"to={tmp_path / 'whole'}", "processes=1"])
    whole = contents(tmp_path / "whole")
    dataset = json.loads(whole["dataset.json"])
    assert dataset["raws"] == dataset["kept"] + sum(dataset["left_out"].values())
    assert dataset["left_out"]["readable"] == 1 and dataset["left_out"]["exact"] in (1, 2)
    draw, stops = random.Random(1), 0

    class Stopped(BaseException):
        """As a kill: nothing after it is run."""

    def maybe(function):
        def run(*args):
            if draw.random() < 0.1:
                raise Stopped
            return function(*args)

        return run

    for name in ("first_pass", "later_pass", "write_kept", "write_lines"):
        monkeypatch.setattr(shards, name, maybe(getattr(shards, name)))
    for _ in range(500):
        try:
            prepare_command([*words, f"to={tmp_path / 'stopped'}", "processes=1"])
            break
        except Stopped:
            stops += 1
    assert stops and contents(tmp_path / "stopped") == whole


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 8])
def test_the_same_bytes_by_any_number_of_processes(words, tmp_path, processes) -> None:
    prepare_command([*words, f"to={tmp_path / 'one'}", "processes=1"])
    prepare_command([*words, f"to={tmp_path / 'more'}", f"processes={processes}"])
    assert contents(tmp_path / "one") == contents(tmp_path / "more")


@pytest.mark.slow
def test_killed_at_random_it_ends_with_the_same_bytes(words, tmp_path) -> None:
    prepare_command([*words, f"to={tmp_path / 'whole'}", "processes=1"])
    draw, to, kills = random.Random(2), tmp_path / "killed", 0
    line = [sys.executable, "-m", "genlab.cli", "prepare", *words, f"to={to}", "processes=2"]
    for _ in range(40):
        process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (to / ".work").is_dir():
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 1.0))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        if (to / "dataset.json").is_file():
            break
    else:
        prepare_command([*words, f"to={to}"])
    assert kills and contents(to) == contents(tmp_path / "whole")
