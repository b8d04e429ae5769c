"""Points of any dimension: their coordinates against one another, and a csv of all."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import View, log_picture
from genlab.views.scatter import COLOURS

MOST = 4  # coordinates that are drawn, each against each: the csv has all
DRAWN = 5000  # points in the picture


class Coordinates(View):
    """Points [D]: stem.png to look at, stem.csv with the numbers."""

    suffix = ".png"
    most = measured = 100_000
    few = 500
    beside = {".csv": "as rows"}

    def __init__(self, names: Sequence[str] = ()) -> None:
        """`names` of the coordinates."""
        self.names = list(names)

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        points = np.asarray(items).reshape(len(items), -1)
        names = self.names or [f"x{i}" for i in range(points.shape[1])]
        with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as f:
            writer = csv.writer(f)
            writer.writerow(names)
            writer.writerows(points.tolist())
        draw(points[:DRAWN], names, path)

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)


def draw(points: np.ndarray, names: Sequence[str], path: Path) -> None:
    """A histogram of points [N, 1]; of more coordinates a panel for each pair of the first MOST."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pairs = [*combinations(range(min(MOST, points.shape[1])), 2)] or [(0, None)]
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = Figure(figsize=(3 * columns, 3 * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for i, (a, b) in enumerate(pairs, 1):
        axes = figure.add_subplot(rows, columns, i)
        if b is None:
            axes.hist(points[:, a], bins=60, color=COLOURS[0])
        else:
            axes.scatter(points[:, a], points[:, b], s=3, c=COLOURS[0], alpha=0.6, linewidths=0)
            axes.set_ylabel(names[b][:20], fontsize=7, parse_math=False)
        axes.set_xlabel(names[a][:20], fontsize=7, parse_math=False)
        axes.tick_params(labelsize=6)
    figure.savefig(path)
