"""The reader of scenes: which shapes a picture shows, and where; None where it cannot tell.

Read: `read`. The template that fits best anywhere is taken out of a picture, then the next, until
nothing is left. Whatever is left, fits two templates alike or has no colour of the scene's is not
guessed at. It is right on every drawn picture, and on noisy or blurred ones (tests/data/).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.data.scenes import (
    BACK,
    SIDE,
    SIDES,
    TINTS,
    WINDOW,
    WINDOWS,
    Scene,
    Thing,
    things,
)

MOST_ERROR = 0.16  # squared difference from the template, in parts of the template's own
LEAST_LEAD = 1.35  # how many times larger the next shape's or size's error must be
SLACK = 0.02  # added to both errors before they are compared
MOST_DISTANCE = 45.0  # of a shape's pixels from its colour, the mean, in grey levels
MOST_REST = 5.0  # pixels' worth of colour that belongs to no shape
FAINT = 0.3  # colour that covers less of a pixel is noise
NEAR = 4  # pixels between the middles of two readings of one shape

_POWERS = WINDOWS.square().sum((1, 2))  # [8]
_INSIDE = WINDOWS > 0.5  # [8, W, W]
_FFT = SIDE + WINDOW + 2  # the smallest even size in which nothing wraps round
_SPECTRA = torch.fft.rfft2(WINDOWS, s=(_FFT, _FFT)).conj()
_LARGEST = int(SIDES.max())


class Found(NamedTuple):
    """What fits best in each picture, as numbers [N], and whether it alone fits."""

    form: Tensor
    colour: Tensor
    top: Tensor
    left: Tensor
    clear: Tensor


def read(pictures: Tensor, *, most: int = 5) -> list[Scene | None]:
    """The scene in each picture uint8 [N, 3, 32, 32], of at most `most` things, or None."""
    return [scene for part in pictures.split(256) for scene in _read(part, most)]


def _read(pictures: Tensor, most: int) -> list[Scene | None]:
    cover, distance = covers(pictures)
    scenes: list[list[Thing]] = [[] for _ in pictures]
    clear = torch.ones(len(pictures), dtype=torch.bool)
    for _ in range(most):
        busy = (clear & _unfinished(cover)).nonzero()[:, 0]
        if not len(busy):
            break
        found = _best(template_errors(cover[busy].sum(1)), cover[busy], distance[busy])
        clear[busy] = found.clear
        for i, scene in zip(busy.tolist(), things(*(n[:, None] for n in found[:4])), strict=True):
            scenes[i] += scene
        cover[busy] *= ~_square(found)[:, None]
    clear &= ~_unfinished(cover)
    return [tuple(s) if c else None for s, c in zip(scenes, clear.tolist(), strict=True)]


def covers(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """How much of a pixel each colour covers [N, C, 32, 32], and how far its colour is off.

    A pixel is given to the one colour that, mixed with the background, comes nearest to it.
    """
    seen = pictures.float().movedim(1, -1) - BACK  # [N, 32, 32, 3]
    share = (seen @ TINTS.T / TINTS.square().sum(1)).clamp(0, 1)  # [N, 32, 32, C]
    distance, colour = (seen[..., None, :] - share[..., None] * TINTS).norm(dim=-1).min(-1)
    cover = share * F.one_hot(colour, len(TINTS))
    return cover.movedim(-1, 1).contiguous(), distance


def template_errors(cover: Tensor) -> Tensor:
    """The error of each template at each place (y, x) of its corner: [N, 32, 32] -> [N, 8, 32, 32].

    Squared difference over the shape and a ring around it, in parts of the template's own square;
    infinite where the shape would leave the picture.
    """
    maps = F.pad(cover, (1, _FFT - SIDE - 1) * 2)
    overlap = torch.fft.irfft2(torch.fft.rfft2(maps)[:, None] * _SPECTRA, s=(_FFT, _FFT))
    overlap = overlap[..., :SIDE, :SIDE]
    total = F.pad(maps.square().cumsum(1).cumsum(2), (1, 0, 1, 0))
    power = torch.stack([_boxes(total, side + 2) for side in SIDES.tolist()], 1)
    errors = (power - 2 * overlap) / _POWERS[:, None, None] + 1
    for k, side in enumerate(SIDES.tolist()):
        errors[:, k, SIDE - side + 1 :] = torch.inf
        errors[:, k, :, SIDE - side + 1 :] = torch.inf
    return errors


def _boxes(total: Tensor, size: int) -> Tensor:
    """Sums over squares, from sums over all that is above and to the left: [N, 32, 32]."""
    low, high = slice(0, SIDE), slice(size, size + SIDE)
    return total[:, high, high] - total[:, low, high] - total[:, high, low] + total[:, low, low]


def _unfinished(cover: Tensor) -> Tensor:
    """In which pictures colour is left [N]."""
    return (cover * (cover > FAINT)).sum((1, 2, 3)) > MOST_REST


def _best(errors: Tensor, cover: Tensor, distance: Tensor) -> Found:
    """errors [N, 8, 32, 32], cover [N, C, 32, 32], distance [N, 32, 32]."""
    n = torch.arange(len(errors))
    error, at = errors.flatten(1).min(1)
    form, top, left = at // SIDE**2, at // SIDE % SIDE, at % SIDE
    inside = _INSIDE[form]  # [N, W, W]
    here = (_window(F.pad(cover, (1, WINDOW, 1, WINDOW)), top, left) * inside[:, None]).sum((2, 3))
    colour = here.argmax(1)  # the one that most of it has
    others = (here.sum(1) - here[n, colour]) / _POWERS[form]
    off = _window(F.pad(distance, (1, WINDOW, 1, WINDOW))[:, None], top, left)[:, 0] * inside
    off = off.sum((1, 2)) / inside.sum((1, 2))
    lead = _second(errors, form, top, left) + SLACK >= LEAST_LEAD * (error + SLACK)
    clear = lead & (error <= MOST_ERROR) & (others <= MOST_ERROR) & (off <= MOST_DISTANCE)
    return Found(form, colour, top, left, clear)


def _window(maps: Tensor, top: Tensor, left: Tensor, size: int = WINDOW) -> Tensor:
    """The squares of maps [N, C, ...] whose corners are at (top, left): [N, C, size, size]."""
    line = torch.arange(size)
    n, c = torch.arange(len(maps))[:, None, None, None], torch.arange(maps.shape[1])[:, None, None]
    rows, columns = top[:, None] + line, left[:, None] + line
    return maps[n, c, rows[:, None, :, None], columns[:, None, None, :]]


def _second(errors: Tensor, form: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """The least error of another form whose middle is near [N]."""
    n = torch.arange(len(errors))
    room = NEAR + _LARGEST
    padded = F.pad(errors, (room,) * 4, value=torch.inf)
    best = []
    for k, side in enumerate(SIDES.tolist()):
        shift = (SIDES[form] - side) // 2 + room - NEAR
        near = _window(padded[:, k : k + 1], top + shift, left + shift, 2 * NEAR + 1)
        best.append(near.flatten(1).min(1).values)
    table = torch.stack(best, 1)
    table[n, form] = torch.inf
    return table.min(1).values


def _square(found: Found) -> Tensor:
    """The pixels of what was found and of a ring around it: bool [N, 32, 32]."""
    line, side = torch.arange(SIDE), SIDES[found.form][:, None]
    rows, columns = (
        (line >= at[:, None] - 1) & (line <= at[:, None] + side) for at in (found.top, found.left)
    )
    return rows[:, :, None] & columns[:, None, :]
