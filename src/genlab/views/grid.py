"""Pictures: a grid of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import View, log_picture


class Grid(View):
    """Images [H, W, C] uint8 side by side in one PNG."""

    suffix = ".png"

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        save_grid(items, path)

    def pairs(self, mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray], path: Path) -> bool:
        save_grid([image for pair in zip(mine, theirs) for image in pair], path, columns=8)
        return True

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)


def grid(images: Sequence[np.ndarray], *, columns: int | None = None, scale: int | None = None):
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


def save_grid(images: Sequence[np.ndarray], path: Path, *, columns: int | None = None) -> None:
    from PIL import Image

    sheet = grid(images, columns=columns)
    Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(path, optimize=True)
