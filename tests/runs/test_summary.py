"""The table at a run's end: figures with floor and interval, where to look, what to type next."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from test_report import fake_run

from genlab.rows import read_rows
from genlab.runs.say.summary import print_summary


def ended(tmp_path: Path) -> Path:
    run = fake_run(tmp_path / "run 1")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "examples=1.ckpt").touch()
    found = {"metrics": {"frechet_distance": 12.31}, "floor": {"frechet_distance": 4.02},
             "interval": {"frechet_distance": [11.9, 12.8]},
             "remarks": {"frechet_distance": "given class"},
             "examples": read_rows(run / "metrics.jsonl")[-1]["examples"]}  # fmt: skip
    (run / "evaluation.json").write_text(json.dumps(found))
    return run


def test_it_says_the_figures_the_places_and_what_to_type(tmp_path: Path, capsys) -> None:
    run = ended(tmp_path)
    (run / "overrides.yaml").write_text("- net=mine\n- trust=[mine]\n")
    print_summary(run, run / "report.html", ["mine"])
    told = capsys.readouterr().err
    line = next(x for x in told.splitlines() if "frechet" in x)
    assert line.split() == [
        "frechet", "distance", "(given", "class)", "12.31", "11.9", "to", "12.8", "4.02",
    ]  # fmt: skip
    assert f"samples  {run}/evaluation/samples.png" in told
    assert f"draw     genlab sample 'run={run}' 'trust=[mine]'" in told
    assert "again    genlab train experiment=digits_diffusion net.width=64 seed=0" in told
    command = next(x for x in told.splitlines() if x.startswith("  draw"))
    assert shlex.split(command)[2:] == ["sample", f"run={run}", "trust=[mine]"]


def test_a_run_that_was_not_measured_says_how(tmp_path: Path, capsys) -> None:
    run = ended(tmp_path)
    (run / "evaluation.json").unlink()
    print_summary(run, None)
    assert f"measure  genlab evaluate 'run={run}'" in capsys.readouterr().err


@pytest.mark.parametrize("width", [80, 120])
def test_no_figure_is_cut_in_a_terminal(tmp_path: Path, width: int) -> None:
    run = ended(tmp_path)
    code = "from pathlib import Path\nfrom genlab.runs.say.summary import print_summary\n"
    code += f"print_summary(Path({str(run)!r}), None)"
    main, side = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", code], stderr=side, env={**os.environ, "COLUMNS": str(width)}
    )
    os.close(side)
    text = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # how a terminal says that its other end has gone
            break
        if not part:
            break
        text += part
    assert done.wait() == 0
    lines = text.decode().splitlines()
    table = lines[
        : next(i for i, x in enumerate(lines) if x.startswith("  report") or "samples" in x)
    ]
    assert any("12.31" in x and "11.9 to 12.8" in x and "4.02" in x for x in table)
    assert "…" not in text.decode()
