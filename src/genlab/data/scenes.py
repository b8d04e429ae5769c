"""Scenes of one to three coloured shapes in 32x32 pixels: what there is, and how it is drawn.

Read: a `Thing` is one shape; COLOURS, SHAPES and SIZES are all there is. `draw` pastes templates;
scene_reader.py looks for the same templates, so that it is right on every drawn picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 32
BACKGROUND = (24, 24, 32)
COLOURS = {  # RGB
    "red": (230, 60, 60),
    "green": (70, 190, 90),
    "blue": (70, 110, 240),
    "yellow": (250, 210, 70),
    "purple": (200, 60, 200),
    "white": (240, 240, 240),
}
SHAPES = ("circle", "square", "triangle", "cross")
SIZES = {"small": 8, "large": 12}  # pixels a side of the square around a shape
COLOUR_NAMES = tuple(COLOURS)
FORMS = tuple((shape, size) for shape in SHAPES for size in SIZES)  # what a template is of
SIDES = torch.tensor([SIZES[size] for _, size in FORMS])


class Thing(NamedTuple):
    """One shape in a scene; `x` to the right and `y` down are its middle, in pixels."""

    shape: str
    colour: str
    size: str
    x: float
    y: float


Scene = tuple[Thing, ...]


def template(shape: str, side: int, *, fine: int = 8) -> Tensor:
    """How much of each pixel the shape covers [side, side], by `fine` x `fine` points in each."""
    at = (torch.arange(side * fine) + 0.5) / (side * fine)  # 0 .. 1 across the square
    y, x = torch.meshgrid(at, at, indexing="ij")
    inside = {
        "circle": (x - 0.5) ** 2 + (y - 0.5) ** 2 <= 0.25,
        "square": torch.ones_like(x, dtype=torch.bool),
        "triangle": (x - 0.5).abs() <= y / 2,
        "cross": ((x - 0.5).abs() <= 1 / 6) | ((y - 0.5).abs() <= 1 / 6),
    }[shape]
    return F.avg_pool2d(inside.float()[None], fine)[0]


# Each template in the upper left of a window, with a ring of background around it.
WINDOW = max(SIZES.values()) + 2
WINDOWS = torch.stack(
    [
        F.pad(template(shape, side), (1, WINDOW - 1 - side, 1, WINDOW - 1 - side))
        for (shape, _), side in zip(FORMS, SIDES.tolist(), strict=True)
    ]
)  # [8, WINDOW, WINDOW]
BACK = torch.tensor(BACKGROUND, dtype=torch.float32)
TINTS = torch.tensor(list(COLOURS.values()), dtype=torch.float32) - BACK  # [C, 3]


def draw(form: Tensor, colour: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Pictures uint8 [B, 3, 32, 32] of up to K things each; every argument is int64 [B, K].

    `form` numbers FORMS, and -1 is no thing; `colour` numbers COLOURS; the upper left corner of the
    square around a thing is in pixels.
    """
    line = torch.arange(SIDE)
    rows = (line - top[..., None]).clamp(-1, WINDOW - 2) + 1  # [B, K, 32]: where in the window
    columns = (line - left[..., None]).clamp(-1, WINDOW - 2) + 1
    cover = WINDOWS[form.clamp(min=0)[..., None, None], rows[..., None], columns[..., None, :]]
    tint = TINTS[colour] * (form >= 0)[..., None]  # [B, K, 3]
    picture = torch.einsum("bkhw,bkc->bchw", cover, tint) + BACK[:, None, None]
    return picture.round_().to(torch.uint8)


def drawn(scenes: Sequence[Scene]) -> Tensor:
    """Pictures uint8 [B, 3, 32, 32] of scenes."""
    numbers = torch.full((4, len(scenes), max(1, *(len(s) for s in scenes))), -1)
    for i, scene in enumerate(scenes):
        for k, thing in enumerate(scene):
            half = SIZES[thing.size] / 2
            form = FORMS.index((thing.shape, thing.size))
            corner = round(thing.y - half), round(thing.x - half)
            numbers[:, i, k] = torch.tensor([form, COLOUR_NAMES.index(thing.colour), *corner])
    return draw(*numbers)


def things(form: Tensor, colour: Tensor, top: Tensor, left: Tensor) -> list[Scene]:
    """The scenes that `draw` draws of the same numbers."""
    half = (SIDES[form.clamp(min=0)] / 2).tolist()
    rows = zip(form.tolist(), colour.tolist(), top.tolist(), left.tolist(), half, strict=True)
    return [
        tuple(
            Thing(FORMS[f][0], COLOUR_NAMES[c], FORMS[f][1], x + h, y + h)
            for f, c, y, x, h in zip(*row, strict=True)
            if f >= 0
        )
        for row in rows
    ]
