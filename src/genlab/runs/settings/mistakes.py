"""What is wrong with a command line: the word, where, and the remedy, in one line.

Read: `check_words` (before Hydra composes), `explain` (when it could not), `check_values` (a word
where the option's file has a number). Nothing here imports torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from genlab.data import naming
from genlab.runs.gate.types import SIMPLE, fits
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.settings.conf import (
    SWEEPERS,
    conf_dir,
    groups,
    options,
    options_that,
    options_with,
)

# of these a run has one
ONE = {"data", "net", "model", "objective", "sampler", "optim", "trainer", "metric", "experiment",
       "kind", "augment"}  # fmt: skip
NONE = {"logger": "logger=none", "metric": "evaluate=false", "callbacks": "callbacks.NAME=null"}
# what others call a setting
SYNONYMS = {
    "epochs": "budget.examples", "max_epochs": "budget.examples", "steps": "budget.examples",
    "max_steps": "budget.examples", "learning_rate": "optim.optimizer.lr",
    "gpus": "trainer.devices", "dataset": "data", "checkpoint": "init_from", "optimizer": "optim",
}  # fmt: skip
# what others call an option of a group
OTHERS = {
    "trainer": {"cuda": "gpu"}, "net": {"transformer": "gpt", "rnn": "gru", "u_net": "unet"},
    "model": {"transformer": "autoregressive", "vq_vae": "vqvae"},
    "data": {"fashion": "fashion_mnist", "cifar": "cifar10"}, "optim": {"sgd": "adam"},
}  # fmt: skip
# of a folder of files, and of one file
ELSEWHERE = {"root": "path", "path": "root"}
# what may be a number or a word, whatever its file has
EITHER = ("trainer.devices", "trainer.precision")
COLUMNS, QUOTES = "data.columns.", "'\""  # of a table, by their names
CELLS = 100  # of a sweep that are looked at for the one that cannot be composed


def check_words(words: Sequence[str], *own: Path, sweep: bool = False) -> None:
    """Refuse a word that cannot be read, and a group's option that is not there."""
    chosen: dict[str, str] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if (not equals and not word.startswith("~")) or not key.strip("+~"):
            raise UserError(_no_value(word, *own))
        override = read(word)
        if override.is_sweep_override():
            if not sweep:
                raise UserError(
                    f"{word}: several values are a sweep: add -m; one list is written"
                    f" {key}=[{text}], one text \"{key}='{text}'\""
                )
            values = list(override.sweep_string_iterator()) if override.is_discrete_sweep() else []
        else:
            values = [override.value()]
        if (group := override.key_or_group) in groups(*own) and override.package is None:
            for value in values:
                _check_option(word, override, value, *own)
            if chosen.setdefault(group, word) != word and group in ONE:
                raise UserError(f"{chosen[group]} {word}: {group} is given twice; a run has one")


