"""Points in the plane: a scatter plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import View, log_picture


class Scatter(View):
    """Points [2] in one picture; the laws have unit variance."""

    suffix = ".png"
    most = measured = 10_000

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        save_points(np.asarray(items), path)

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)


def save_points(points: np.ndarray, path: Path, real: np.ndarray | None = None) -> None:
    """A scatter plot of points [N, 2], over held-out points where given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    if real is not None:
        axes.scatter(real[:, 0], real[:, 1], s=2, c="#c9c9c9", linewidths=0)
    axes.scatter(points[:, 0], points[:, 1], s=6, c="#1f6feb", alpha=0.7, linewidths=0)
    limit = 2.2
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    axes.axis("off")
    figure.savefig(path)
