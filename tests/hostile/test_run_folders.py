"""A stranger's run folder: whatever its config.yaml names, resume and the rest build none of it."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import fit, genlab_here

from genlab.own import own_folder
from genlab.rows import append
from genlab.runs.folder import checkpoint
from genlab.runs.folder.layout import write_text

pytestmark = pytest.mark.whole

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


LINKED = ("evaluation", "samples", "checkpoints", "wandb", "wandb/run-1/files", "logs/deep")
WRITERS = {
    **COMMANDS,
    "evaluate": ("evaluate", "run={}", "metric.num_samples=8"),
    "train into it": ("train", "data=ring", "model=diffusion", "net=mlp", "hydra.run.dir={}"),
}


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("place", LINKED)
def test_a_folder_that_is_a_link_is_not_written_through(
    command, place, whole: Path, tmp_path: Path
) -> None:
    """The files of the victim, that a run's own would replace, are as they were."""
    run, victim = tmp_path / "run", tmp_path / "victim"
    shutil.copytree(whole, run)
    (run / place).parent.mkdir(parents=True, exist_ok=True)
    if (run / place).is_dir():
        shutil.move(run / place, victim)  # so that a command finds what it looks for
    victim.mkdir(exist_ok=True)
    for name in ("samples.png", "000000000512.png", "real.png", ".x.tmp", "latest-run"):
        (victim / name).write_text("mine")
    (run / place).symlink_to(victim)
    before = {p.name: p.read_bytes() for p in victim.iterdir()}
    done = genlab_here(*(word.format(run) for word in WRITERS[command]))
    assert {p.name: p.read_bytes() for p in victim.iterdir()} == before
    if command == "report":  # reads no more than lies inside, and writes report.html alone
        assert done.returncode == 0 and (run / "report.html").is_file(), done.stderr
    else:
        assert done.returncode == 2 and f"{run / place} is a link to" in done.stderr, done.stderr


def test_wandbs_own_links_pass(whole: Path, tmp_path: Path) -> None:
    """The negative control: wandb links from its folder to what lies in it."""
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "wandb" / "run-1").mkdir(parents=True)
    (run / "wandb" / "latest-run").symlink_to("run-1")
    (run / "wandb" / "debug.log").symlink_to(run / "wandb" / "run-1" / "debug.log")
    (run / "wandb" / "run-1" / "logs").mkdir()
    (run / "wandb" / "run-1" / "logs" / "debug-core.log").symlink_to(tmp_path / "core.log")
    assert genlab_here("sample", f"run={run}", "num=2").returncode == 0
    (run / "wandb" / "config").symlink_to("../config.yaml")
    assert genlab_here("sample", f"run={run}", "num=2").returncode == 2


@pytest.mark.parametrize("name", ["metrics.jsonl", ".writer", "report.html", "config.yaml"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_is_not_waited_for(command, name, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    done = genlab_here(*(word.format(run) for word in COMMANDS[command]))
    if command == "report":
        assert done.returncode == 0 and (run / "report.html").is_file(), done.stderr
    else:
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr


def test_what_became_a_link_after_the_check_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "samples").symlink_to(victim)
    (tmp_path / "metrics.jsonl").symlink_to(victim / "rows")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a link to"):
        own_folder(tmp_path / "samples")
    with pytest.raises(ValueError, match="no file of the run's own"):
        append(tmp_path / "metrics.jsonl", {"kind": "x"})
    with pytest.raises(ValueError, match="remove it"):
        append(tmp_path / "pipe", {"kind": "x"})
    with pytest.raises(ValueError, match="is a link to"):
        checkpoint.save({}, tmp_path / "samples" / "x.ckpt")
    write_text(tmp_path / "metrics.jsonl", "x")  # takes the link's place
    assert not list(victim.iterdir()) and (tmp_path / "metrics.jsonl").read_text() == "x"


SMALL = ("provenance.json", "evaluation.json", "overrides.yaml", "config.yaml.sha256",
         "precision.json", "metrics.jsonl")  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("command", ["report", "sample", "evaluate", "resume", "export"])
def test_gigabytes_without_a_byte_are_not_read(command, name, whole: Path, tmp_path: Path) -> None:
    """A sparse file takes no room in an archive, and all memory where it is read whole."""
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / name).touch()
    os.truncate(run / name, 8 * 2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = genlab_here(*(word.format(run) for word in COMMANDS[command]))
    assert done.returncode in (0, 2) and "Traceback" not in done.stderr, done.stderr
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB
