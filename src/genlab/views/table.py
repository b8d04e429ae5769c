"""Tables: a csv of the rows, and a picture of their columns beside the training data's."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from genlab.views.base import NEAREST, View, log_picture, log_rows

Row = Mapping[str, Any]
SHOWN, BARS, BINS, LETTERS = 12, 8, 24, 14  # rows in the sheet, bars, bins, letters of a cell
PANELS = 30  # columns in the picture: the csv has all
LOGGED = 100  # rows that a dashboard is given
MINE, REAL = "#1f6feb", "#b9b9b9"


class Column(Protocol):
    """What a table says of a column."""

    name: str
    kind: str

    def typical(self, num: int) -> list[Any]: ...


class Sheet(View):
    """Rows, each a value by its column's name: stem.png to look at, stem.csv with all of them."""

    suffix = ".png"
    most = measured = 100_000
    beside = {".csv": "as rows"}
    paired = SHOWN
    lines = (6, 5)

    def __init__(self, columns: Sequence[Column] = (), *, asked: str = "asked") -> None:
        """`columns` know how the training data is spread, which is drawn in grey.

        `asked`: the name of the column that says what each row was asked for.
        """
        self.columns, self.asked = list(columns), asked

    def write(
        self, items: Sequence[Row], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        save_csv(items, path.with_suffix(".csv"), captions, asked=self.asked)
        self.draw(items, path)

    def pairs(
        self,
        mine: Sequence[Row],
        theirs: Sequence[Row],
        path: Path,
        *,
        names: tuple[str, str] = NEAREST,
    ) -> bool:
        lines = []
        for pair in zip(mine[: self.paired], theirs):
            lines += [[name, *map(_short, row.values())] for name, row in zip(names, pair)]
        head = ["", *map(_short, mine[0])]
        _picture_of_lines([head, *lines], path, every=2)
        return True

    def rows(
        self,
        items: Sequence[Row],
        columns: int,
        path: Path,
        *,
        names: Sequence[str] | None = None,
    ) -> bool:
        """Each row's items below one another, its name before the first."""
        lines = [["", *cells] for cells in sheet(items)]
        for row, name in enumerate(names or ()):
            lines[row * columns][0] = name
        _picture_of_lines([["", *map(_short, items[0])], *lines], path, every=columns)
        return True

    def log(self, logger: Any, name: str, items: Sequence[Row], path: Path, *, step: int) -> None:
        log_picture(logger, name, path, step=step)
        rows = [list(row.values()) for row in items[:LOGGED]]
        log_rows(logger, f"{name}/rows", [*items[0]], rows, step=step)

    def spoken(self, items: Sequence[Row]) -> str:
        return aligned([list(map(_short, items[0])), *sheet(items[:5])])

    def draw(self, items: Sequence[Row], path: Path) -> None:
        """A panel a column, then the first rows."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        names, by_name = list(items[0])[:PANELS], {c.name: c for c in self.columns}
        across = min(5, len(names))
        down = -(-len(names) // across)
        first = [{n: r[n] for n in names} for r in items[:SHOWN]]
        text = aligned([list(map(_short, names)), *sheet(first)])
        if more := len(items[0]) - len(names):
            text += f"\n{more} more columns: {path.with_suffix('.csv').name}"
        width, panels = 2.4 * across, 1.75 * down  # inches
        letters = max(map(len, text.splitlines()))
        size = min(8.0, 72 * 0.97 * width / (0.61 * letters))  # points; a letter is 0.6 wide
        height = panels + (text.count("\n") + 2) * 1.25 * size / 72
        figure = Figure(figsize=(width, height), dpi=100)
        FigureCanvasAgg(figure)
        row = 1.75 / height
        for i, name in enumerate(names):
            left, top = (i % across) / across, 1 - row * (i // across)
            axes = figure.add_axes(
                (left + 0.12 / across, top - 0.8 * row, 0.83 / across, 0.64 * row)
            )
            axes.set_title(_short(name, 26), fontsize=8, loc="left", pad=2, parse_math=False)
            real = by_name[name].typical(1000) if name in by_name else []
            panel(axes, [r[name] for r in items], real)
        if self.columns:  # which is which
            for at, (words, colour) in enumerate((("training rows", REAL), ("here", MINE))):
                figure.text(0.01 + 1.2 * at / width, 1 - 0.1 / height, "■ " + words, color=colour,
                            va="center", fontsize=7)  # fmt: skip
        figure.text(
            0.01, 1 - panels / height, text, family="monospace", va="top", fontsize=size,
            linespacing=1.25, parse_math=False,
        )  # fmt: skip
        figure.savefig(path)


def panel(axes: Any, mine: Sequence[Any], real: Sequence[Any]) -> None:
    """The samples' values of a column, over the training data's in grey."""
    axes.tick_params(labelsize=6, length=2, pad=1)
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    if all(isinstance(v, int | float) or v is None for v in (*mine, *real)) and any(
        v is not None for v in mine
    ):
        both = [np.array([v for v in values if v is not None], float) for values in (real, mine)]
        edges = np.histogram_bin_edges(np.concatenate(both), bins=BINS)
        for values, colour, style in zip(both, (REAL, MINE), ("stepfilled", "step")):
            if len(values):
                weights = np.full(len(values), 1 / len(values))
                axes.hist(values, edges, weights=weights, color=colour, histtype=style, lw=1.2)
        axes.locator_params(axis="x", nbins=4)
        axes.xaxis.get_offset_text().set_fontsize(6)
        return
    shares = [{v: values.count(v) / max(1, len(values)) for v in set(values)}
              for values in (list(real), list(mine))]  # fmt: skip
    names = sorted(set().union(*shares), key=lambda v: -max(s.get(v, 0) for s in shares))[:BARS]
    for at, (share, colour) in enumerate(zip(shares, (REAL, MINE))):
        axes.bar(
            np.arange(len(names)) + 0.4 * at - 0.2, [share.get(v, 0) for v in names],
            width=0.4, color=colour,
        )  # fmt: skip
    axes.set_xticks(range(len(names)), [_short(v, 9) for v in names], rotation=35, ha="right",
                    parse_math=False)  # fmt: skip


def sheet(items: Sequence[Row]) -> list[list[str]]:
    """The cells of rows, cut to be read in a line."""
    return [[_short(v) for v in row.values()] for row in items]


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells, the columns below one another."""
    wide = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, wide)).rstrip() for line in lines)


