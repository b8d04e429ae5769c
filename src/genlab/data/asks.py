"""What samples can be asked for: forms to fill in, as small plain data.

Read: `DataModule.asks` gives them, most important first; a page shows each as a control, and hands
the `words` of what was filled in to `DataModule.asked`, as the command line does. A new kind of
data uses these forms, or adds one of its own here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One thing to ask for; `key` is the argument of `DataModule.asked` that it fills.

    `known`: how much of an example a model must be able to be given (GenerativeModel.knows);
    "nothing": the ask is a condition.
    """

    key: str
    label: str
    known: Literal["nothing", "beginning", "any"] = "nothing"

    def words(self, answer: Any) -> dict[str, Any]:
        """The arguments of `DataModule.asked` that an answer stands for; none where it is empty."""
        return {} if answer in (None, "") else {self.key: answer}


@dataclass(frozen=True, kw_only=True)
class Choice(Ask):
    """One of a few names."""

    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Line(Ask):
    """A text. `value` stands in it at first; with `blank` an empty text is an answer too."""

    value: str = ""
    example: str = ""
    blank: bool = False

    def words(self, answer: str | None) -> dict[str, Any]:
        return {self.key: answer or ""} if self.blank else super().words(answer)


@dataclass(frozen=True, kw_only=True)
class Painted(Ask):
    """A picture of `shape` [C, H, W], part of which is painted over: that part is drawn anew."""

    shape: tuple[int, ...]
    known: Literal["nothing", "beginning", "any"] = "any"

    def words(self, answer: tuple[str, str] | None) -> dict[str, Any]:
        """The files of the picture and of its mask, white where the picture is kept."""
        return {} if answer is None else {"given": answer[0], "mask": answer[1]}


@dataclass(frozen=True, kw_only=True)
class Row(Ask):
    """Cells by name; those left blank are drawn. `listed`: they are given by place, not by name."""

    names: tuple[str, ...]
    listed: bool = False
    known: Literal["nothing", "beginning", "any"] = "any"

    def words(self, answer: Sequence[Any] | None) -> dict[str, Any]:
        cells = [None if c is None or str(c).strip() == "" else str(c) for c in answer or ()]
        if all(c is None for c in cells):
            return {}
        named = {n: c for n, c in zip(self.names, cells) if c is not None}
        return {self.key: json.dumps(cells if self.listed else named, ensure_ascii=False)}
