"""A stranger's run folder: whatever its config.yaml names, resume and the rest build none of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import fit, genlab_here

PLACES = {
    "data": ["data"],
    "model": ["model"],
    "net": ["model", "net"],
    "callback": ["callbacks", "guard"],
    "own callback": ["callbacks", "mine"],
    "trainer": ["trainer"],
    "logger": ["logger", "mine"],
    "metric": ["metric"],
    "optimizer": ["model", "optim", "optimizer"],
    "sampler": ["model", "sampler"],
}
COMMANDS = {
    "resume": ("train", "resume={}", "budget.examples=512"),
    "evaluate": ("evaluate", "run={}", "metric.num_samples=8"),
    "sample": ("sample", "run={}", "num=2"),
    "export": ("export", "run={}", "to={}_out"),
    "report": ("report", "{}"),
}
# what a command builds of it (others take the checkpoint's settings): there it names the class
BUILT = {
    "resume": set(PLACES) - {"metric"},
    "evaluate": {"data", "metric"},
}
CASES = [(c, p) for c in BUILT for p in PLACES]
CASES += [(c, p) for c in COMMANDS if c not in BUILT for p in ("data", "model")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    return fit(["data=ring", "model=diffusion", "net=mlp", "net.width=16"], run)


@pytest.mark.parametrize(("command", "place"), CASES)
def test_nothing_of_it_is_built(command, place, whole: Path, tmp_path: Path) -> None:
    run, marker = tmp_path / "run", tmp_path / "marker"
    shutil.copytree(whole, run)
    settings: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_text())
    at = settings
    for key in PLACES[place][:-1]:
        at[key] = at.get(key) or {}
        at = at[key]
    at[PLACES[place][-1]] = {"_target_": "os.mkdir", "path": str(marker)}
    if place == "data":  # what the checks of a resume read
        at["data"] |= {"batch_size": 16, "shape": [2], "num_classes": None, "vocab": None}
    settings["trust"] = ["os", "posix"]  # of a file, it counts for nothing
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    for seal in run.glob("config.yaml.sha256"):
        seal.unlink()  # a stranger would make one that fits
    done = genlab_here(*(word.format(run) for word in COMMANDS[command]))
    assert not marker.exists()
    if place in BUILT.get(command, ()):
        assert done.returncode == 2 and "os.mkdir" in done.stderr, done.stderr
    else:
        assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr
