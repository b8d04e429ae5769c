"""Help of every command, from conf's comments; flags at any position of a command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import CONF, ROOT
from running import children_seconds, genlab, genlab_here

from genlab.cli import COMMANDS
from genlab.runs.say.errors import UserError
from genlab.runs.settings.flags import in_order


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    texts = set()
    for words in (["--help"], ["-h"], ["run=nowhere", "--help"]):
        done = genlab_here(command, *words)
        assert done.returncode == 0 and not done.stderr, done.stderr
        texts.add(done.stdout)
    (text,) = texts
    head, _, examples = text.partition("examples\n")
    assert head.startswith(f"genlab {command} ") and "${" not in text and "???" not in text
    assert sum(line.startswith(f"  genlab {command}") for line in examples.splitlines()) >= 2
    if (CONF / f"{command}.yaml").is_file():
        keys = yaml.safe_load((CONF / f"{command}.yaml").read_text())
        for key in keys.keys() - {"defaults", "hydra"}:
            line = next(x for x in head.splitlines() if x.startswith(f"  {key}"))
            assert len(line.split(maxsplit=1)) == 2, f"{key} has no comment"


def test_help_is_quick_and_loads_no_torch() -> None:
    code = (
        "import sys; from genlab import cli\n"
        "try: cli.main(['train', '--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert 'torch' not in sys.modules and 'hydra' not in sys.modules"
    )
    before = children_seconds()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert children_seconds() - before < 1.5  # the bar is 1 s on an idle machine


def test_every_command_is_a_script_too() -> None:
    for command in COMMANDS:
        assert f'main(["{command}", ' in (ROOT / "scripts" / f"{command}.py").read_text()


def test_flags_come_first_whatever_their_place() -> None:
    for words in (
        "net=mine --config-dir=c trust=[x]", "net=mine --config-dir c trust=[x]",
        "--config-dir c net=mine trust=[x]", "net=mine trust=[x] --config-dir=c",
    ):  # fmt: skip
        assert in_order(words.split()) == ["--config-dir", "c", "net=mine", "trust=[x]"]
    assert in_order(["a=1", "-m", "b=2", "--cfg", "job"]) == ["-m", "--cfg", "job", "a=1", "b=2"]
    assert in_order(["--info", "a=1"]) == ["--info", "a=1"]
    assert in_order(["a=1", "--info=all"]) == ["--info", "all", "a=1"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("-x", "-x"), ("a=1 --foo b=2", "--foo"), ("--config-dr=c", "nearest: --config-dir"),
        ("--config-dir", "needs a value"), ("-m=1", "takes no value"), ("--cfg foo", "job"),
    ],
)  # fmt: skip
def test_a_wrong_flag_is_one_line(words: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        in_order(words.split())
    done = genlab_here("train", *words.split())
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and what in done.stderr, done


def test_flags_between_overrides_as_a_user_types_them(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "mine.yaml").write_text("# my own net\ndefaults: [mlp]\nwidth: 48\n")
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "sharp.yaml").write_text("# @package _global_\n# a group of mine\na: 1\n")
    words = ["data=ring", "net=mine", f"--config-dir={tmp_path}", "seed=3", "--cfg", "job"]
    done = genlab("train", *words)
    assert done.returncode == 0 and "width: 48" in done.stdout, done.stderr
    done = genlab_here("check", *words[:4])
    assert done.returncode == 0 and "net=mine" in done.stdout, done.stderr
    done = genlab_here("list", "net", "--config-dir", str(tmp_path))
    assert done.returncode == 0 and "my own net" in done.stdout and "net=unet" in done.stdout
    done = genlab_here("list", f"--config-dir={tmp_path}")
    assert "a group of mine" in done.stdout and "data=digits" in done.stdout, done
    done = genlab_here("list", "--config-dir=nowhere")
    assert done.returncode == 2 and "no such folder" in done.stderr
