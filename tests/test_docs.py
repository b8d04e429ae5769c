"""docs/extend.md and docs/python.md: every file on them is written, every command and block run.
Of docs/data.md every command is composed, its model built and its data read.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from films import known, save
from made_midi import folder as tunes_in
from PIL import Image

from genlab.runs.settings.compose import plan_of
from genlab.views.wav import write_wav

pytestmark = pytest.mark.whole

COMMANDS_THERE = {p.stem for p in (ROOT / "scripts").glob("*.py")}
PROMISES = ROOT / "docs" / "promises.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
EXTEND, PYTHON, DATA = (
    (ROOT / "docs" / name).read_text() for name in ("extend.md", "python.md", "data.md")
)
COMMANDS = [
    line
    for kind, _, text in BLOCK.findall(EXTEND)
    if kind == "bash"
    for line in text.strip().splitlines()
]


def ran(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "GENLAB_OUTPUTS": str(folder / "outputs"), "WANDB_MODE": "disabled"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, env=env, timeout=300
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The folder of docs/extend.md, with its files."""
    folder = tmp_path_factory.mktemp("extend")
    for kind, name, text in BLOCK.findall(EXTEND):
        if name:
            assert kind in ("python", "yaml")
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    (folder / "my_package" / "__init__.py").touch()
    return folder


PAGES = ["README.md", "docs/commands.md", "docs/privacy.md", "docs/vae.md", "docs/gan.md",
         "docs/diffusion.md"]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_are_read(page: str) -> None:
    """`genlab train` composes, others name keys that they have; those of runs are read as far."""
    from genlab.runs.settings.overrides import parse

    lines = [
        shlex.split(line, comments=True)
        for kind, _, text in BLOCK.findall((ROOT / page).read_text())
        if kind == "bash"
        for line in text.strip().splitlines()
    ]
    read = 0
    for command, *words in (line[1:] for line in lines if line[:1] == ["genlab"]):
        needs_a_run = any("RUN" in w or "..." in w or w.startswith("resume=") for w in words)
        own = any(w.startswith(("experiment=", "-m", "hydra", "trainer=")) for w in words)
        if command == "train" and not needs_a_run and not own:
            plan_of(words)
        elif command in ("sample", "evaluate", "export") and words != ["--help"]:
            parse(command, [w.replace("run=last", "run=x") for w in words])
        else:
            assert command in COMMANDS_THERE, command
        read += 1
    assert read > 0


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """What docs/data.md speaks of: photos in three classes, captioned pictures, a book, points, a
    table of people, sounds in two classes, tunes, clips in two classes and told ones."""
    folder = tmp_path_factory.mktemp("own")
    for i in range(150):
        path = folder / "photos" / ("cat", "dog", "owl")[i % 3] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 36), (i, 0, 0)).save(path)
    (folder / "pictures").mkdir()
    lines = [json.dumps({"file_name": f"{i}.png", "text": f"a shade {i}"}) for i in range(150)]
    (folder / "pictures" / "metadata.jsonl").write_text("\n".join(lines))
    for i in range(150):
        Image.new("RGB", (40, 36), (i, 0, 0)).save(folder / "pictures" / f"{i}.png")
    np.save(folder / "cloud.npy", np.random.default_rng(0).normal(size=(300, 2)))
    for i in range(100):
        path = folder / "sounds" / ("bark", "rain")[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav([np.sin(np.arange(8000) * 0.1)], [""], path, rate=16000)
    tunes_in(folder / "tunes")
    for i in range(100):
        save(folder / "clips" / ("walk", "jump")[i % 2] / f"{i}.gif", known(4, seed=i))
        save(folder / "told" / f"{i}.gif", known(4, seed=i))
    lines = [json.dumps({"file_name": f"{i}.gif", "text": f"noise {i}"}) for i in range(100)]
    (folder / "told" / "metadata.jsonl").write_text("\n".join(lines))
    (folder / "book.txt").write_text("It was a dark night. " * 500)
    rows = [f"{i},{20 + i % 50},{('no', 'yes')[i % 2]}" for i in range(400)]
    (folder / "people.csv").write_text("\n".join(["id,age,ill", *rows]))
    return folder


@pytest.mark.parametrize(
    "command",
    [
        line
        for kind, _, text in BLOCK.findall(DATA)
        if kind == "bash"
        for line in text.strip().splitlines()
        if line.split()[1] in ("train", "check")  # what is asked of a run is test_own_*.py's
    ],
)
def test_a_command_of_the_data_page_is_right(command: str, own: Path, monkeypatch) -> None:
    monkeypatch.chdir(own)
    words = shlex.split(command)[2:]
    plan = plan_of(words)[0]
    plan.model_of_shapes()
    data = plan.build("data")
    data.load()
    said = data.describe()
    assert ("'id' numbers the rows" in said) == ("people.csv" in command and "drop" not in command)


def test_the_page_names_its_files(folder: Path) -> None:
    listed = EXTEND.split("```\n")[1].split("```")[0]
    found = {p.name for p in folder.rglob("*") if p.suffix in (".py", ".yaml")}
    assert found == set(re.findall(r"\w+\.(?:py|yaml)", listed))
    assert len(COMMANDS) == 5


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.split()[1] + c[-12:])
def test_a_command_of_the_page_runs(folder: Path, command: str) -> None:
    words = shlex.split(command)
    assert words[0] == "genlab"
    done = ran(["-m", "genlab.cli", *words[1:]], folder)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    if words[1] == "train" and "data=waves" in words:
        assert "1,000 waves, 2 classes (slow, fast), 200 held out" in done.stderr
        assert "roughness" in done.stderr and "spread" in done.stderr


def test_a_mistake_in_a_notebook_is_one_line() -> None:
    from genlab.runs.notebook import train

    with pytest.raises(ValueError, match="widht") as caught:
        train("data=digits", "net.widht=8")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_blocks_of_the_python_page_run(tmp_path: Path) -> None:
    blocks = [text for kind, _, text in BLOCK.findall(PYTHON) if kind == "python"]
    assert len(blocks) == 6 and len([x for x in blocks[0].splitlines() if x]) <= 10
    more = "\nassert images[0].shape == (8, 8, 1) and found['frechet_distance'] > 0"
    blocks[0] += more + "\nfrom pathlib import Path\nassert Path('samples.png').is_file()\n"
    (tmp_path / "page.py").write_text("\n".join(blocks))
    done = ran(["page.py"], tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_promise_has_its_test() -> None:
    """The tests that docs/promises.md names are there; no promise of SECURITY.md lacks one."""
    rows = [line.split("|")[1:-1] for line in PROMISES.read_text().splitlines()[6:]]
    told = [[cell.strip() for cell in row] for row in rows if len(row) == 4]
    mutants = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text())
    broken = {m[0] for part in mutants.values() for m in part.get("mutants", ())} | {"–"}
    for promise, where, test, mutant in told[1:]:
        assert mutant in broken, (promise, mutant)
        file, _, name = test.strip("`").partition("::")
        assert where in ("README", "SECURITY"), promise
        assert f"def {name}(" in (ROOT / file).read_text(), (promise, test)
    promised = (ROOT / "SECURITY.md").read_text().partition("## Promised")[2].partition("\n## ")[0]
    named = re.findall(r"^- \*\*(.+?)\.?\*\*", promised.replace("\n  ", " "), re.M)
    held = {promise.lower() for promise, where, *_ in told if where == "SECURITY"}
    missing = [p for p in named if not any(h.split()[:4] == p.lower().split()[:4] for h in held)]
    assert len(named) > 10 and not missing, missing
