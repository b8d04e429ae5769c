"""The words of a command line, as a shell hands them over, in the order that Hydra's parser takes.

Flags may stand at any place, `~` is the home folder, and a text that Hydra's grammar would not
read (a path with blanks, brackets or an equals sign) is quoted.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from genlab.runs.say.errors import UserError, nearest
from genlab.runs.settings.conf import conf_dir


def read_words(
    words: list[str], only: tuple[str, ...] = ()
) -> tuple[list[str], argparse.Namespace]:
    """The words for Hydra, and what they ask for; mistakes seen before composing are refused."""
    from hydra._internal.utils import get_args

    from genlab.runs.gate.classes import FOLDERS
    from genlab.runs.gate.files import check_command_line
    from genlab.runs.settings.mistakes import check_words
    from genlab.runs.settings.prepared import chosen

    words = chosen(in_order(words, only))
    check_command_line(words)
    asked = get_args(words)
    own = own_folder(asked)
    check_words(asked.overrides, *own, sweep=asked.multirun)
    if own:  # where a trusted package may lie: for this process and those that it starts
        os.environ[FOLDERS] = os.pathsep.join(str(p.absolute()) for p in (*own, own[0].parent))
    return words, asked


def for_hydra(words: list[str], overrides: list[str]) -> bool:
    """Whether the command asks Hydra for more than to compose one run: -m, --cfg, a launcher."""
    flags = {w.partition("=")[0] for w in words if w.startswith("-")}
    own = (o.lstrip("+~") for o in overrides)
    more = any(
        o.startswith(("hydra.", "hydra/")) and not o.startswith("hydra.run.dir=") for o in own
    )
    return more or bool(flags - {"--config-dir", "-cd"})


def explained(error: Exception, words: list[str]) -> str:
    """One line for an error of Hydra's composition."""
    from hydra._internal.utils import get_args

    from genlab.runs.settings.mistakes import explain
    from genlab.runs.settings.prepared import chosen

    asked = get_args(chosen(in_order(words)))
    return explain(error, asked.overrides, *own_folder(asked), sweep=asked.multirun)


def own_folder(asked: argparse.Namespace) -> list[Path]:
    return [Path(asked.config_dir)] if asked.config_dir else []


def in_order(words: list[str], only: tuple[str, ...] = ()) -> list[str]:
    """Flags first, then overrides; a flag that is not known, or not among `only`, is refused."""
    from hydra._internal.utils import get_args_parser

    known = {name: a for a in get_args_parser()._actions for name in a.option_strings}
    known = {name: a for name, a in known.items() if not only or name in only}
    flags, overrides, left = [], [], list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            overrides.append(readable(word))
            continue
        if name not in known:
            raise UserError(f"{name}: there is no such flag{_meant(word, left, known)}")
        action = known[name]
        if action.nargs == 0:
            if equals:
                raise UserError(f"{word}: {name} takes no value")
            flags.append(name)
            continue
        if not equals and left and not left[0].startswith("-") and _takes(action, left[0]):
            value = left.pop(0)
        if not value and action.nargs != "?":
            raise UserError(f"{name} needs a value: {name}=VALUE")
        if value and action.choices and value not in action.choices:
            raise UserError(f"{name}={value}: allowed are {', '.join(map(str, action.choices))}")
        flags += [name, value] if value else [name]
    return [*flags, *overrides]


PATH = re.compile(r"\+*(data\.(\w+\.)*(root|path)|resume|init_from|codec)")  # keys of paths
PLAIN = re.compile(r"[\w./+-]+", re.ASCII)  # what Hydra's grammar reads as it stands
FOREIGN_LIST = re.compile(r"\[(?=.*[^\x00-\x7f])[^\[\]{}'\"$]+\]")  # words that it cannot read
SYNTAX = re.compile(r"['\"\[{]|\$\{")  # a quoted text, a list, a mapping, an interpolation


def readable(word: str) -> str:
    """The word with ~ unfolded, and its value quoted where the grammar would not read it.

    A path is quoted unless it is a plain one, or several of a sweep.
    """
    from genlab.runs.settings.mistakes import read

    key, equals, value = word.partition("=")
    if FOREIGN_LIST.fullmatch(value):
        parts = [p if p.isascii() else f"'{p.strip()}'" for p in value[1:-1].split(",")]
        return f"{key}=[{','.join(parts)}]"
    if not equals or not key.strip("+~") or SYNTAX.match(value):
        return word
    value = os.path.expanduser(value)
    bare, text = f"{key}={value}", quoted(value)
    if PATH.fullmatch(key) and "${" in value and os.path.exists(value):
        raise UserError(
            f"{word}: ${{...}} in a name is read as an interpolation: rename the folder"
        )
    if PATH.fullmatch(key) and value and "${" not in value:
        several = "," in value and not os.path.exists(value)
        return bare if PLAIN.fullmatch(value) or several else f"{key}={text}"
    try:
        read(bare)
    except UserError:
        return word if re.match(r"\w+\(", value) else f"{key}={text}"
    return bare


def quoted(text: str) -> str:
    """The text in quotes, as Hydra's grammar reads it."""
    return "'" + re.sub(r"(\\*)('|$)", _escaped, text) + "'"


def _escaped(found: re.Match[str]) -> str:
    """A quote, or the end, and the backslashes before it, as they stand within quotes."""
    return found[1] * 2 + ("\\'" if found[2] else "")


def _takes(action: argparse.Action, word: str) -> bool:
    """Whether the word after a flag is its value: one that need not have any takes its own only."""
    return action.nargs != "?" or word in (action.choices or ())


def _meant(word: str, left: list[str], known: dict[str, argparse.Action]) -> str:
    """The override that a flag of another program's habit stands for, or the nearest flag."""
    name = word.lstrip("-").partition("=")[0]
    long = [flag for flag in known if flag.startswith("--")]
    close = nearest(word.partition("=")[0], long)
    long_word = re.fullmatch(r"[^.]{8,}", name) and name not in _switches()
    if word.startswith("--") and close.startswith("; nearest") and long_word:
        return close
    return without_dashes(word, left)


def without_dashes(word: str, left: Sequence[str]) -> str:
    """The remedy for a flag: the override that it stands for, its value perhaps the next word."""
    name, equals, value = word.lstrip("-").partition("=")
    name, on = name.replace("-", "_"), "true"
    if name.startswith("no_") and name[3:] in _switches():
        name, on = name[3:], "false"
    if not equals:
        value = left[0] if left and not re.match(r"-|[\w.]+=", left[0]) else "VALUE"
        value = on if name in _switches() and value != "false" else value
    return f"; write it without dashes: {shlex.quote(f'{name}={value}')}" if name else ""


def _switches() -> set[str]:
    """Keys that are true or false: those of train.yaml, and what `genlab check` takes."""
    settings = yaml.safe_load((conf_dir() / "train.yaml").read_text())
    return {"measure", *(key for key, value in settings.items() if isinstance(value, bool))}
