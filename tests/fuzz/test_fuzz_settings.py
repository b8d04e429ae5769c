"""Texts of configs: each reads as YAML's own reader reads it, or is refused in one line."""

from __future__ import annotations

import copy
import math
import random
import shutil
from pathlib import Path
from typing import Any

import yaml
from conftest import CONF
from fuzzing import ODD, Refused, change, fuzz, mutated, sizes
from running import settled

from genlab.runs.folder.layout import read_settings
from genlab.runs.gate import classes
from genlab.runs.gate.files import (
    check_command_line,
    check_config,
    check_folder,
    check_plain,
    check_unfolding,
    parse,
)  # fmt: skip
from genlab.runs.say.errors import is_users, of_composition, root_cause
from genlab.runs.settings import compose
from genlab.runs.settings.bounds import check_bounds
from genlab.runs.settings.mistakes import explain

SCALARS = (
    "1", "-0", "0x1F", "0o7", "0b1_", "1_000", "1:30", "1:2:3.5", "1e3", ".5", "._", "+.inf",
    ".nan", "~", "null", "yes", "Off", "2001-01-01", "2001-99-99", "2001-01-01T00:00:00+99:99",
    "'x'", '"\\n"', '"\\ud800"', '"\\x1b[2J"', "x", "é", "\u2028", "'it''s'", "!!int ''", "!!int x",
    "!!bool maybe", "!!float ''", "!!timestamp soon", "!!null x", "!!binary x", "!!binary YWJj",
    "!!str 1", "!!set {a}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!map []", "!!seq {}", "!evil x",
    "! x", "!!python/none x", "!<tag:yaml.org,2002:int> x", "${a}", "${.b}", "${..c}", "${a.b[0]}",
    "${oc.env:HOME}", "\\${a}", "${oc.select:a,b}", "${", "${}", "$", "${a${b}}", "${a:", "???",
    "${hydra:runtime.cwd}", "=", "<<", "genlab.data.toy.Ring", "os.system", "online", "@", "`", "%",
    "|\n  x", ">-\n  y", "", "'", '"', "9" * 1500, "0x" + "f" * 900,
    '!!int "1:' + "1:" * 400 + '1"', "&x 1", "*x", "*y", "&x {b: 1}", "[*x]",
)  # fmt: skip
KEYS = (
    "a", "b", "c", "name", "seed", "model", "data", "net", "defaults", "hydra", "trust", "resume",
    "cache", "save_dir", "mode", "logger", "_target_", "_args_", "_partial_", "_convert_", "<<",
    "1", "1.5", "null", "true", "2001-01-01", "''", "a.b", "a@b", "a[0]", '"h\\x79dra"',
    "? [1, 2]\n", "? {x: 1}\n", "${a}", "!!int ''", "*x", "&x k", "=", "é", '"a\\nb"', "-",
    "override /data", "hydra.run", "optim", "budget",
)  # fmt: skip
WORDS = [
    *SCALARS[:-8], *(f"{k}: " for k in KEYS), "\n", "\n  ", "\t", "- ", "---\n", "...\n", "{", "}",
    "[", "]", ", ", ": ", "# @package hydra.x\n", "# @package _global_\n", "&x ", "*x", "<<: *x\n",
    "%YAML 1.1\n", "\ufeff", "\x00", "\x85", "\r", "[" * 60, "{a: " * 60, "a: &b [*b]\n",
    "defaults: [/data: ring]\n", "defaults: [override /data: ring, _self_]\n", "defaults: {a: 1}\n",
    "defaults: x\n", "defaults: [{}]\n",
]  # fmt: skip


def text_of(rng: random.Random, depth: int = 0) -> str:
    """A node in flow style."""
    kind = rng.random()
    if depth > 4 or kind < 0.5:
        text = rng.choice(SCALARS)
        return text if "\n" not in text and len(text) < 500 else "x"
    anchor = rng.choice(("", "", "", "&x ", "&y ", "!!map ", "!!seq "))
    if kind < 0.75:
        return (
            anchor
            + "["
            + ", ".join(text_of(rng, depth + 1) for _ in range(rng.randint(0, 4)))
            + "]"
        )
    pairs = (
        f"{rng.choice(KEYS[:25])}: {text_of(rng, depth + 1)}" for _ in range(rng.randint(0, 4))
    )
    return anchor + "{" + ", ".join(pairs) + "}"


def grown(rng: random.Random) -> str:
    """A mapping of likely and odd keys, each with a node; blocks within blocks."""
    lines, indent = [], 0
    for _ in range(rng.randint(1, 8)):
        key = rng.choice(KEYS[:8] if rng.random() < 0.6 else KEYS)
        if rng.random() < 0.2:
            lines.append(" " * indent + f"{key}:")
            indent += 2
        else:
            value = text_of(rng) if rng.random() < 0.6 else rng.choice(SCALARS)
            lines.append(" " * indent + f"{key}: {value}")
            indent = max(0, indent - rng.choice((0, 0, 2)))
    return "\n".join(lines) + "\n"


