"""The house rules: who may import whom, conf mirrors the code, headers and README are true."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml
from conftest import CONF, ROOT

SRC = ROOT / "src" / "genlab"
COMMON = {"batch", "clock", "joules", "machine", "own", "rng", "rows", "seeds", "shapes", "shown"}
MAY = {
    "data": COMMON | {"views"},
    "views": COMMON,
    "nn": COMMON,
    "objectives": COMMON,
    "samplers": COMMON,
    "models": COMMON | {"optim", "objectives", "samplers"},
    "metrics": COMMON | {"nn"},
    "callbacks": COMMON | {"models", "metrics", "views"},
    "curation": COMMON | {"data"},
    "runs": COMMON | {"curation", "data", "models", "callbacks", "metrics", "views", "cli"},
    "optim": {"clock"},
    "cli": {"runs"},
    "__init__": {"lean", "runs", "models"},
    "lean": set(),
    **{root: set() for root in COMMON - {"rows", "rng"}},
    "rows": {"own"},
    "rng": {"seeds"},
}
FILES = sorted(SRC.rglob("*.py"))


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{a.name}" for a in node.names} | {node.module}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_import_directions(file: Path) -> None:
    part = file.relative_to(SRC).parts[0].removesuffix(".py")
    assert part in MAY, f"{part}: a package that no rule knows: write in MAY what it may import"
    own = {n.split(".")[1] for n in imports(file) if n.startswith("genlab.")} - {
        part,
        "__version__",
    }
    assert own <= MAY[part], f"{file.name} may not import {sorted(own - MAY[part])}"


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_hydra_only_in_runs_and_wandb_nowhere(file: Path) -> None:
    roots = {n.split(".")[0] for n in imports(file)}
    assert "wandb" not in roots
    if file.relative_to(SRC).parts[0] not in ("runs", "cli.py"):
        assert not roots & {"hydra", "omegaconf"}


# what runs code, reads pickles or unpacks blindly: (name of the call, where it may stand)
CHOKE = {
    "instantiate": ["runs/settings/plan.py"],
    "torch.load": ["runs/folder/checkpoint.py"],
    "extractfile": ["data/archives.py", "data/sources/images.py"],  # the contents of one member
}
BANNED = re.compile(
    r"(builtins\.)?(eval|exec|__import__)|(\w+\.)*load_from_checkpoint|(torch\.)?(jit|hub|package)\.\w+"
    r"|(hydra\.utils\.|hydra\.)?(call|get_class|get_method|get_object)"
    r"|(c?pickle|dill|joblib|marshal|shelve|cloudpickle)\.\w+|(np|numpy)\.load"
    r"|yaml\.(load|unsafe_load|full_load|load_all|unsafe_load_all)"
    r"|(\w+\.)*(extractall|extract|unpack_archive)|os\.(system|popen|exec\w*|spawn\w*)|safe_globals"
    r"|add_safe_globals"
)
MODULES = {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle", "torch.jit", "torch.hub"}


def dangers(code: str) -> tuple[list[str], list[str]]:
    """(calls that a choke point allows, what is banned) in a file's code; imports are followed."""
    tree, names, choke, banned = ast.parse(code), {}, [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name: a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    banned += sorted(n for n in names.values() if n in MODULES or n.split(".")[0] in MODULES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and not isinstance(node.ctx, ast.Store):
            head, _, rest = ast.unparse(node).partition(".")
            full = names.get(head, head) + (f".{rest}" if rest else "")
            called = full.removeprefix("hydra.utils.").removeprefix("torch.serialization.")
            for name in CHOKE:
                if called == name or full.endswith(f".{name}"):
                    choke.append(name)
            if BANNED.fullmatch(full):
                banned.append(full)
        if isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle", "weights_only"):
            value = node.value.value if isinstance(node.value, ast.Constant) else "?"
            if value is not {"shell": False, "allow_pickle": False, "weights_only": True}[node.arg]:
                banned.append(f"{node.arg}={value}")
    return choke, banned


def test_choke_points_and_nothing_that_runs_code() -> None:
    found: dict[str, list[str]] = {name: [] for name in CHOKE}
    for file in FILES:
        choke, banned = dangers(file.read_text())
        assert not banned, f"{file.relative_to(SRC)}: {banned}"
        for name in choke:
            found[name].append(str(file.relative_to(SRC)))
    assert found == CHOKE


@pytest.mark.parametrize(
    "code",
    [
        "from hydra.utils import call\ncall(x)", "import hydra\nhydra.utils.call(x)",
        "from hydra.utils import call as c\nc(x)", "import torch\ntorch.jit.load(x)",
        "from torch.jit import load\nload(x)", "M.load_from_checkpoint(x)", "import pickle",
        "from pickle import loads", "import numpy as np\nnp.load(x, allow_pickle=True)",
        "from numpy import load\nload(x)", "eval(x)", "exec(x)",
        "import builtins\nbuiltins.eval(x)",
        "import yaml\nyaml.load(x)", "from yaml import unsafe_load\nunsafe_load(x)",
        "tar.extractall(x)", "tar.extract(x)", "shutil.unpack_archive(x)",
        "import subprocess\nsubprocess.run(x, shell=True)", "import os\nos.system(x)",
        "torch.load(x, weights_only=False)", "f = eval", "import torch\ntorch.hub.load(x)",
    ],
)  # fmt: skip
def test_the_lint_finds_what_it_should(code: str) -> None:
    assert dangers(code)[1]


def test_the_lint_sees_a_second_choke_point() -> None:
    assert dangers("from hydra.utils import instantiate as i\ni(x)")[0]
    assert dangers("from torch import load\nload(x)")[0]
    assert dangers("import torch as t\nt.load(x)")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_files_open_with_what_they_are_and_stay_small(file: Path) -> None:
    text = file.read_text()
    assert ast.get_docstring(ast.parse(text)), "a file opens with a docstring"
    assert text.count("\n") <= 400, "over 400 lines: is it two things?"
    assert file.name not in ("utils.py", "helpers.py", "misc.py")


YAMLS = sorted(CONF.rglob("*.yaml"))


@pytest.mark.parametrize("file", YAMLS, ids=lambda p: str(p.relative_to(CONF)))
def test_every_yaml_says_what_it_is(file: Path) -> None:
    lines = [x for x in file.read_text().splitlines() if not x.startswith("# @package")]
    assert lines[0].startswith("# ") and len(lines[0]) > 10


MIRROR = {
    "data": "data", "source": "data.sources", "tokenizer": "data.tokenizers",
    "net": "nn", "model": "models", "objective": "objectives",
    "sampler": "samplers", "metric": "metrics", "callbacks": "callbacks", "optim": "optim",
    "conditions": "models", "adapt": "nn", "edit": "data.edits", "prior": "objectives",
    "posterior": "objectives", "augment": "nn", "optim_discriminator": "optim",
}  # fmt: skip


@pytest.mark.parametrize("group", MIRROR)
def test_conf_mirrors_the_package(group: str) -> None:
    for file in sorted((CONF / group).glob("*.yaml")):
        names = re.findall(r"_target_: (genlab[\w.]+)", file.read_text())
        for name in names:
            # a caption's encoder and a law's flow are nets, injected into them
            injected = group in ("conditions", "prior", "posterior")
            rooms = (MIRROR[group], "nn") if injected else (MIRROR[group],)
            assert name.startswith(tuple(f"genlab.{room}." for room in rooms)), f"{file}: {name}"


@pytest.mark.parametrize("file", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda p: p.stem)
def test_experiments_say_command_hardware_time_result_source(file: Path) -> None:
    text = file.read_text()
    for field in ("command:", "hardware:", "time:", "result:", "source:"):
        line = re.search(rf"^# {field}\s*(\S.*)$", text, re.M)
        assert line, f"{file.name} has no line '# {field} ...'"
        assert "not measured" not in line[1] and line[1] != "?", f"{file.name}: {field} {line[1]}"
    assert f"genlab train experiment={file.stem}" in text
    assert yaml.safe_load(text)["name"] == file.stem


def test_the_tree_is_true() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    from house_tree import page

    written = (ROOT / "docs" / "house.md").read_text()
    assert page(written) == written, "run python scripts/house_tree.py"
    readme = (ROOT / "README.md").read_text()
    for folder in SRC.iterdir():
        if (folder / "__init__.py").is_file():
            assert f"{folder.name}/" in readme, f"README's tree has no {folder.name}/"
