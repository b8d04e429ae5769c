"""A sampler's knobs as controls: from its constructor's types, defaults and refusals alone.

Read: `knobs_of` gives one `Knob` an argument; `changes` turns what stands in the controls into the
words that a command line would have (`sampler.num_steps=20`), which go through the same gate.
"""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genlab.runs.gate.types import hints_of
from genlab.runs.say.errors import UserError
from genlab.runs.settings.overrides import Change

Form = Literal["int", "float", "bool", "choice", "text"]
FORMS: dict[Any, Form] = {int: "int", float: "float", bool: "bool"}
FAR = 10**9  # a number that only a bound refuses
NONE = "none"  # what stands in a control for null, as does nothing at all


@dataclass(frozen=True, kw_only=True)
class Knob:
    """One argument of a sampler: its form, its value in the run, and what it may be."""

    name: str
    form: Form
    value: Any = None
    null: bool = False  # may be left empty
    options: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


def knobs_of(
    cls: type, values: Mapping[str, Any], accepts: Callable[[str, Any], bool]
) -> tuple[Knob, ...]:
    """The knobs of a class; `values` are the run's, `accepts(name, value)` tries the constructor.

    Bounds are the constructor's own: the least of -1, 0, 1 that it takes, and 1 if it takes no 2.
    """
    hints = hints_of(cls)
    return tuple(
        _knob(name, hints.get(name), values.get(name, argument.default), accepts)
        for name, argument in inspect.signature(cls).parameters.items()
        if argument.kind in (argument.KEYWORD_ONLY, argument.POSITIONAL_OR_KEYWORD)
    )


def _knob(name: str, hint: Any, value: Any, accepts: Callable[[str, Any], bool]) -> Knob:
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = typing.get_args(hint) if union else (hint,)
    null = types.NoneType in kinds
    value = None if value is inspect.Parameter.empty else value
    kinds = tuple(k for k in kinds if k is not types.NoneType)
    if len(kinds) == 1 and typing.get_origin(kinds[0]) is Literal:
        options = tuple(map(str, typing.get_args(kinds[0])))
        return Knob(name=name, form="choice", value=_word(value), null=null, options=options)
    form = FORMS.get(kinds[0], "text") if len(kinds) == 1 else "text"
    if set(kinds) == {int, float}:
        form = "float"
    if form == "text" or (isinstance(value, float) and not math.isfinite(value)):
        form = "text"  # a control of numbers holds no infinite one
        return Knob(name=name, form=form, value=_word(value), null=null)
    if form == "bool":
        return Knob(name=name, form=form, value=value, null=null)
    least = next((v for v in (-1, 0, 1) if accepts(name, v)), None)
    if form == "float" and least == 1:  # 0 is refused, yet not what lies above it
        least = 0 if accepts(name, 1e-3) else 1
    most = 1 if accepts(name, 1) and not accepts(name, 2) else None
    least = None if least == -1 and accepts(name, -FAR) else least
    return Knob(name=name, form=form, value=value, null=null, least=least, most=most)


def _word(value: Any) -> Any:
    return value if value is None else str(value)


def changes(knobs: tuple[Knob, ...], filled: Mapping[str, Any]) -> list[Change]:
    """The knobs that differ from the run's own values, as words of a command line."""
    found = []
    for knob in knobs:
        if knob.name not in filled:
            continue
        value = _meant(knob, filled[knob.name])
        if value is None and not knob.null:
            raise UserError(f"sampler.{knob.name}: it is empty; write a value")
        if value != knob.value:
            found.append((f"sampler.{knob.name}", typed(value)))
    return found


def _meant(knob: Knob, value: Any) -> Any:
    """A control's value as the constructor's type; what is none stays, for the gate to refuse."""
    if isinstance(value, str) and value.strip() in ("", NONE):
        return None
    if knob.form == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and knob.form in ("int", "float"):
        try:
            return {"int": int, "float": float}[knob.form](value)
        except ValueError:
            return value.strip()
    return value


def typed(value: Any) -> str:
    """A value as it is typed on a command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
