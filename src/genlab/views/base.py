"""A view: how a kind of data looks to people and lies on disk.

Read: `View` is what `DataModule.view` holds; grid.py, scatter.py, texts.py are one each. Looks,
`sample`, `evaluate`, the report and the dashboards call the view, and never ask for a kind of data.
A view is given items: what `data.decode(x)` gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

NEAREST = ("sample", "nearest")  # what pairs are, where nothing else is said


class View(ABC):
    """One format that people look at."""

    suffix: ClassVar[str]  # of the files, with its dot
    most: ClassVar[int] = 256  # items that one file shows
    measured: ClassVar[int] = 100  # of those that an evaluation drew
    # suffixes of what is written beside the file, and what it is for
    beside: ClassVar[Mapping[str, str]] = {}
    few: ClassVar[int] = 16  # of those that somebody asks for by hand
    paired: ClassVar[int] = 32  # pairs in a picture of pairs
    lines: ClassVar[tuple[int, int]] = (8, 9)  # in a picture of rows: rows, and items in one
    grows: ClassVar[bool] = False  # an item's beginning can be looked at

    @abstractmethod
    def write(
        self, items: Sequence[Any], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        """Write the items as one file; `captions`: what each was asked for."""

    def pairs(
        self,
        mine: Sequence[Any],
        theirs: Sequence[Any],
        path: Path,
        *,
        names: tuple[str, str] = NEAREST,
    ) -> bool:
        """Write each of `mine` beside its neighbour in `theirs`; False where that shows nothing.

        `names`: what the two of a pair are.
        """
        return False

    def rows(
        self,
        items: Sequence[Any],
        columns: int,
        path: Path,
        *,
        names: Sequence[str] | None = None,
    ) -> bool:
        """Write rows of so many items that change from the first to the last; False where that
        shows nothing. `names`: of the rows."""
        return False

    @abstractmethod
    def log(self, logger: Any, name: str, items: Sequence[Any], path: Path, *, step: int) -> None:
        """Hand the items, or the file at `path` that shows them, to a logger that takes them."""

    def spoken(self, items: Sequence[Any]) -> str:
        """What the terminal shows of the items; nothing for what it cannot show."""
        return ""

    def save(
        self, items: Sequence[Any], stem: str | Path, captions: Sequence[str] | None = None
    ) -> Path:
        """Write the first `most` items as stem + suffix; gives the path."""
        stem = Path(stem)
        stem.parent.mkdir(parents=True, exist_ok=True)
        path = stem.with_name(stem.name + self.suffix)
        self.write(items[: self.most], path, captions[: self.most] if captions else None)
        return path


def log_rows(
    logger: Any, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, step: int
) -> None:
    """Hand a table to a logger of tables: a column is of numbers, or of texts where one is."""
    if not hasattr(logger, "log_table"):
        return
    told = [list(row) for row in rows]
    for i in range(len(columns)):
        if any(not isinstance(row[i], int | float | None) for row in told):
            for row in told:
                row[i] = None if row[i] is None else str(row[i])
    logger.log_table(name, columns=list(columns), data=told, step=step)


def log_picture(logger: Any, name: str, path: Path, *, step: int) -> None:
    """Hand a picture to a logger of pictures."""
    if hasattr(logger, "log_image"):
        logger.log_image(name, [str(path)], step=step)
