"""Whether a setting fits the argument it is for: its type, and the class where one is named."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

SIMPLE = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def hints_of(cls: type) -> dict[str, Any]:
    """The annotations of a constructor; none where they cannot be resolved."""
    try:
        return typing.get_type_hints(cls.__init__)
    except (NameError, TypeError, AttributeError):
        return {}


def fits(value: Any, hint: Any, find: typing.Callable[[str], type | None]) -> bool:
    """Whether a plain value can stand for an argument of this type.

    `find` gives the class of a `_target_`, or None where it is not genlab's and so not looked into.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint in SIMPLE:
        if hint is bool or isinstance(value, bool):
            return hint is bool and isinstance(value, bool)
        return isinstance(value, (int, float) if hint is float else hint)
    if hint is None or hint is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(fits(value, h, find) for h in inner)
    if origin is Literal:
        return value in inner
    if origin in (list, tuple, Sequence):
        if not isinstance(value, list | tuple):
            return False
        if origin is tuple and inner and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(
                fits(v, h, find) for v, h in zip(value, inner, strict=True)
            )
        return not inner or all(fits(v, inner[0], find) for v in value)
    if not inspect.isclass(hint) or hint in (object, dict) or issubclass(hint, Mapping):
        return True
    if hint is Path:
        return isinstance(value, str)
    if not isinstance(value, dict) or "_target_" not in value:
        return False
    cls = find(value["_target_"])
    return cls is None or value.get("_partial_") or is_a(cls, hint)


def is_a(cls: Any, hint: type) -> bool:
    """Whether a class is one, or has the methods that a protocol asks for."""
    if not inspect.isclass(cls):
        return True
    if getattr(hint, "_is_protocol", False):
        methods = [n for n in vars(hint) if not n.startswith("_") and callable(getattr(hint, n))]
        return all(callable(getattr(cls, n, None)) for n in methods)
    return issubclass(cls, hint)


def wanted(hint: Any) -> str:
    """The type in words."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    if hint is None or hint is type(None):
        return "null"
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(wanted(h) for h in inner)
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin in (list, tuple, Sequence):
        of = [h for h in inner if h is not Ellipsis]
        return f"a list, each {wanted(of[0])}" if of else "a list"
    return f"a {getattr(hint, '__name__', hint)}"
