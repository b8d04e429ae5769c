"""Pictures: a grid of images, with what each was asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import NEAREST, View, log_picture

CELL, NAMED_CELL = 40, 56  # pixels that a small image is enlarged to, with a name more
LETTERS, MOST_COLUMNS = 11, 16  # size of a name in pixels; classes side by side


class Grid(View):
    """Images [H, W, C] uint8 side by side in one PNG.

    Captions that come in turn (all classes, again and again) make columns, with the name above
    each; others stand above each image.
    """

    suffix = ".png"

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        save_grid(items, path, captions=captions)

    def pairs(
        self,
        mine: Sequence[np.ndarray],
        theirs: Sequence[np.ndarray],
        path: Path,
        *,
        names: tuple[str, str] = NEAREST,
    ) -> bool:
        save_grid([image for pair in zip(mine, theirs) for image in pair], path, columns=8)
        return True

    def rows(
        self,
        items: Sequence[np.ndarray],
        columns: int,
        path: Path,
        *,
        names: Sequence[str] | None = None,
    ) -> bool:
        save_picture(lined(items, columns, names), path)
        return True

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)


def grid(
    images: Sequence[np.ndarray],
    *,
    columns: int | None = None,
    scale: int | None = None,
    captions: Sequence[str] | None = None,
) -> np.ndarray:
    """Images [H, W, C] uint8 side by side, a pixel between them, small ones enlarged."""
    turn = period(captions) if captions else 0
    side = math.ceil(math.sqrt(len(images)))
    if turn:  # so many times side by side as make it about as wide as high
        side = turn * max(1, round(side / turn))
    columns = columns or side
    height, width, channels = images[0].shape
    scale = scale or max(1, (NAMED_CELL if captions else CELL) // max(height, width))
    rows = math.ceil(len(images) / columns)
    wide = columns * (width + 1) - 1
    empty = np.full((height, wide, channels), 128, np.uint8)
    sheet = []
    for r in range(rows):
        line, first = empty.copy(), r * columns
        for i, image in enumerate(images[first : first + columns]):
            line[:, i * (width + 1) : i * (width + 1) + width] = image
        line = np.repeat(np.repeat(line, scale, 0), scale, 1)
        if captions and (r == 0 or not turn):
            sheet.append(names(captions[first : first + columns], (width + 1) * scale, line.shape))
        sheet += [line, np.full((scale, *line.shape[1:]), 128, np.uint8)]
    return np.concatenate(sheet[:-1])


def lined(
    images: Sequence[np.ndarray], columns: int, heads: Sequence[str] | None = None
) -> np.ndarray:
    """Rows of so many images, each with its head above it where there are heads."""
    if not heads:
        return grid(images, columns=columns)
    scale, rows = max(1, NAMED_CELL // max(images[0].shape[:2])), []
    for i, head in enumerate(heads):
        line = grid(images[i * columns : (i + 1) * columns], columns=columns, scale=scale)
        rows += [names([head], line.shape[1], line.shape), line]
    return np.concatenate(rows)


def period(captions: Sequence[str]) -> int:
    """After how many captions they begin again, in the same order throughout; 0: they do not."""
    size = len(set(captions))
    if size > MOST_COLUMNS or len(captions) <= size:
        return 0
    return size if all(c == captions[i % size] for i, c in enumerate(captions)) else 0


def names(captions: Sequence[str], step: int, shape: tuple[int, ...]) -> np.ndarray:
    """A strip of names, one every `step` pixels, as wide as a line of images of that shape."""
    from PIL import Image, ImageDraw, ImageFont

    strip = Image.new("L", (shape[1], LETTERS + 5), 255)
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(LETTERS)
    for i, caption in enumerate(captions):
        text = " ".join(caption[:1000].split())[:step]  # a letter takes a pixel at least
        while text and draw.textlength(text, font=font) > step - 2:
            text = text.removesuffix("…")[:-1] + "…" if len(text) > 2 else ""
        draw.text((i * step + 1, 1), text, fill=40, font=font)
    return np.repeat(np.asarray(strip)[..., None], shape[2], 2)


def save_grid(
    images: Sequence[np.ndarray],
    path: Path,
    *,
    columns: int | None = None,
    captions: Sequence[str] | None = None,
) -> None:
    save_picture(grid(images, columns=columns, captions=captions), path)


def save_picture(sheet: np.ndarray, path: Path) -> None:
    """Write pixels [H, W, C] uint8."""
    from PIL import Image

    Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(path, optimize=True)
