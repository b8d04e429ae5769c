"""Points of any dimension: their coordinates against one another, and a csv of all."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import NEAREST, View, log_picture
from genlab.views.scatter import COLOURS, FIRST

MOST = 4  # coordinates that are drawn, each against each: the csv has all
DRAWN = 5000  # points in the picture


class Coordinates(View):
    """Points [D]: stem.png to look at, stem.csv with the numbers."""

    suffix = ".png"
    most = measured = 100_000
    few = 500
    paired = 200
    lines = (8, 25)
    beside = {".csv": "as rows"}

    def __init__(self, names: Sequence[str] = ()) -> None:
        """`names` of the coordinates."""
        self.names = list(names)

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        points = np.asarray(items).reshape(len(items), -1)
        names = self.coordinates(points)
        with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as f:
            writer = csv.writer(f)
            writer.writerow(names)
            writer.writerows(points.tolist())
        draw(points[:DRAWN], names, path)

    def pairs(
        self,
        mine: Sequence[np.ndarray],
        theirs: Sequence[np.ndarray],
        path: Path,
        *,
        names: tuple[str, str] = NEAREST,
    ) -> bool:
        """A line from each point to its other."""
        ways = np.stack([np.asarray(mine), np.asarray(theirs[: len(mine)])], 1)
        draw_ways(ways[: self.paired], self.coordinates(ways[0]), path, names=names, ends=True)
        return True

    def rows(
        self,
        items: Sequence[np.ndarray],
        columns: int,
        path: Path,
        *,
        names: Sequence[str] | None = None,
    ) -> bool:
        """A way for each row; it begins at the ring and ends at the dot."""
        points = np.asarray(items).reshape(len(items), -1)
        ways = points.reshape(-1, columns, points.shape[1])
        draw_ways(ways, self.coordinates(points), path, names=names)
        return True

    def coordinates(self, points: np.ndarray) -> list[str]:
        """What the coordinates of points [N, D] are called."""
        return self.names or [f"x{i}" for i in range(points.shape[1])]

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)


def draw(points: np.ndarray, names: Sequence[str], path: Path) -> None:
    """A histogram of points [N, 1]; of more coordinates a panel for each pair of the first MOST."""
    figure, panels = panels_of(names)
    for axes, a, b in panels:
        if b is None:
            axes.hist(points[:, a], bins=60, color=COLOURS[0])
        else:
            axes.scatter(points[:, a], points[:, b], s=3, c=COLOURS[0], alpha=0.6, linewidths=0)
    figure.savefig(path)


def draw_ways(
    ways: np.ndarray,
    coordinates: Sequence[str],
    path: Path,
    *,
    names: Sequence[str] | None = None,
    ends: bool = False,
) -> None:
    """Ways [N, steps, D], a colour each, in the panels of `draw`; or their two `ends`, a colour
    each. Of one coordinate: from step to step."""
    figure, panels = panels_of(coordinates)
    for axes, a, b in panels:
        steps = np.broadcast_to(np.arange(ways.shape[1]), ways.shape[:2])
        x, y = (steps, ways[..., a]) if b is None else (ways[..., a], ways[..., b])
        if ends:
            axes.plot(x.T, y.T, c=FIRST, lw=0.6)
            for i, colour in ((0, FIRST), (-1, COLOURS[0])):
                axes.scatter(x[:, i], y[:, i], s=10, c=colour, label=names and names[i])
        for i in range(0 if ends else len(ways)):
            colour = COLOURS[i % len(COLOURS)]
            axes.plot(x[i], y[i], c=colour, lw=1.2, label=names and names[i])
            axes.scatter(x[i, 0], y[i, 0], s=20, facecolors="none", edgecolors=colour)
            axes.scatter(x[i, -1], y[i, -1], s=20, c=colour)
    if names:
        panels[0][0].legend(fontsize=6, frameon=False)
    figure.savefig(path)


def panels_of(names: Sequence[str]) -> tuple[Any, list[tuple[Any, int, int | None]]]:
    """A figure, and axes for each pair (a, b) of the first MOST coordinates; (0, None) of one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pairs = [*combinations(range(min(MOST, len(names))), 2)] or [(0, None)]
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = Figure(figsize=(3 * columns, 3 * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = []
    for i, (a, b) in enumerate(pairs, 1):
        axes = figure.add_subplot(rows, columns, i)
        if b is not None:
            axes.set_ylabel(names[b][:20], fontsize=7, parse_math=False)
        axes.set_xlabel(names[a][:20], fontsize=7, parse_math=False)
        axes.tick_params(labelsize=6)
        panels.append((axes, a, b))
    return figure, panels
