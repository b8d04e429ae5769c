"""Texts: one file, a rule between them; a mark stands where a sample goes on from a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.views.base import NEAREST, View

RULE = "\n\n-----\n\n"
MARK = "▸"  # after it the model wrote


class Texts(View):
    """Strings in one UTF-8 file."""

    suffix = ".txt"
    few = 2
    grows = True

    def write(
        self, items: Sequence[str], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        named = [_marked(t, c) for c, t in zip(captions, items)] if captions else items
        path.write_text(RULE.join(named), encoding="utf-8")

    def pairs(
        self,
        mine: Sequence[str],
        theirs: Sequence[str],
        path: Path,
        *,
        names: tuple[str, str] = NEAREST,
    ) -> bool:
        wide = max(map(len, names)) + 1
        heads = [f"{name}:".ljust(wide) for name in names]
        pairs = (f"{heads[0]} {s}\n{heads[1]} {t}" for s, t in zip(mine, theirs))
        path.write_text(RULE.join(pairs), encoding="utf-8")
        return True

    def spoken(self, items: Sequence[str]) -> str:
        return items[0]

    def log(self, logger: Any, name: str, items: Sequence[str], path: Path, *, step: int) -> None:
        if hasattr(logger, "log_text"):
            rows = [[i, text] for i, text in enumerate(items[:16])]
            logger.log_text(name, columns=["index", "text"], data=rows, step=step)


def _marked(text: str, asked: str) -> str:
    """A text and what it was asked for: its beginning, or some words on it."""
    if asked and text.startswith(asked):
        return f"{asked}{MARK}{text[len(asked) :]}"
    return f"[{asked}]\n{text}"
