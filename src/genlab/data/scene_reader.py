"""The reader of scenes: which shapes a picture shows, and where; None where it cannot tell.

Read: `read`. The template that fits best anywhere is taken out of a picture, then the next, until
nothing is left. Whatever is left, fits two templates alike or has no colour of the scene's is not
guessed at. It is right on every drawn picture, and on noisy or blurred ones (tests/data/).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.data.scenes import (
    BACK,
    COLOUR_NAMES,
    FORMS,
    SIDE,
    SIDES,
    TINTS,
    WINDOW,
    WINDOWS,
    Scene,
    Thing,
)

MOST_ERROR = 0.16  # squared difference from the template, in parts of the template's own
LEAST_LEAD = 1.35  # how many times larger the next shape's or size's error must be
SLACK = 0.02  # added to both errors before they are compared
MOST_DISTANCE = 45.0  # of a shape's pixels from its colour, the mean, in grey levels
MOST_REST = 5.0  # pixels' worth of colour that belongs to no shape
FAINT = 0.3  # colour that covers less of a pixel is noise
NEAR = 4  # pixels between the middles of two readings of one shape

_RINGS = torch.stack([torch.arange(WINDOW) < side + 2 for side in SIDES])
_RINGS = (_RINGS[:, :, None] & _RINGS[:, None, :]).float()  # [8, W, W] what counts in a window
_POWERS = WINDOWS.square().sum((1, 2))  # [8]
_INSIDE = WINDOWS[:, 1:, 1:] > 0.5


def read(pictures: Tensor, *, most: int = 5) -> list[Scene | None]:
    """The scene in each picture uint8 [N, 3, 32, 32], of at most `most` things, or None."""
    return [scene for part in pictures.split(256) for scene in _read(part, most)]


def _read(pictures: Tensor, most: int) -> list[Scene | None]:
    cover, distance = covers(pictures)
    scenes: list[list[Thing] | None] = [[] for _ in pictures]
    for _ in range(most):
        busy = [i for i in _rest(cover) if scenes[i] is not None]
        if not busy:
            break
        errors = template_errors(cover[busy].sum(1))
        for i, error in zip(busy, errors, strict=True):
            thing = _best(error, cover[i], distance[i])
            if thing is None:
                scenes[i] = None
                continue
            scenes[i].append(thing)
            _take_out(cover[i], thing)
    for i in _rest(cover):
        scenes[i] = None
    return [None if s is None else tuple(s) for s in scenes]


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
    maps = F.pad(cover[:, None], (1, WINDOW, 1, WINDOW))
    overlap = F.conv2d(maps, WINDOWS[:, None])[..., :SIDE, :SIDE]
    power = F.conv2d(maps.square(), _RINGS[:, None])[..., :SIDE, :SIDE]
    errors = (power - 2 * overlap) / _POWERS[:, None, None] + 1
    for k, side in enumerate(SIDES.tolist()):
        errors[:, k, SIDE - side + 1 :] = torch.inf
        errors[:, k, :, SIDE - side + 1 :] = torch.inf
    return errors


def _rest(cover: Tensor) -> list[int]:
    """The pictures in which colour is left."""
    left = (cover * (cover > FAINT)).sum((1, 2, 3))
    return (left > MOST_REST).nonzero()[:, 0].tolist()


def _best(errors: Tensor, cover: Tensor, distance: Tensor) -> Thing | None:
    """What fits best in a picture, if it alone fits, in the colour that most of it has.

    errors [8, 32, 32], cover [C, 32, 32], distance [32, 32].
    """
    form, y, x = (int(i) for i in torch.unravel_index(errors.argmin(), errors.shape))
    error, side = float(errors[form, y, x]), int(SIDES[form])
    inside = _INSIDE[form, :side, :side]
    here = cover[:, y : y + side, x : x + side][:, inside]  # [C, pixels]
    colour = int(here.sum(1).argmax())
    others = float(here.sum() - here[colour].sum()) / float(_POWERS[form])
    off = float(distance[y : y + side, x : x + side][inside].mean())
    thing = Thing(FORMS[form][0], COLOUR_NAMES[colour], FORMS[form][1], x + side / 2, y + side / 2)
    lead = _second(errors, form, thing) + SLACK >= LEAST_LEAD * (error + SLACK)
    clear = error <= MOST_ERROR and others <= MOST_ERROR and off <= MOST_DISTANCE
    return thing if clear and lead else None


def _second(errors: Tensor, form: int, thing: Thing) -> float:
    """The least error of another form at that place: errors [8, 32, 32]."""
    found = [torch.tensor(torch.inf)]
    for k, side in enumerate(SIDES.tolist()):
        top, left = (int(m - side / 2) for m in (thing.y, thing.x))
        near = errors[k, max(0, top - NEAR) :, max(0, left - NEAR) :][: 2 * NEAR + 1]
        near = near[:, : 2 * NEAR + 1]
        if k != form and near.numel():
            found.append(near.min())
    return float(min(found))


def _take_out(cover: Tensor, thing: Thing) -> None:
    """No colour is left where the thing was: cover [C, 32, 32]."""
    half = int(SIDES[FORMS.index((thing.shape, thing.size))]) / 2
    (top, bottom), (left, right) = (
        (max(0, int(m - half) - 1), int(m + half) + 1) for m in (thing.y, thing.x)
    )
    cover[:, top:bottom, left:right] = 0
