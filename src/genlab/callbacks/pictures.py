"""What people look at: grids of images, scatter plots of points, lists of texts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor


def save_samples(data: Any, x: Tensor, stem: Path, cond: Tensor | None = None) -> Path:
    """Write samples x [N, *shape] of a data module as stem.png or stem.txt; gives the path."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    shown = data.decode(x)
    if data.kind == "text":
        path = stem.with_name(stem.name + ".txt")
        path.write_text("\n\n-----\n\n".join(shown), encoding="utf-8")
        return path
    path = stem.with_name(stem.name + ".png")
    if data.kind == "image":
        save_grid(shown, path)
    else:
        save_points(np.asarray(shown), path)
    return path


def grid(images: list[np.ndarray], *, columns: int | None = None, scale: int | None = None):
    """Images [H, W, C] uint8 side by side, a pixel between them, small ones enlarged."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    height, width, channels = images[0].shape
    scale = scale or max(1, 40 // max(height, width))
    rows = math.ceil(len(images) / columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 128, np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + 1), (i % columns) * (width + 1)
        sheet[top : top + height, left : left + width] = image
    return np.repeat(np.repeat(sheet, scale, 0), scale, 1)


def save_grid(images: list[np.ndarray], path: Path, *, columns: int | None = None) -> None:
    from PIL import Image

    sheet = grid(images, columns=columns)
    Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(path, optimize=True)


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
    limit = 2.2  # the laws have unit variance
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    axes.axis("off")
    figure.savefig(path)
