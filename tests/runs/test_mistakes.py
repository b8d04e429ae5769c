"""Mistakes on the command line: one line each, which names the word, the place and the remedy."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from running import fit, genlab, genlab_here

from genlab.runs.devices.processes import may_have_gpu
from genlab.runs.settings.flags import readable

# told from the words and the files of conf/ alone: words, what the one line holds
QUICK = {
    "-m model=vae,flow_matching net.width=8": ("cell model=vae", "net.encoder.width"),
    "-m seed=1,2 net.wdith=3": ("net.wdith", "nearest: width"),
    "optim.optimizer.lr=fast": ("optim.optimizer.lr=fast", "a number"),
    "optim.optimizer.lr=-1": ("optim.optimizer.lr=-1", "not be below 0"),
    "model=gpt": ("model=gpt", "net=gpt"),
    "net.width=0": ("net.width=0", "at least 1"),
    "net.depth=-1 net=mlp": ("net.depth=-1", "at least 1"),
    "net.encoder.width=0 model=vae": ("net.encoder.width=0", "at least 1"),
    "net.width=wide": ("net.width=wide", "a whole number"),
    "net.patch=3": ("net.patch=3", "[8, 8]"),
    "net.multipliers=[1] net.attention=[] net.patch=0": ("net.patch=0", "at least 1"),
    "model=autoregressive data=digits_pixels net.heads=3": ("net.heads=3", "net.width=128"),
    "sampler.num_steps=0": ("sampler.num_steps=0", "at least 1"),
    "objective.sigma_data=-1": ("objective.sigma_data=-1", "above 0"),
    "data=table data.path=none.csv": ("data.path=none.csv: there is no such file",),
    "data=text_file data.path=none.txt model=autoregressive": (
        "data.path=none.txt: there is no such file",
    ),
    "data=table data.root=x.csv": ("data.root", "nearest: data.path"),
    "net.width=[1,2]": ("net.width=[1, 2]", "a whole number"),
    "net.width={a:1}": ("net.width=", "a whole number"),
    "net.width=(3": ("net.width=(3", "a whole number"),
    "net.width==3": ("net.width==3", "a whole number"),
    "net.width=64,128": ("net.width=64,128", "add -m"),
    "-m hydra/launcher=slrm seed=1,2": ("hydra/launcher=slrm", "nearest: slurm"),
    "init_from.net=a init_from.codec=b": ("init_from.net=a", "'init_from={net: a, codec: b}'"),
    "net.width.x=3": ("net.width is one value", "no keys"),
    "data.shape=64": ("data.shape=64", "[1, 8, 8]"),
    "data.shape.x=3": ("data.shape is a list", "data.shape=["),
    "data.flip=maybe": ("data.flip=maybe", "true or false"),
    "data.root=~/photos": ("data.root", "cifar10"),
    "model=[vae,gan]": ("model=[vae,gan]", "-m and write model=vae,gan"),
    "experiment=[digits_vae,digits_gan]": ("one experiment", "-m"),
    "experiment=digits_vae experiment=digits_gan": ("given twice", "a run has one"),
    "experiment=digits_vaee": ("experiment=digits_vaee", "nearest: digits_vae"),
    "--model vae": ("--model", "model=vae"),
    "--model=vae": ("--model", "model=vae"),
    "--net.width 3": ("--net.width", "net.width=3"),
    "-budget.examples=3": ("-budget.examples", "budget.examples=3"),
    "lr=1e-3": ("'lr'", "nearest: optim.optimizer.lr"),
    "batch_size=3": ("'batch_size'", "nearest: data.batch_size"),
    "epochs=3": ("'epochs'", "nearest: budget.examples"),
    "length=500": ("'length'", "sampler.length (sampler="),
    "trainer=cuda": ("trainer=cuda", "nearest: gpu"),
    "net=transformer": ("net=transformer", "nearest: gpt"),
    "vae": ("vae", "model=vae"),
    "conf/net/unet.yaml": ("conf/net/unet.yaml", "net=unet"),
    "net=unet.yaml": ("net=unet.yaml", "nearest: unet"),
    "model vae": ("model", "write model=OPTION without blanks"),
    "vae=model": ("swapped", "model=vae"),
    "=3": ("=3", "NAME=VALUE"),
    "data=": ("data=", "digits"),
    "+net.width=3": ("there already", "write net.width=3"),
    "~net.colour": ("net.colour", "no key"),
    "~foo": ("foo", "no key"),
    "metric=null": ("metric=null", "evaluate=false"),
    "logger=null": ("logger=null", "logger=none"),
    "init_from=nowhere": ("init_from=nowhere", "outputs/<name>/<run>"),
    "resume=x net.encoder.width=64": ("net.encoder.width=64", "init_from"),
    "data.batch_size=1_000_000": ("data.batch_size=1000000", "budget.examples=200000"),
    "budget.examples=1e5": ("budget.examples=100000.0", "a whole number"),
    "budget.examples=-5": ("budget.examples=-5", "at least 1"),
    "name=a/b": ("name='a/b'", "separators"),
    "trainer=ddp_cpu trainer.devices=999": ("trainer.devices=999", "cores"),
    "trainer=ddp_cpu trainer.devices=lots": ("trainer.devices=lots", "a number"),
    "hydra.run.dirr=3": ("hydra.run.dirr", "RunDir"),
    "trust=mine": ("trust=mine", "'trust=[mine]'"),
}
if not may_have_gpu():
    QUICK |= {
        "trainer=gpu": ("trainer.accelerator=gpu", "trainer=cpu"),
        "trainer.devices=999": ("trainer.devices=999", "cores"),
    }
LOOP = """
import json, shlex, sys, time
sys.path.insert(0, {tests!r})
from running import genlab_here
for words in json.loads(sys.argv[1]):
    began = time.process_time()
    done = genlab_here("train", *shlex.split(words))
    seconds = time.process_time() - began
    print(json.dumps([words, done.returncode, done.stderr, seconds, "torch" in sys.modules]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, list]:
    """What one process, which imports no torch, says to each of `QUICK`."""
    folder = tmp_path_factory.mktemp("m")
    code = LOOP.format(tests=str(Path(__file__).parent.parent))
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([*QUICK])],
        capture_output=True, text=True, cwd=folder, check=True,
    )  # fmt: skip
    assert not list(folder.rglob("*")), "something was written"
    return {row[0]: row[1:] for row in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("words", QUICK)
def test_a_mistake_is_one_line_before_torch_is_imported(words: str, told) -> None:
    code, line, seconds, torch = told[words]
    assert code == 2 and line.count("\n") == 1 and line.startswith("genlab: "), line
    for part in QUICK[words]:
        assert part in line, line
    assert not torch and seconds < 2, seconds  # of CPU


SLOWER = {
    "net.width=100000": ("weights, gradients and moments take", "GiB"),
    "+net.colour=3": ("net.colour", "UNet takes no"),
    "-m net=mlp net.colour=3 seed=1": ("net.colour", "no key"),
}


@pytest.mark.parametrize("words", SLOWER)
def test_a_mistake_is_one_line_before_anything_is_built(words: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path / "o"))
    done = genlab_here("train", *words.split())
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert all(part in done.stderr for part in SLOWER[words]), done.stderr
    assert not list((tmp_path / "o").rglob("*"))


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("check --measure", "without dashes: measure=true"),
        ("check --measure data=ring", "without dashes: measure=true"),
        ("check --measure false", "without dashes: measure=false"),
        ("check measure", "measure needs a value: measure=true"),
        ("check fit_to", 'fit_to needs a value: fit_to="2 cores, 20 min"'),
        ("check --fit-to '2 cores, 20 min'", "without dashes: 'fit_to=2 cores, 20 min'"),
        ("train --evaluate", "without dashes: evaluate=true"),
        ("train --no-evaluate", "without dashes: evaluate=false"),
        ("train --net.width net=mlp", "without dashes: net.width=VALUE"),
        ("sample --num 4", "without dashes: num=4"),
        ("sample run=x --sampler.num-steps=4", "without dashes: sampler.num_steps=4"),
        ("play --port=3", "without dashes: port=3"),
        ("board --port 3", "without dashes: port=3"),
    ],
)
def test_a_flag_says_the_word_that_it_stands_for(words: str, remedy: str) -> None:
    done = genlab_here(*shlex.split(words))
    assert done.returncode == 2 and done.stderr.endswith(f"{remedy}\n"), done.stderr