def honest() -> list[str]:
    texts = [p.read_text(encoding="utf-8") for p in sorted(CONF.rglob("*.yaml"))]
    return [t for t in texts if "hydra" not in t and "${oc" not in t and len(t) < 2000]


def make_text(rng: random.Random, texts: list[str]) -> str:
    kind = rng.randrange(10)
    if kind < 4:
        return grown(rng)
    if kind < 6:
        return mutated(rng, grown(rng), WORDS)
    if kind < 9:
        return mutated(rng, rng.choice(texts), WORDS)
    data = yaml.safe_load(rng.choice(texts))
    change(rng, data)
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=rng.random() < 0.5)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items()))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and a == b


def check_by_python(text: str, data: Any) -> str:
    """PyYAML's reader in Python, which shares no parser with libyaml."""
    try:
        other = yaml.safe_load(text)
    except yaml.YAMLError:
        return "read, by libyaml alone"
    assert same(data, other), f"{data!r:.200} and {other!r:.200}"
    return "read"


@sizes()
def test_a_text(num: int, tmp_path: Path) -> None:
    folder, texts = tmp_path / "here", honest()
    folder.mkdir()
    path = folder / "config.yaml"
    path.write_text("a: '${b}'\nb: 1\n")
    check_config(path)  # what it imports is imported

    def meet(text: str) -> str:
        data = parse(text, "a text")
        told = check_by_python(text, data)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        check_folder(folder)
        check_unfolding(data, "a text")
        check_plain(data)
        classes.check_names(data)
        check_bounds(data if isinstance(data, dict) else {})
        return told

    fuzz("texts of configs", num, folder, lambda rng: make_text(rng, texts), meet)


@sizes(share=0.2, few=40)
def test_the_settings_of_a_run(num: int, tmp_path: Path) -> None:
    """config.yaml of a stranger's run folder, read and checked as `resume` does."""
    folder = tmp_path / "here"
    folder.mkdir()
    base = settled(["data=ring", "model=diffusion", "net=mlp", "logger=none", "trainer=cpu"])
    whole = yaml.safe_dump(base, sort_keys=False)
    compose.checked(copy.deepcopy(base), [])

    def make(rng: random.Random) -> str:
        if rng.random() < 0.3:
            return mutated(rng, whole, WORDS, most=2)
        data = copy.deepcopy(base)
        if rng.random() < 0.95:
            part = rng.choice(
                [data, data, *(v for v in data.values() if isinstance(v, dict) and v)]
            )
            change(rng, part, most=2)
        return yaml.safe_dump(data, sort_keys=False)

    def meet(text: str) -> str:
        (folder / "config.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        settings = read_settings(folder)
        compose.checked({**settings, "trust": []}, [])
        return "a plan"

    fuzz("settings of a run", num, folder, make, meet)


@sizes(share=0.02, few=4)
def test_a_folder_of_configs(num: int, tmp_path: Path) -> None:
    """`--config-dir FOLDER experiment=evil`, as far as the plan."""
    folder = tmp_path / "here"
    texts = [
        "# @package _global_\n# mine\ndefaults: [override /data: ring, override /model: vae]\n"
        "name: mine\nseed: &s 3\nlook_every: *s\nsave_every: '${data.batch_size}'\n",
        "# @package _global_\n# mine\nmodel: {optim: {lr: 0.01}}\ndata: {batch_size: 32}\n"
        "callbacks: {look: {num: 4}}\nbudget: {examples: 4096}\n",
    ]
    folder.mkdir()
    (folder / "conf").mkdir()
    compose.plan_of([], folder / "conf")

    def make(rng: random.Random) -> dict[str, str]:
        text = rng.choice(texts)
        if rng.random() < 0.5:
            text = mutated(rng, text, WORDS, most=2)
        else:
            data = yaml.safe_load(text)
            change(rng, data, ODD, most=2)
            text = "# @package _global_\n# mine\n" + yaml.safe_dump(data, sort_keys=False)
        files = {"experiment/evil.yaml": text}
        if rng.random() < 0.2:
            files["net/mine.yaml"] = grown(rng)
        return files

    def meet(files: dict[str, str]) -> str:
        conf, words = folder / "conf", ["experiment=evil"]
        shutil.rmtree(conf, ignore_errors=True)
        for name, text in files.items():
            (conf / name).parent.mkdir(parents=True, exist_ok=True)
            (conf / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            check_command_line(["--config-dir", str(conf), *words])
            compose.plan_of(words, conf)
        except Exception as error:  # as runs/say/answer.py tells them apart
            cause = root_cause(error)
            if is_users(cause):
                raise cause from None
            if not of_composition(error):
                raise
            line = explain(error, words, conf)
            assert line.strip() and "\n" not in line, line
            raise Refused(line) from None
        return "a plan"

    fuzz("folders of configs", num, folder, make, meet)
