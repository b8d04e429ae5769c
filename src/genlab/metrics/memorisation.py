"""Does the model hand out its training examples? Nearest neighbours, beside those of real new data.

A sample that lies closer to the training set than held-out examples do is suspicious; one is no
proof (a clean "1" resembles many), a share far above the floor is.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 8192  # training examples compared at once


def nearest(queries: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """Euclidean distance of queries [N, ...] to the nearest of pool [M, ...] [N]; its index [N].

    Candidates come from |q|^2 + |p|^2 - 2 q.p in float32; the distance itself is exact (float64).
    """
    q = queries.flatten(1).float()
    best = torch.full((len(q),), torch.inf)
    index = torch.zeros(len(q), dtype=torch.long)
    for first in range(0, len(pool), BLOCK):
        p = pool[first : first + BLOCK].flatten(1).float()
        least, at = (p.square().sum(1) - 2 * q @ p.T).min(1)  # |q|^2 is the same for every p
        closer = least < best
        best, index = torch.where(closer, least, best), torch.where(closer, at + first, index)
    gap = queries.flatten(1).double() - pool[index].flatten(1).double()
    return gap.square().sum(1).sqrt(), index


def memorisation(
    samples: Tensor, held_out: Tensor, train: Tensor
) -> tuple[dict[str, float], dict[str, float], Tensor, Tensor]:
    """(metrics, floor, distance ratio [N], index of the nearest training example [N]) of samples.

    nearest_ratio: the median distance from a sample to the training set over that of held-out
    examples; well below 1 is suspicious. near_copies: the share of samples that are closer than the
    closest 1 % of held-out examples (or at no distance); 0.01 is what new data scores.
    """
    mine, index = nearest(samples, train)
    theirs, _ = nearest(held_out, train)
    typical = theirs.median().clamp(min=1e-12)
    limit = theirs.quantile(0.01)
    metrics = {
        "nearest_ratio": float(mine.median() / typical),
        "near_copies": float(_close(mine, limit)),
    }
    return (
        metrics,
        {"nearest_ratio": 1.0, "near_copies": float(_close(theirs, limit))},
        mine / typical,
        index,
    )


def _close(distances: Tensor, limit: Tensor) -> Tensor:
    return ((distances < limit) | (distances == 0)).double().mean()
