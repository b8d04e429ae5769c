"""Ctrl-C while measuring: weights and report stay, and a line says how to measure later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def test_ctrl_c_while_measuring_keeps_the_report(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "genlab.cli", "train", "data.batch_size=16", "callbacks.look.num=0",
        "net=mlp", "net.width=16", "budget.examples=32", "look_every=32", "trainer=cpu",
        "logger=none", "metric.num_samples=100000",
    ]  # fmt: skip
    env = {**os.environ, "GENLAB_OUTPUTS": str(tmp_path)}
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
    told = []
    for line in run.stderr:
        told.append(line)
        if line.startswith("genlab: measuring"):
            run.send_signal(signal.SIGINT)
            break
    told.append(run.stderr.read())
    assert run.wait(60) == 130, "".join(told)
    folder = next(tmp_path.rglob("config.yaml")).parent
    assert (folder / "report.html").is_file(), "".join(told)
    assert list((folder / "checkpoints").glob("*.ckpt"))
    assert not (folder / "evaluation.json").exists()
    assert f"measure later: genlab evaluate run={folder}" in "".join(told)
    assert "Traceback" not in "".join(told)