def test_a_text_is_quoted_where_the_grammar_would_not_read_it(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert readable("data.root=~/photos") == "data.root=/home/me/photos"
    assert readable("data.root=~/my (old) photos") == "data.root='/home/me/my (old) photos'"
    assert readable("init_from=a/examples=12.ckpt") == "init_from='a/examples=12.ckpt'"
    assert readable("name=it's mine") == "name='it\\'s mine'"
    for word in (
        "a=1",
        "net=unet",
        "seed=1,2",
        "a=[1,2",
        "a='x",
        "~metric",
        "a={b:1}",
        "a=choice(1",
    ):
        assert readable(word) == word


def test_start_from_a_run_of_another_family(tmp_path: Path) -> None:
    run = fit(["data=ring", "model=gan", "net=mlp_gan"], tmp_path / "run")
    done = genlab_here("train", f"init_from={run}")
    assert done.returncode == 2 and "name a run of the same family" in done.stderr, done.stderr


def test_the_last_run_without_weights_names_an_older_with(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    for name, started, weights in (("a", 1, True), ("b", 2, True), ("c", 3, False)):
        run = tmp_path / "x" / name
        (run / "checkpoints").mkdir(parents=True)
        (run / "config.yaml").write_text("name: x\n")
        (run / "provenance.json").write_text(json.dumps({"started": started}))
        if weights:
            (run / "checkpoints" / "examples=000000000001.ckpt").write_text("")
    for command in ("sample", "evaluate"):
        done = genlab_here(command, "run=last")
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert (
            "x/c has no checkpoint" in done.stderr and f"run={tmp_path / 'x' / 'b'}" in done.stderr
        )


NET = """
from torch import nn

class Mine(nn.Module):
    def __init__(self, *, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.line = nn.Linear(shape[0] + 1, shape[0])

    def forward(self, x, t, cond=None):
        import torch
        return self.line(torch.cat([x, t.reshape(-1, 1).to(x.dtype)], 1))
"""
OWN = ["data=ring", "net=mine", "trainer=cpu", "trainer.threads=1", "logger=none",
       "budget.examples=64", "data.batch_size=16", "look_every=null", "evaluate=false"]  # fmt: skip


def own_net(folder: Path, *, package: Path) -> None:
    (folder / "my_conf" / "net").mkdir(parents=True)
    yaml = "# my net\n_target_: my_package.nets.Mine\nshape: ${data.shape}\n"
    (folder / "my_conf" / "net" / "mine.yaml").write_text(yaml)
    (package / "my_package").mkdir(parents=True)
    (package / "my_package" / "__init__.py").write_text("")
    (package / "my_package" / "nets.py").write_text(NET)
    (package / "json.py").write_text("open('shadowed', 'w').close()\n")
    (package / "yaml.py").write_text("open('shadowed', 'w').close()\n")


SAY = """
import contextlib, io, json, signal, sys
sys.argv[0] = "genlab"
from genlab import cli
from genlab.runs import train
from hydra.core.global_hydra import GlobalHydra
for words in json.loads(sys.argv.pop()):
    out = io.StringIO()
    GlobalHydra.instance().clear()
    train.codes.clear()
    with contextlib.redirect_stderr(out):
        try:
            code = cli.main(words) or 0
        except SystemExit as error:
            code = error.code or 0
    print(json.dumps([code, out.getvalue()]))
"""


def console(*lines: list[str], folder: Path, **env: str) -> list[tuple[int, str]]:
    """Exit code and stderr of each command line, as the command `genlab` is: the working folder is
    not on Python's path. One process says them all, so that torch is imported once."""
    import os

    done = subprocess.run(
        [sys.executable, "-P", "-c", SAY, json.dumps(lines)], cwd=folder, capture_output=True,
        text=True, check=False,
        env={**os.environ, "GENLAB_OUTPUTS": str(folder / "my outputs"), **env},
    )  # fmt: skip
    said = [x for x in done.stdout.splitlines() if x.startswith("[")]
    assert len(said) == len(lines), done.stderr
    return [tuple(json.loads(x)) for x in said]


@pytest.mark.parametrize("place", [".", pytest.param("my_conf", marks=pytest.mark.slow)])
def test_an_own_net_is_found_beside_its_config_when_trusted(place: str, tmp_path: Path) -> None:
    own_net(tmp_path, package=tmp_path / place)
    words = ["train", "--config-dir", "my_conf", *OWN]
    sampled = ["sample", "run=last", "num=2"]
    refused, trained, drawn, untrusted = console(
        words, [*words, "trust=[my_package]"], [*sampled, "trust=[my_package]"], sampled,
        folder=tmp_path,
    )  # fmt: skip
    assert refused[0] == 2 and "my_package.nets.Mine" in refused[1], refused
    assert trained[0] == 0, trained
    assert not (tmp_path / "shadowed").exists()
    said = dict(x.split(maxsplit=1) for x in trained[1].splitlines() if x.startswith("  "))
    assert "--config-dir my_conf" in said["again"] and "'trust=[my_package]'" in said["again"], said
    line = said["draw"]
    assert "'trust=[my_package]'" in line and f"'run={tmp_path}/my outputs" in line, line
    assert ("PYTHONPATH=" in line) == (place != ".")
    assert drawn[0] == 0, drawn
    assert untrusted[0] == 2 and "trust" in untrusted[1], untrusted


@pytest.mark.parametrize(
    ("line", "said"),
    [("self.lime(x)", r"nets\.py:\d+: return self\.lime\(x\): AttributeError: .*lime"),
     ("self.line(x) +", r"nets\.py:\d+: .*SyntaxError")],
)  # fmt: skip
def test_a_fault_of_ones_own_package_is_told_as_such(line: str, said: str, tmp_path: Path) -> None:
    own_net(tmp_path, package=tmp_path)
    source = tmp_path / "my_package" / "nets.py"
    text = NET.replace("self.line(torch.cat([x, t.reshape(-1, 1).to(x.dtype)], 1))", line)
    assert text != NET
    source.write_text(text)
    ((code, stderr),) = console(
        ["train", "--config-dir", "my_conf", *OWN, "trust=[my_package]"], folder=tmp_path
    )
    assert code == 2 and re.search(said, stderr.splitlines()[-1]), stderr
    assert "not of yours" not in stderr and "Traceback" not in stderr


def test_words_that_are_not_english_are_heard() -> None:
    from genlab.runs.settings.mistakes import read
    from genlab.runs.settings.overrides import read_value

    assert read(readable("data.path=Bücher.txt")).value() == "Bücher.txt"
    assert read(readable("data.drop=[verkauft am,größe]")).value() == ["verkauft am", "größe"]
    assert read_value("cond", "Äpfel") == "Äpfel"
    assert read_value("cond", "[Äpfel,7]") == ["Äpfel", 7]
    assert readable("data.drop=['größe',b]") == "data.drop=['größe',b]"


def test_trust_finds_nothing_but_what_it_names(tmp_path: Path) -> None:
    own_net(tmp_path, package=tmp_path)
    (tmp_path / "my_package" / "nets.py").write_text("import helper\n" + NET)
    (tmp_path / "helper.py").write_text("")
    words = ["check", "--config-dir", "my_conf", "data=ring", "net=mine"]
    alone, both = console(
        [*words, "trust=[my_package]"], [*words, "trust=[my_package,helper]"], folder=tmp_path
    )
    assert alone[0] == 2 and "'trust=[my_package,helper]'" in alone[1], alone
    assert both[0] == 0, both


@pytest.mark.slow
def test_worker_processes_find_a_trusted_package(tmp_path: Path) -> None:
    own_net(tmp_path, package=tmp_path / "my_conf")
    words = ["train", "--config-dir", "my_conf", *OWN[:2], *OWN[3:], "trainer=ddp_cpu"]
    ((code, said),) = console([*words, "trust=[my_package]"], folder=tmp_path)
    assert code == 0, said


def test_a_failing_cell_is_named(tmp_path: Path) -> None:
    words = ["-m", "net=mlp", "net.width=wide", "data=ring", "seed=1,2"]
    done = genlab("train", *words, GENLAB_OUTPUTS=str(tmp_path))
    assert "cell seed=1: net.width=wide" in done.stderr
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("a red apple, a leaf", "a red apple, a leaf"),  # as the shell hands on cond="..."
        ("it's late, a (small) owl: grey", "it's late, a (small) owl: grey"),
        ('"a, b"', "a, b"),
        ("[a red apple, a leaf]", ["a red apple", "a leaf"]),
        ('["a, b",c]', ["a, b", "c"]),
        ("owl", "owl"),
        (" 7", 7),
        ('{"native land": "a=b, c"}', '{"native land": "a=b, c"}'),  # cells of a table
        ('[{"a": null}, {"b": "1"}]', '[{"a": null}, {"b": "1"}]'),
    ],
)
def test_a_caption_is_typed_as_it_is_written(typed: str, asked) -> None:
    from genlab.runs.settings.overrides import parse

    assert parse("sample", ["run=RUN", f"cond={typed}"])[0]["cond"] == asked


def test_a_sweep_of_classes_is_still_refused() -> None:
    from genlab.runs.say.errors import UserError
    from genlab.runs.settings.overrides import parse

    with pytest.raises(UserError, match=r"cond=1,2: this is a sweep of values"):
        parse("sample", ["run=RUN", "cond=1,2"])
