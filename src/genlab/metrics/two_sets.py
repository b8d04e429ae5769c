"""Frechet and kernel distance of two sets of features, without bias and with an interval.

Both sets are dealt into groups. Everything follows from sums over groups (of x, of x x', of the
kernel over pairs of groups), so that leaving one out costs nothing. Read: `Side` (one set's sums),
`compare` (the numbers).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.metrics.distribution import BLOCK, frechet_from_moments, kernel
from genlab.metrics.interval import (
    Interval,
    groups_of,
    jackknife_corrected,
    jackknife_interval,
)

LEAST_OF_A_CLASS = 3  # examples; a rarer one cannot be left out and still give pairs


class Side:
    """One set of features [N, D], in groups; with labels [N] where its classes are fixed.

    Classes are fixed where they were asked for in proportion, or the set was put together so. Then
    the pairs within a class count for as much as the class, and no number depends on chance there.
    """

    def __init__(self, x: Tensor, labels: Tensor | None, num_groups: int) -> None:
        self.x, self.num_groups = x.double(), num_groups
        if (
            labels is not None
            and int(labels.unique(return_counts=True)[1].min()) < LEAST_OF_A_CLASS
        ):
            labels = None
        self.labels = torch.zeros(len(x), dtype=torch.long) if labels is None else labels.long()
        self.group = groups_of(len(x), self.labels, most=num_groups)
        self.member = torch.nn.functional.one_hot(self.group, num_groups).double()  # [N, G]
        self.counts = self.member.sum(0)
        self.sums = self.member.T @ self.x  # [G, D]
        self.squares = torch.stack(
            [(m := self.x[self.group == g]).T @ m for g in range(num_groups)]
        )
        self._pairs: tuple[Tensor, Tensor, Tensor] | None = None

    def moments(self, without: int | None = None) -> tuple[Tensor, Tensor]:
        """Mean [D] and covariance [D, D], with or without a group."""
        keep = _keep(self.num_groups, without)
        n = keep @ self.counts
        mean = keep @ self.sums / n
        outer = torch.einsum("g,gij->ij", keep, self.squares)
        return mean, (outer - n * mean[:, None] * mean) / (n - 1)

    def within(self, without: int | None = None) -> Tensor:
        """The mean kernel of two different members, classes in their proportions; unbiased.

        A pair within a class stands for as many pairs as there were with the examples themselves:
        sum over c != d of S_cd, plus sum over c of (S_cc - own_c) n_c / (n_c - 1), over n^2.
        """
        if self._pairs is None:
            self._pairs = self._kernel_sums()
        sums, own, nums = self._pairs
        keep = _keep(self.num_groups, without)
        total, *of_class = torch.einsum("g,cgh,h->c", keep, sums, keep)
        same, own, num = torch.stack(of_class), own @ keep, nums @ keep
        unbiased = (same - own) * num / (num - 1)
        return (total - same.sum() + unbiased.sum()) / num.sum() ** 2

    def _kernel_sums(self) -> tuple[Tensor, Tensor, Tensor]:
        """The kernel over pairs of groups: of all members, then of each class [1 + C, G, G].

        And of members with themselves, and how many there are, by class and group [C, G].
        """
        sums, own, nums = [_between(self, self)], [], []
        for c in self.labels.unique().tolist():
            at = (self.labels == c).nonzero()[:, 0]
            sums.append(_between(self, self, at, at))
            diagonal = kernel(self.x[at].square().sum(1), self.x.shape[1])
            own.append(diagonal @ self.member[at])
            nums.append(self.member[at].sum(0))
        return torch.stack(sums), torch.stack(own), torch.stack(nums)


def _keep(num_groups: int, without: int | None) -> Tensor:
    keep = torch.ones(num_groups, dtype=torch.float64)
    if without is not None:
        keep[without] = 0
    return keep


def _between(a: Side, b: Side, rows: Tensor | None = None, columns: Tensor | None = None) -> Tensor:
    """The kernel summed over pairs of groups [G, G]."""
    ax, am = (a.x, a.member) if rows is None else (a.x[rows], a.member[rows])
    bx, bm = (b.x, b.member) if columns is None else (b.x[columns], b.member[columns])
    pairs = zip(ax.split(BLOCK), am.split(BLOCK))
    return sum(m.T @ (kernel(x @ bx.T, ax.shape[1]) @ bm) for x, m in pairs)


@dataclass
class Found:
    """Numbers by name, and the intervals of those that have one."""

    metrics: dict[str, float]
    interval: dict[str, Interval]


def compare(a: Side, b: Side) -> Found:
    """kernel_distance, frechet_infinity and frechet_distance of two sides of as many groups.

    kernel_distance: squared MMD, kernel (x.y / D + 1)^3 (KID: Binkowski et al. 2018), unbiased: 0
    where both sets are from one law, up to the draw. frechet_distance: of Gaussians fitted to the
    sets (FID: Heusel et al. 2017, eq. 6); for small sets it is too high. frechet_infinity: the same
    for endless sets, since the excess falls as 1 / N (Chong & Forsyth 2020), here by the jackknife.
    """
    across = _between(a, b)

    def measure(without: int | None = None) -> tuple[float, float]:
        keep = _keep(a.num_groups, without)
        cross = keep @ across @ keep / (keep @ a.counts) / (keep @ b.counts)
        mmd = float(a.within(without) + b.within(without) - 2 * cross)
        return mmd, frechet_from_moments(*a.moments(without), *b.moments(without))

    mmd, frechet = measure()
    left = [measure(g) for g in range(a.num_groups)]
    endless = jackknife_corrected(frechet, [f for _, f in left])
    low, high = jackknife_interval(frechet, [f for _, f in left])
    return Found(
        {"kernel_distance": mmd, "frechet_infinity": endless, "frechet_distance": frechet},
        {
            "kernel_distance": jackknife_interval(mmd, [m for m, _ in left]),
            "frechet_infinity": (low + endless - frechet, high + endless - frechet),
            "frechet_distance": (low, high),
        },
    )
