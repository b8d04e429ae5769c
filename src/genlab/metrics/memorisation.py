"""Does the model hand out its training examples? Nearest neighbours, beside those of real new data.

A sample that lies closer to the training set than held-out examples do is suspicious; one is no
proof (a clean "1" resembles many), a share far above the floor is.

Read: `neighbours` (which small changes a copy may have), `memorisation`; `nearest` is for what is
no picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.metrics.interval import bootstrap_interval, share_interval

BLOCK = 4096  # training pictures compared at once
SIDE = 32  # larger pictures are compared at this size
COARSE = 8  # the side at which the nearest are searched for
NEAREST = 16  # training pictures that a sample is compared with in full
CLOSEST = 0.01  # the share of held-out examples below the limit


@dataclass
class Neighbours:
    """Of each of N pictures, among the training pictures."""

    distance: Tensor  # [N] to the nearest
    ratio: Tensor  # [N] the same over the mean distance to the next ones
    index: Tensor  # [N] of the nearest


def neighbours(
    queries: Tensor, train: Tensor, *, progress: Callable[[float], None] = lambda share: None
) -> Neighbours:
    """The training pictures [M, C, H, W] most like queries [N, C, H, W], both uint8.

    The distance does not see brightness, contrast and a shift of one pixel: it is the least
    sqrt(2 - 2 r) over shifts, r the correlation of the query's inner part with the shifted picture.
    The NEAREST at COARSE resolution are compared in full. `ratio` is small where one training
    picture is much closer than those around it, however crowded the place is (Carlini et al. 2023,
    section 5.1): what tells a copy from a plain picture that resembles many.
    """
    queries = reduced(queries)
    inner = windows(queries, middle=True)[0]
    coarse = unit(coarse_windows(queries, middle=True))[:, 0]  # [N, D]
    best, index = torch.zeros(len(queries), 0), torch.zeros(len(queries), 0, dtype=torch.long)
    for first in range(0, len(train), BLOCK):
        progress(first / len(train))
        block = unit(coarse_windows(reduced(train[first : first + BLOCK])))  # [B, shifts, D]
        r = (coarse @ block[:, 0].T).clone()
        for s in range(1, block.shape[1]):
            torch.maximum(r, coarse @ block[:, s].T, out=r)
        found, at = r.topk(min(NEAREST, r.shape[1]), 1)
        best, index = torch.cat([best, found], 1), torch.cat([index, at + first], 1)
        best, order = best.topk(min(NEAREST, best.shape[1]), 1)
        index = index.gather(1, order)
    rows = zip(unit(inner.flatten(1)).split(128), index.split(128))
    likeness = torch.cat([full_likeness(mine, train, at) for mine, at in rows])  # [N, NEAREST]
    distance, order = (2 - 2 * likeness.clamp(max=1)).sqrt().sort(1)
    others = distance[:, 1:].mean(1) if distance.shape[1] > 1 else torch.ones(len(distance))
    return Neighbours(
        distance=distance[:, 0],
        ratio=distance[:, 0] / others.clamp(min=1e-6),
        index=index.gather(1, order)[:, 0],
    )


def full_likeness(mine: Tensor, train: Tensor, index: Tensor) -> Tensor:
    """The largest correlation over shifts of unit rows [N, D] with train[index]: [N, K]."""
    theirs = reduced(train[index.flatten()])
    found = [
        torch.einsum("nd,nkd->nk", mine, unit(w.flatten(1)).unflatten(0, index.shape))
        for w in windows(theirs)
    ]
    return torch.stack(found).amax(0)


def reduced(pictures: Tensor) -> Tensor:
    """uint8 -> float, at most SIDE on each side."""
    x = pictures.float()
    if max(x.shape[2:]) > SIDE:
        x = F.interpolate(x, [min(SIDE, s) for s in x.shape[2:]], mode="area")
    return x


def windows(x: Tensor, *, middle: bool = False) -> list[Tensor]:
    """x [N, C, H, W] without its rim of a pixel, shifted by up to one pixel each way.

    What a shift moves out of a picture is in none of the windows, so nothing has to be made up.
    `middle` gives the unshifted one alone; pictures below 5 pixels are not shifted.
    """
    height, width = x.shape[2:]
    if min(height, width) < 5:
        return [x]
    places = [(1, 1)] if middle else [(i, j) for i in range(3) for j in range(3)]
    return [x[:, :, i : i + height - 2, j : j + width - 2] for i, j in places]


def coarse_windows(x: Tensor, *, middle: bool = False) -> Tensor:
    """The windows at no more than COARSE pixels a side: [N, shifts, C * COARSE^2].

    One product with the matrix that shifts and averages: much faster than to do it picture-wise.
    """
    height, width = x.shape[2:]
    pixels = torch.eye(height * width).view(-1, 1, height, width)
    pooled = [
        F.adaptive_avg_pool2d(w, [min(COARSE, s) for s in w.shape[2:]]).flatten(1)
        for w in windows(pixels, middle=middle)
    ]
    out = x.flatten(2) @ torch.cat(pooled, 1)  # [N, C, shifts * D]
    return out.unflatten(2, (len(pooled), -1)).transpose(1, 2).flatten(2)


def unit(x: Tensor) -> Tensor:
    """Mean 0 and length 1 over the last dimension; an even picture becomes 0."""
    x = x - x.mean(-1, keepdim=True)
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-3)


def nearest(queries: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """Euclidean distance of queries [N, ...] to the nearest of pool [M, ...] [N]; its index [N].

    Candidates come from |q|^2 + |p|^2 - 2 q.p in float32; the distance itself is exact (float64).
    """
    q = queries.flatten(1).float()
    best = torch.full((len(q),), torch.inf)
    index = torch.zeros(len(q), dtype=torch.long)
    for first in range(0, len(pool), 2 * BLOCK):
        p = pool[first : first + 2 * BLOCK].flatten(1).float()
        least, at = (p.square().sum(1) - 2 * q @ p.T).min(1)  # |q|^2 is the same for every p
        closer = least < best
        best, index = torch.where(closer, least, best), torch.where(closer, at + first, index)
    gap = queries.flatten(1).double() - pool[index].flatten(1).double()
    return gap.square().sum(1).sqrt(), index


@dataclass
class Memorisation:
    """What the neighbours of samples say beside those of held-out examples."""

    metrics: dict[str, float]
    floor: dict[str, float]
    interval: dict[str, tuple[float, float]]


def memorisation(mine: Neighbours, held_out: Neighbours) -> Memorisation:
    """near_copies: the share of samples that stand out as much as the closest 1 % of held-out ones.

    0.01 is what new data scores (with few held-out examples, one of them). nearest_ratio: the
    median distance from a sample to the training set over that of held-out examples; well below 1
    is suspicious.
    """
    limit = held_out.ratio.quantile(CLOSEST)
    close, theirs = (_close(n.ratio, limit) for n in (mine, held_out))
    typical = held_out.distance.median().clamp(min=1e-6)
    relative = mine.distance / typical
    return Memorisation(
        metrics={
            "near_copies": float(close.double().mean()),
            "nearest_ratio": float(relative.median()),
        },
        floor={"near_copies": float(theirs.double().mean()), "nearest_ratio": 1.0},
        interval={
            "near_copies": share_interval(int(close.sum()), len(close)),
            "nearest_ratio": bootstrap_interval(torch.median, relative),
        },
    )


def _close(ratio: Tensor, limit: Tensor) -> Tensor:
    return (ratio < limit) | (ratio == 0)
