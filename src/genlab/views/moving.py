"""Clips: a strip of their frames, and a GIF in which they move.

Read: `Moving.write` is the two files. A strip says what a still can (a row a clip, time from left
to right); the GIF shows the same clips side by side, again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genlab.views.base import NEAREST, View, log_picture
from genlab.views.grid import grid, lined, save_picture
from genlab.views.grid import names as lettered

ROWS, ACROSS = 12, 16  # clips and frames in the strip
CELL, WIDE = 64, 960  # pixels that a small frame is enlarged to; a strip's width where it can be
PLAYED = 96  # pixels that a small frame of the GIF is enlarged to
GAP = 1  # pixels between frames, before they are enlarged, and how grey they are
BETWEEN, BELOW = 200, 6


class Moving(View):
    """Clips [T, H, W, C] uint8: stem.png shows the frames of the first, stem.gif moves."""

    suffix = ".png"
    most = measured = 20
    few = 8
    paired = ROWS // 2
    lines = (5, 7)
    beside = {".gif": "to play"}

    def __init__(self, *, fps: float) -> None:
        self.fps = fps

    def write(
        self, items: Sequence[np.ndarray], path: Path, captions: Sequence[str] | None = None
    ) -> None:
        told = [f"{i} · {c}" for i, c in enumerate(captions, 1)] if captions else None
        strip(items[:ROWS], path, names=told)
        animation(items, path.with_suffix(".gif"), fps=self.fps, captions=captions)

    def pairs(
        self,
        mine: Sequence[np.ndarray],
        theirs: Sequence[np.ndarray],
        path: Path,
        *,
        names: tuple[str, str] = NEAREST,
    ) -> bool:
        """Each clip above its other."""
        pairs = list(zip(mine, theirs))[: self.paired]
        items = [clip for pair in pairs for clip in pair]
        told = [f"{i} {what}" for i in range(1, len(pairs) + 1) for what in names]
        strip(items, path, names=told)
        animation(items, path.with_suffix(".gif"), fps=self.fps, columns=2)
        return True

    def rows(
        self,
        items: Sequence[np.ndarray],
        columns: int,
        path: Path,
        *,
        names: Sequence[str] | None = None,
    ) -> bool:
        """The middle frames to look at; the GIF moves."""
        save_picture(lined([item[len(item) // 2] for item in items], columns, names), path)
        animation(items, path.with_suffix(".gif"), fps=self.fps, columns=columns)
        return True

    def log(
        self, logger: Any, name: str, items: Sequence[np.ndarray], path: Path, *, step: int
    ) -> None:
        log_picture(logger, name, path, step=step)
        moving = path.with_suffix(".gif")
        if hasattr(logger, "log_video") and moving.is_file():
            logger.log_video(f"{name}/moving", [str(moving)], step=step, format=["gif"])


def strip(items: Sequence[np.ndarray], path: Path, *, names: Sequence[str] | None = None) -> None:
    """A row a clip, its frames (of many, some evenly) from left to right, its name above it."""
    rows = [sheet(item, names[i] if names else "") for i, item in enumerate(items)]
    save_picture(np.concatenate(rows)[:-BELOW], path)


def sheet(item: np.ndarray, name: str) -> np.ndarray:
    """One clip [T, H, W, C] as a row of pixels, with a gap below."""
    num, height, width, channels = item.shape
    shown = [round(i) for i in np.linspace(0, num - 1, min(num, ACROSS))]
    scale = max(1, min(CELL // max(height, width), WIDE // (len(shown) * (width + GAP))))
    line = np.full((height, len(shown) * (width + GAP) - GAP, channels), BETWEEN, np.uint8)
    for at, i in enumerate(shown):
        line[:, at * (width + GAP) : at * (width + GAP) + width] = item[i]
    line = line.repeat(scale, 0).repeat(scale, 1)
    above = [lettered([name], line.shape[1], line.shape)] if name else []
    return np.concatenate([*above, line, np.full((BELOW, *line.shape[1:]), 255, np.uint8)])


def animation(
    items: Sequence[np.ndarray],
    path: Path,
    *,
    fps: float,
    captions: Sequence[str] | None = None,
    columns: int | None = None,
) -> None:
    """The clips side by side as one GIF that repeats; a shorter one's last frame stands.

    A GIF has 256 colours: they are found in all frames together, so that none flickers.
    """
    from PIL import Image

    num = max(len(item) for item in items)
    scale = max(1, PLAYED // max(items[0].shape[1:3]))
    frames = []
    for t in range(num):
        still = [item[min(t, len(item) - 1)] for item in items]
        whole = grid(still, columns=columns, scale=scale, captions=captions)
        frames.append(Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole))
    if frames[0].mode == "RGB":
        few = [i[t].reshape(-1, 1, 3) for i in items for t in range(0, len(i), 1 + len(i) // 4)]
        lines = np.full((1 + sum(map(len, few)) // 20, 1, 3), 128, np.uint8)  # the grid's own grey
        colours = Image.fromarray(np.concatenate([*few, lines, lines // 8, 255 - lines // 8]))
        palette = colours.quantize(256)
        frames = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    frames[0].save(
        path, format="GIF", save_all=True, append_images=frames[1:], loop=0,
        duration=max(20, round(1000 / fps)), disposal=1,
    )  # fmt: skip
