"""Points in the plane: a scatter plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import View, log_picture

COLOURS = ("#1f6feb", "#d0702a", "#2f9470", "#b8569c", "#8a7a2e", "#6f6bd1", "#c4524e", "#4f8a99")
LIMIT = 2.2  # the laws have unit variance


class Scatter(View):
    """Points [2] in one picture, a colour for each of a few classes."""

    suffix = ".png"
    most = measured = 10_000
    few = 500

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        save_points(np.asarray(items), path, captions=captions)

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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    if real is not None:
        axes.scatter(real[:, 0], real[:, 1], s=2, c="#c9c9c9", linewidths=0)
    size = 6 if len(points) > 200 else 14
    names = sorted(set(captions or ()))
    for i, name in enumerate(names if len(names) <= len(COLOURS) else ()):
        some = points[np.array([c == name for c in captions])]
        style = {"c": COLOURS[i], "alpha": 0.7, "linewidths": 0, "label": name}
        axes.scatter(some[:, 0], some[:, 1], s=size, **style)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper right", fontsize=7, frameon=False, handletextpad=0.1)
    else:
        axes.scatter(points[:, 0], points[:, 1], s=size, c=COLOURS[0], alpha=0.7, linewidths=0)
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal")
    axes.axis("off")
    figure.savefig(path)
