"""Pictures with what was asked for under each: a contact sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import ImageFont

from genlab.views.grid import Grid, grid

WIDTH = 128  # of a picture on the sheet, in pixels
LINE = 12  # a line's height
PAPER, INK = 250, 40  # grey levels
MARGIN = 8


class Sheet(Grid):
    """Images [H, W, C] uint8 in rows, their captions below them; without captions a plain grid."""

    most = measured = 48

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        if captions is None:
            super().write(items, path)
        else:
            save_sheet(items, captions, path)


def save_sheet(images: Sequence[np.ndarray], captions: Sequence[str], path: Path) -> None:
    """Write the images, enlarged by a whole number, six or more to a row."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=10)
    tiles = [tile(image) for image in images]
    height, width = tiles[0].shape[:2]
    texts = [wrapped(caption, width, font) for caption in captions]
    room = LINE * max(map(len, texts), default=0) + 4
    columns = min(len(tiles), max(6, math.isqrt(2 * len(tiles))))
    rows = math.ceil(len(tiles) / columns)
    size = (columns * (width + MARGIN) + MARGIN, rows * (height + room + MARGIN) + MARGIN)
    sheet = Image.new("RGB", size, (PAPER,) * 3)
    pen = ImageDraw.Draw(sheet)
    for i, (picture, lines) in enumerate(zip(tiles, texts, strict=True)):
        left = MARGIN + i % columns * (width + MARGIN)
        top = MARGIN + i // columns * (height + room + MARGIN)
        sheet.paste(Image.fromarray(picture), (left, top))
        for k, line in enumerate(lines):
            pen.text((left, top + height + 2 + k * LINE), line, fill=(INK,) * 3, font=font)
    sheet.save(path, optimize=True)


def wrapped(caption: str, width: int, font: ImageFont.ImageFont) -> list[str]:
    """The caption in lines of at most `width` pixels; a word that is longer is cut."""
    lines: list[str] = []
    for word in caption.split():
        while len(word) > 2 and font.getlength(word) > width:
            word = word.removesuffix("…")[:-1] + "…"
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def tile(image: np.ndarray) -> np.ndarray:
    """An image [H, W, 1 or 3] as RGB, enlarged to about WIDTH."""
    large = grid([image], columns=1, scale=max(1, WIDTH // max(image.shape[:2])))
    return np.repeat(large, 3, 2) if large.shape[2] == 1 else large
