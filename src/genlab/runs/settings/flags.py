"""Flags at any position: Hydra's parser takes them only before or after all overrides."""

from __future__ import annotations

import argparse

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
            overrides.append(word)
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


def _takes(action: argparse.Action, word: str) -> bool:
    """Whether the word after a flag is its value: one that need not have any takes its own only."""
    return action.nargs != "?" or word in (action.choices or ())


def _long(known: dict[str, argparse.Action]) -> list[str]:
    return [name for name in known if name.startswith("--")]
