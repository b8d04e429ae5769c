"""A watermark that is known by a picture of it: what bears it is left out, or it is covered.

Read: `Watermark`, then `likeness`. A mark is laid over a picture as (1 - a) b + a c, of opacity a
and colour c, on a ground b that is not known. What it leaves on any ground are its edges: both are
looked at through their Laplacians, squashed so that a drawing's own edges do not outweigh a faint
mark, by normalised cross-correlation (Lewis 1995), on black, grey and white grounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from genlab.curation.base import Change, Example, Leave
from genlab.curation.rules.pictures import PictureRule, grey
from genlab.data import decode

GROUNDS = (0.0, 128.0, 255.0)  # grey levels that a mark may lie on
SOFT = 16.0  # of a Laplacian: from here on an edge counts as one
FLAT = 0.1  # standard deviation of a squashed Laplacian below which there is nothing
SAME = 0.98  # correlation of two grounds' patterns that are looked for as one
MOST = 16  # marks that are covered in one picture


class Watermark(PictureRule):
    """Bears the mark of a template, anywhere, at one of its sizes."""

    def __init__(
        self, *, template: str, least: float = 0.35, scales: Sequence[float] = (1.0,),
        do: Literal["leave", "cover"] = "leave",
    ) -> None:  # fmt: skip
        """`template`: a picture of the mark, cut to it, transparent around it; `least`: its
        correlation with a picture's part, from which on it is there; `scales` of the template that
        are looked for; `cover`: the part is painted over from its sides, else left out."""
        if not Path(template).expanduser().is_file():
            raise ValueError(f"template={template}: a picture of the mark; there is no such file")
        if not 0 < least < 1 or not scales or min(scales) <= 0 or do not in ("leave", "cover"):
            raise ValueError(f"least={least} scales={list(scales)} do={do}")
        self.least, self.do = least, do
        mark = decode.layers(Path(template).expanduser())
        self.marks = [(size, patterns(scaled)) for size, scaled in sizes(mark, scales)]
        if not any(found for _, found in self.marks):
            raise ValueError(f"template={template}: it shows nothing that could be found")

    def __call__(self, example: Example) -> Leave | Change | None:
        data, worst = example.data, 0.0
        for _ in range(MOST):
            value, (y, x), (height, width) = self.find(data)
            if value < self.least:
                break
            if self.do == "leave":
                return Leave("a watermark", round(value, 3))
            data, worst = covered(data, y, x, height, width), max(worst, value)
        return Change("a watermark", round(worst, 3), data=data) if worst else None

    def find(self, picture: np.ndarray) -> tuple[float, tuple[int, int], tuple[int, int]]:
        """The likeness of the part that is likest, its place, and its size."""
        best = (0.0, (0, 0), (0, 0))
        # one more pixel around it, which a mark at the edge has on its ground
        edges = squashed(np.pad(grey(picture), 1, mode="edge"))
        for (height, width), found in self.marks:
            if height > picture.shape[0] or width > picture.shape[1]:
                continue
            for pattern in found:
                values = likeness(edges, pattern)
                at = int(values.argmax())
                if values.flat[at] > best[0]:
                    place = divmod(at, values.shape[1])
                    best = (float(values.flat[at]), place, (height, width))
        return best


def sizes(mark: np.ndarray, scales: Sequence[float]):
    """The template [H, W, 4] at each scale, with its size."""
    from PIL import Image

    for scale in scales:
        size = [max(1, round(n * scale)) for n in mark.shape[:2]]
        image = Image.fromarray(mark, "RGBA")
        if size != [*mark.shape[:2]]:
            image = image.resize(size[::-1], Image.Resampling.LANCZOS)
        yield (size[0], size[1]), np.asarray(image)


def patterns(mark: np.ndarray) -> list[np.ndarray]:
    """What a mark [H, W, 4] leaves on each ground [H + 2, W + 2], of mean 0 and length 1."""
    opacity = np.pad(mark[..., 3].astype(np.float32) / 255, 1)
    colour = np.pad(grey(mark[..., :3]), 1)
    found: list[np.ndarray] = []
    for ground in GROUNDS:
        edges = squashed(opacity * (colour - ground))
        edges -= edges.mean()
        length = float(np.linalg.norm(edges))
        if length < 1:
            continue  # as bright as the ground
        edges /= length
        if all(abs(float((edges * other).sum())) < SAME for other in found):
            found.append(edges)
    return found


def squashed(x: np.ndarray) -> np.ndarray:
    """The Laplacian of x [H, W], brought between -1 and 1."""
    p = np.pad(x, 1, mode="edge")
    found = 4 * x - p[1:-1, 2:] - p[1:-1, :-2] - p[2:, 1:-1] - p[:-2, 1:-1]
    return found / (np.abs(found) + SOFT)


def likeness(edges: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """|Normalised cross-correlation| of a pattern [h, w] with each part of edges [H, W]."""
    (H, W), (h, w) = edges.shape, pattern.shape
    spectrum = np.fft.rfft2(edges) * np.conj(np.fft.rfft2(pattern, edges.shape))
    products = np.fft.irfft2(spectrum, edges.shape)[: H - h + 1, : W - w + 1]
    squares = sums(edges.astype(np.float64) ** 2, h, w) - sums(edges, h, w) ** 2 / (h * w)
    return np.abs(products) / np.sqrt(np.maximum(squares, h * w * FLAT**2))


def sums(x: np.ndarray, h: int, w: int) -> np.ndarray:
    """The sum of each part of h x w."""
    whole = np.pad(x.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return whole[h:, w:] - whole[:-h, w:] - whole[h:, :-w] + whole[:-h, :-w]


def covered(picture: np.ndarray, y: int, x: int, h: int, w: int) -> np.ndarray:
    """The part [h, w] at (y, x) painted over: the colours beside it, by how near they are."""
    whole = picture.astype(np.float32)
    down, right = np.arange(1, h + 1)[:, None], np.arange(1, w + 1)[None]
    sides = [  # a line of pixels, and how far from it each pixel of the part is
        (whole[y - 1 : y, x : x + w], down), (whole[y + h : y + h + 1, x : x + w], down[::-1]),
        (whole[y : y + h, x - 1 : x], right), (whole[y : y + h, x + w : x + w + 1], right[:, ::-1]),
    ]  # fmt: skip
    near = [(line, 1 / far[..., None]) for line, far in sides if line.size]
    if not near:
        near = [(whole.mean((0, 1), keepdims=True), np.ones((h, w, 1)))]
    total = sum(line * weight for line, weight in near)
    found = picture.copy()
    found[y : y + h, x : x + w] = (total / sum(weight for _, weight in near)).round()
    return found
