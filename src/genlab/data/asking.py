"""Words into conditions: the names of classes, and which half of an example is kept.

`DataModule.asked` calls these; every command that draws samples asks in the same words.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

HALVES = ("left", "right", "top", "bottom", "all")  # all: both of them


def classes_asked(
    num: int, cond: Any, names: Sequence[str] | None, num_classes: int | None
) -> Tensor:
    """The classes asked for by name or number, a list gone through in turn [num]."""
    if not num_classes:
        raise ValueError(
            f"cond={_shown(cond)}: this model was trained without classes; leave it out"
        )
    wanted = list(cond) if isinstance(cond, list | tuple) else [cond]
    if not wanted:
        raise ValueError("cond=[]: give a class or several: cond=7, cond=[1,2]")
    found = [class_number(c, names, num_classes) for c in wanted]
    return torch.tensor([found[i % len(found)] for i in range(num)])


def class_number(word: str | int, names: Sequence[str] | None, num_classes: int) -> int:
    """The number of a class, from its name (in any case, if that is unmistakable) or its number.

    Where names are numbers themselves (folders 1, 3, 10) they alone are heard.
    """
    names = list(names or ())
    numbered = any(name.isdecimal() for name in names) and names != [*map(str, range(len(names)))]
    if str(word) in names:
        return names.index(str(word))
    same = [i for i, name in enumerate(names) if name.casefold() == str(word).casefold()]
    if len(same) == 1:
        return same[0]
    try:
        number = int(word)
    except ValueError:
        number = None
    if number is not None and not numbered:
        if 0 <= number < num_classes:
            return number
        raise ValueError(
            f"cond={_shown(word)}: there is no such class; they go from 0 to {num_classes - 1}"
        )
    close = difflib.get_close_matches(str(word), names, n=3, cutoff=0.5)
    listed = ", ".join(close or names[:10]) + ("" if close or len(names) <= 10 else ", ...")
    hint = f"nearest: {listed}" if close else f"classes are {listed}" if names else ""
    numbers = "" if numbered else f"or a number from 0 to {num_classes - 1}"
    raise ValueError(
        f"cond={_shown(word)}: there is no such class; " + ", ".join(filter(None, (hint, numbers)))
    )


def class_captions(cond: Any, names: Sequence[str] | None) -> list[str] | None:
    """The classes [N] in words; None for conditions that are no classes."""
    if not isinstance(cond, Tensor) or cond.ndim != 1 or cond.is_floating_point():
        return None
    return [names[c] if names and c < len(names) else str(c) for c in cond.tolist()]


def half(name: str, shape: Sequence[int]) -> Tensor:
    """Which values of an image [C, H, W] lie in the half of that name, bool."""
    _, height, width = shape
    kept = torch.zeros(tuple(shape), dtype=torch.bool)
    region = {
        "left": (slice(None), slice(width // 2)),
        "right": (slice(None), slice(width // 2, None)),
        "top": (slice(height // 2), slice(None)),
        "bottom": (slice(height // 2, None), slice(None)),
        "all": (slice(None), slice(None)),
    }[name]
    kept[:, *region] = True
    return kept


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value)[:60]
