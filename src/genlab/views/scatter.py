"""Points in the plane: a scatter plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import NEAREST, View, log_picture

COLOURS = ("#1f6feb", "#d0702a", "#2f9470", "#b8569c", "#8a7a2e", "#6f6bd1", "#c4524e", "#4f8a99")
LIMIT = 2.2  # the laws have unit variance
FIRST = "#9a9a9a"  # the first of a pair


class Scatter(View):
    """Points [2] in one picture, a colour for each of a few classes."""

    suffix = ".png"
    most = measured = 10_000
    few = 500
    paired = 200
    lines = (8, 25)

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        save_points(np.asarray(items), path, captions=captions)

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
        save_ways(ways[: self.paired], path, names=names, ends=True)
        return True

    def rows(
        self,
        items: Sequence[np.ndarray],
        columns: int,
        path: Path,
        *,
        names: Sequence[str] | None = None,
    ) -> bool:
        """A way through the plane for each row; it begins at the ring and ends at the dot."""
        save_ways(np.asarray(items).reshape(-1, columns, 2), path, names=names)
        return True

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)


def save_points(
    points: np.ndarray,
    path: Path,
    real: np.ndarray | None = None,
    captions: Sequence[str] | None = None,
) -> None:
    """A scatter plot of points [N, 2], over held-out points where given."""
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(
            f"points of shape {list(points.shape)} cannot be drawn in the plane: [N, 2]"
        )
    figure, axes = plane()
    if real is not None:
        axes.scatter(real[:, 0], real[:, 1], s=2, c="#c9c9c9", linewidths=0)
    size = 6 if len(points) > 200 else 14
    names = sorted(set(captions or ()))
    for i, name in enumerate(names if len(names) <= len(COLOURS) else ()):
        some = points[np.array([c == name for c in captions])]
        style = {"c": COLOURS[i], "alpha": 0.7, "linewidths": 0, "label": name}
        axes.scatter(some[:, 0], some[:, 1], s=size, **style)
    if axes.get_legend_handles_labels()[1]:
        legend(axes)
    else:
        axes.scatter(points[:, 0], points[:, 1], s=size, c=COLOURS[0], alpha=0.7, linewidths=0)
    figure.savefig(path)


def save_ways(
    ways: np.ndarray, path: Path, names: Sequence[str] | None = None, *, ends: bool = False
) -> None:
    """Ways through the plane [N, steps, 2], a colour each; or their two `ends`, a colour each."""
    figure, axes = plane()
    if ends:
        axes.plot(*ways.transpose(2, 1, 0), c=FIRST, lw=0.6)
        for i, colour in ((0, FIRST), (-1, COLOURS[0])):
            axes.scatter(*ways[:, i].T, s=14, c=colour, linewidths=0, label=names and names[i])
    for i, way in enumerate(() if ends else ways):
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(*way.T, c=colour, lw=1.2, label=names and names[i])
        axes.scatter(*way[0], s=24, facecolors="none", edgecolors=colour, linewidths=1.2)
        axes.scatter(*way[-1], s=24, c=colour, linewidths=0)
    if names:
        legend(axes)
    figure.savefig(path)


def plane() -> tuple[Any, Any]:
    """A figure, and axes that fill it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal")
    axes.axis("off")
    return figure, axes


def legend(axes: Any) -> None:
    axes.legend(loc="upper right", fontsize=7, frameon=False, handletextpad=0.1)
