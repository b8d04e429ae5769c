"""A row: one published number, the recipe that should reach it, and how near is the same.

Read: conf/paper/*.yaml are the rows, `Row` is what one must say. A recipe is words of `genlab
train`, the paper's own way of measuring is words of `genlab evaluate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from genlab.metrics.figures import better
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.settings.conf import conf_dir, options

FAST = 10  # minutes, all seeds together: what `make reproduce-fast` re-runs


@dataclass(frozen=True)
class Claim:
    """A figure as it was published; `within` is how near is the same, said before anything ran."""

    figure: str
    value: float
    within: float
    spread: float | None = None

    @property
    def text(self) -> str:
        return f"{self.value:g}" + (f" ± {self.spread:g}" if self.spread is not None else "")

    def written(self, value: float) -> str:
        """A value of the figure to one digit more than the tolerance needs."""
        return f"{value:.{max(0, 1 - math.floor(math.log10(self.within)))}f}"


@dataclass(frozen=True)
class Row:
    """One published number (or a few of one model), as conf/paper/NAME.yaml states it."""

    name: str
    title: str
    paper: str
    place: str  # in the paper: its table and row
    family: str
    kind: str
    claims: tuple[Claim, ...]
    train: tuple[str, ...]
    evaluate: tuple[str, ...]
    seeds: int
    minutes: float | None  # on two cores, all seeds; null: not measured yet
    protocol: str  # how the paper measures, in words
    unsaid: str = ""  # what it leaves open, and what was taken here
    differs: str = ""  # what is otherwise here, with the whole of the paper's training
    shortened: str = ""  # what is less here than in the paper

    @property
    def fast(self) -> bool:
        return self.minutes is not None and self.minutes <= FAST


def names() -> list[str]:
    return sorted(options("paper"))


def read_row(name: str) -> Row:
    if name not in (known := names()):
        raise UserError(f"{name}: there is no such row{nearest(name, known)}; see genlab reproduce")
    return row_of(conf_dir() / "paper" / f"{name}.yaml", options("paper")[name])


def row_of(file: Path, title: str) -> Row:
    """The row that a file states; a mistake in it names the file and the key."""
    node = yaml.safe_load(file.read_text(encoding="utf-8"))
    claimed = node.pop("claimed")
    texts = {k: " ".join(v.split()) if isinstance(v, str) else v for k, v in node.items()}
    lists = {k: tuple(texts.pop(k)) for k in ("train", "evaluate")}
    try:
        claims = tuple(_claim(k, v) for k, v in claimed.items())
        return Row(name=file.stem, title=title, claims=claims, **lists, **texts)
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{file}: {error}") from error


def _claim(figure: str, node: dict[str, Any]) -> Claim:
    if not better(figure) and figure != "val/loss":
        raise ValueError(f"claimed.{figure}: metrics/figures.py does not say which way is better")
    return Claim(figure, **{k: float(v) for k, v in node.items() if v is not None})
