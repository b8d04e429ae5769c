"""Flags at any position: Hydra's parser takes them only before or after all overrides."""

from __future__ import annotations

import argparse
import os
import re

from genlab.runs.say.errors import UserError, nearest


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
            overrides.append(path_as_typed(word))
            continue
        if name not in known:
            raise UserError(f"{name}: there is no such flag{nearest(name, _long(known))}")
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


PATH = re.compile(r"(\+*(?:data\.(?:\w+\.)*(?:root|path)|resume|init_from)=)(.+)", re.DOTALL)
PLAIN = re.compile(r"[\w./+-]+")  # what Hydra's grammar reads as it stands


def path_as_typed(override: str) -> str:
    """An override whose value is a path, quoted for Hydra where the path needs it, ~ expanded."""
    found = PATH.fullmatch(override)
    if not found or found[2] == "null" or found[2][0] in "'\"[{" or "${" in found[2]:
        return override
    path = os.path.expanduser(found[2])
    if PLAIN.fullmatch(path) or ("," in path and not os.path.exists(path)):  # several: a sweep
        return found[1] + path
    quoted = re.sub(r"(\\*)(\'|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), path)
    return f"{found[1]}'{quoted}'"


def _takes(action: argparse.Action, word: str) -> bool:
    """Whether the word after a flag is its value: one that need not have any takes its own only."""
    return action.nargs != "?" or word in (action.choices or ())


def _long(known: dict[str, argparse.Action]) -> list[str]:
    return [name for name in known if name.startswith("--")]