def read(word: str) -> Any:
    """An override as Hydra's grammar reads it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(word)
    except (HydraException, ValueError):  # a number of thousands of digits is a ValueError
        key, _, text = word.partition("=")
        quoted = f"; a text is written \"{key}='{text[:60]}'\"" if key.strip("+~.") else ""
        if text.startswith("["):
            quoted = "; texts in a list are quoted: " + naming.typed(f'{key}=["A, B","C [1]"]')
        if (name := key.lstrip("+").removeprefix(COLUMNS)) != key.lstrip("+"):
            quoted = f"; an odd name is quoted: {naming.kind(name, text.strip(QUOTES) or 'KIND')}"
        raise UserError(f"{word[:80]}: this is no NAME=VALUE that can be read{quoted}") from None


def _no_value(word: str, *own: Path) -> str:
    if word in groups(*own):
        return f"{word}: write {word}=OPTION without blanks{nearest('', options(word, *own))}"
    meant = [f"{g}={word}" for g in groups(*own) if word in options(g, *own)]
    if not meant:
        known = {option: g for g in groups(*own) for option in options(g, *own)}
        close = difflib.get_close_matches(Path(word).stem, known, cutoff=0.7)
        meant = [f"{known[c]}={c}" for c in close]
    return f"{word}: write NAME=VALUE{'; nearest: ' + ', '.join(meant) if meant else ''}"


def _check_option(word: str, override: Any, value: Any, *own: Path) -> None:
    group = override.key_or_group
    there = [*options(group, *own), *(["prepared"] if group == "data" else [])]  # prepared.py's
    if override.is_delete():
        return
    if value is None:
        raise UserError(f"{word}: a group is never null; write {NONE.get(group, f'~{group}')}")
    if isinstance(value, list):
        if group in ONE:
            raise UserError(f"{word}: a run has one {group}; for a run of each add -m and write"
                            f" {group}={','.join(map(str, value))}")  # fmt: skip
        for one in value:
            _check_option(f"{group}={one}", override, one, *own)
    elif not isinstance(value, dict) and str(value) not in there:
        others = [f"{g}={value}" for g in groups(*own) if str(value) in options(g, *own)]
        remedy = f"; there is {' and '.join(others)}" if others else nearest(str(value), there)
        if known_as := OTHERS.get(group, {}).get(str(value)):
            remedy = f"; nearest: {known_as}"
        raise UserError(f"{group}={value}: there is no such option{remedy}")


def explain(error: Exception, words: Sequence[str], *own: Path, sweep: bool = False) -> str:
    """One line for what Hydra could not compose: the key, and the nearest right ones."""
    try:
        check_words(words, *own, sweep=sweep)
        for cell in _cells(words) if sweep else [list(words)]:
            if line := wrong_key(cell, *own):
                swept = {w.partition("=")[0] for w in words if read(w).is_sweep_override()}
                differing = [w for w in cell if w.partition("=")[0] in swept]
                return f"the cell {' '.join(differing)}: {line}" if differing else line
    except UserError as refusal:
        return str(refusal)
    for word in words:  # a group that only some models have
        group = word.partition("=")[0]
        if str(error).startswith(f"Could not override '{group}'") and group in groups(*own):
            having = options_that("model", lambda node, g=group: f"'/{g}@" in str(node))
            return f"{word}: this model has no {group}; model={', '.join(having)} would have it"
    if file := getattr(error, "missing_cfg_file", None):
        group, _, option = file.rpartition("/")
        there = list(getattr(error, "options", None) or ())  # of a group of Hydra's own
        if group and there:
            return f"{group}={option}: there is no such option{nearest(option, there)}"
        return f"{group or 'conf'}={option}: there is no such file in the configuration"
    cause = error.__cause__ or error
    full = str(getattr(cause, "full_key", None) or "")
    if full.startswith("hydra.sweeper.") and "not in struct" in str(cause):
        chosen = [w.partition("=")[2] for w in words if w.startswith(f"{SWEEPERS}=")]
        file = conf_dir() / SWEEPERS / f"{(chosen or ['grid'])[-1]}.yaml"
        keys = list(yaml.safe_load(file.read_text())) if file.is_file() else []
        own = [k for k in keys if not k.startswith("_")]
        return f"{full}: there is no such key{nearest(full.rpartition('.')[2], own)}"
    place = f"{full}: " if full else ""
    return place + " ".join(str(getattr(cause, "msg", None) or cause).split())


def _cells(words: Sequence[str]) -> Iterator[list[str]]:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    overrides = [
        read(f"{o.get_key_element()}={o.value().start}") if o.is_interval_sweep() else o
        for o in map(read, words)
    ]
    cells = BasicSweeper.split_arguments(overrides, None)[0]
    yield from cells[:CELLS]


def wrong_key(
    words: Sequence[str], *own: Path, name: str = "train", base: Sequence[str] = ()
) -> str:
    """What is wrong with a key of one run's words; empty if nothing is.

    `name`: the file of conf/ that the words are for; `base`: words that are right, besides.
    """
    from genlab.runs.settings.compose import composed

    overrides = {word: read(word) for word in words}
    keys = {w: o.key_or_group for w, o in overrides.items()}
    chosen = [w for w in words if keys[w] in groups(*own)]
    added = [w for w in words if w.startswith("+") and w not in chosen]
    try:
        cfg = composed([*base, *chosen], *own, name=name)
    except Exception:
        return ""
    parts = [w.removeprefix("init_from.") for w in words if w.startswith("init_from.")]
    if parts:
        said = ", ".join(": ".join(p.split("=", 1)) for p in parts)
        return f"init_from.{parts[0]}: parts are named in one word: 'init_from={{{said}}}'"
    for word in words:
        if word in chosen or word in added or keys[word].startswith(("hydra.", "hydra/")):
            continue
        if overrides[word].package is not None or "/" in keys[word]:
            return f"{word}: there is no such group{nearest(keys[word], groups(*own))}"
        if (line := _missing(keys[word], cfg)) and keys[word] not in {keys[a] for a in added}:
            return f"{keys[word]}: {_swapped(word, *own) or line}"
    for word in added:
        if not word.startswith("++") and not _missing(keys[word], cfg):
            return f"{word}: the key is there already: write {word.lstrip('+')}"
    return ""


def _swapped(word: str, *own: Path) -> str:
    key, _, text = word.partition("=")
    right = text in groups(*own) and key in options(text, *own)
    return f"name and value are swapped: write {text}={key}" if right else ""


def _missing(key: str, cfg: DictConfig) -> str:
    """Which part of a key is not there, and the nearest that are; empty if all of it is."""
    node: Any = OmegaConf.to_container(cfg, resolve=False)
    every = list(_keys(node))
    at: list[str] = []
    for part in key.split("."):
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, list):
            return f"{'.'.join(at)} is a list of {len(node)}, written whole: {'.'.join(at)}={node}"
        elif node is None:
            return f"{'.'.join(at)} is null: write +{key}=VALUE"
        elif not isinstance(node, dict):
            if isinstance(node, str) and "${" in node:  # a node that another group fills
                return ""
            return f"{'.'.join(at)} is one value and has no keys of its own"
        elif part not in node:
            return _nearest_key(part, ".".join(at), node, every)
        else:
            node = node[part]
        at.append(part)
    return ""


def _nearest_key(word: str, place: str, node: dict[str, Any], every: list[str]) -> str:
    """Keys beside the wrong one, then keys anywhere that end as it does, then nearest of all."""
    line = f"there is no key {word!r} in {place or 'the settings'}"
    own = [k for k in node if k != "hydra"]
    if (other := ELSEWHERE.get(word)) in own:
        return f"{line}; nearest: {place}.{other}"
    if synonym := SYNONYMS.get(word):
        return f"{line}; nearest: {synonym}"
    alike = [k for k in every if k.split(".")[-1] == word]
    if inside := [k for k in alike if k.startswith(f"{place}.")] or ([] if place else alike):
        close = [] if place else difflib.get_close_matches(word, own, n=1, cutoff=0.7)
        return f"{line}; nearest: {', '.join([*close, *inside[:4]])}"
    having = options_with(place, {word}) if place in groups() else []
    if having and not difflib.get_close_matches(word, own, cutoff=0.7):
        return f"{line}; {place}={', '.join(having)} would have it"
    if not place and not difflib.get_close_matches(word, own, cutoff=0.5):
        close = difflib.get_close_matches(word, {k.split(".")[-1] for k in every}, cutoff=0.7)
        if close:
            own = [k for k in every if k.split(".")[-1] in close]
            return f"{line}; nearest: {', '.join(own[:4])}"
        having = {group: options_with(group, {word}) for group in groups()}
        knobs = [f"{g}.{word} ({g}={' or '.join(of[:4])})" for g, of in having.items() if of]
        if knobs:
            return f"{line}; nearest: {', '.join(knobs)}"
    return line + nearest(word, own)


def _keys(node: Any, at: str = "") -> Iterator[str]:
    """Every dotted key, the shortest branch of those that stand for one thing first."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key == "hydra" or str(key).startswith("_"):
            continue
        here = f"{at}.{key}" if at else str(key)
        yield here
        yield from _keys(value, here)


def check_values(words: Sequence[str], choices: dict[str, Any], settings: dict[str, Any]) -> None:
    """Refuse another type than the option's file has: a word for a number, a number for a list."""
    for word in words:
        key = word.lstrip("+").partition("=")[0]
        group, _, rest = key.partition(".")
        file = conf_dir() / group / f"{choices.get(group)}.yaml"
        if not rest or key in EITHER or not file.is_file():
            continue
        usual: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
        value: Any = settings
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        for part in rest.split("."):
            usual = usual.get(part) if isinstance(usual, dict) else None
        if value is None or usual is None or isinstance(usual, str | dict):
            continue
        if isinstance(usual, list):
            right, wanted = isinstance(value, list), f"a list such as {usual}"
        else:
            hint = bool if isinstance(usual, bool) else float
            right, wanted = fits(value, hint, lambda name: None), SIMPLE[type(usual)]
        if not right:
            raise UserError(f"{key}={value}: it must be {wanted}")