def _short(value: Any, letters: int = LETTERS) -> str:
    text = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _picture_of_lines(lines: Sequence[Sequence[str]], path: Path, *, every: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    text = aligned(lines).splitlines()
    spaced = "\n".join(f"\n{t}" if i % every == 1 % every else t for i, t in enumerate(text))
    num = spaced.count("\n") + 1
    figure = Figure(figsize=(0.06 * max(map(len, text)) + 0.2, 0.122 * num + 0.2), dpi=100)
    FigureCanvasAgg(figure)
    figure.text(0.01, 0.98, spaced, family="monospace", va="top", fontsize=7, parse_math=False)
    figure.savefig(path)


def save_csv(
    items: Sequence[Row],
    path: Path,
    captions: Sequence[str] | None = None,
    *,
    asked: str = "asked",
) -> None:
    """A csv file; what each row was asked for is a last column. Missing cells are empty."""
    rows = [list(row.values()) for row in items]
    names = [*items[0], *([asked] if captions else [])]
    rows = [[*row, said] for row, said in zip(rows, captions)] if captions else rows
    plain = all(str(v).isascii() for row in [names, *rows] for v in row)
    # Excel takes a file for UTF-8 only if it is marked so
    with path.open("w", encoding="utf-8" if plain else "utf-8-sig", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
