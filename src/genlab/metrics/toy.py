"""Points in the plane, where the truth is known: modes, distances to exact draws, the exact law.

All take x [N, D] and compute in float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mode_metrics(x: Tensor, modes: Tensor, std: float) -> dict[str, float]:
    """How x [N, D] lies about modes [K, D] of equal weight, each a Gaussian of `std` a coordinate.

    high_quality_share: within 3 std of a mode (0.98889 for the exact law in two dimensions);
    modes_covered: modes with such a point (Srivastava et al. 2017, section 5.1); mode_kl: how
    unevenly those points fall on the modes, KL(shares | uniform) in nats.
    """
    distance, mode = torch.cdist(x.double(), modes.double()).min(1)
    good = distance < 3 * std
    counts = mode[good].bincount(minlength=len(modes)).double()
    values = {
        "modes_covered": float((counts > 0).sum()),
        "high_quality_share": float(good.double().mean()),
    }
    if good.any():
        shares = counts / counts.sum()
        values["mode_kl"] = float(torch.xlogy(shares, shares * len(modes)).sum())
    return values


def separate_modes(modes: Tensor, std: float) -> tuple[float | None, float | None]:
    """(share within 3 std, entropy in nats) of equal Gaussians at modes [K, D]; None if they meet.

    The share is the chi-square law's, P(chi2_D < 9) = 0.98889 in the plane; the entropy that of one
    Gaussian and log K. Both hold to 1e-9 where modes are at least 10 std apart.
    """
    k, dims = modes.shape
    if k > 1 and float(torch.pdist(modes.double()).min()) < 10 * std:
        return None, None
    half = torch.tensor(dims / 2, dtype=torch.float64)
    share = float(torch.special.gammainc(half, torch.tensor(4.5, dtype=torch.float64)))
    return share, math.log(k) + dims / 2 * math.log(2 * math.pi * math.e * std**2)


def expected_modes(num_modes: int, points: float) -> float:
    """How many of equally likely modes have at least one of so many points."""
    return num_modes * (1 - (1 - 1 / num_modes) ** points)


def expected_mode_kl(num_modes: int, points: float) -> float:
    """KL(shares | uniform) of so many points on equally likely modes, to first order in 1/points.

    2 n KL has the chi-square law of K - 1 degrees of freedom (Wilks 1938).
    """
    return (num_modes - 1) / (2 * points)


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'| (Szekely 2003), unbiased: it may be slightly negative."""
    one = torch.zeros(len(a), dtype=torch.long), torch.zeros(len(b), dtype=torch.long)
    return energy_distances(a, b, *one)[0]


def energy_distances(
    a: Tensor, b: Tensor, group_a: Tensor, group_b: Tensor
) -> tuple[float, list[float]]:
    """The energy distance of a [N, D] from b [M, D], and without each of the groups [N], [M]."""
    num = int(group_a.max()) + 1
    ma, mb = (torch.nn.functional.one_hot(g, num).double() for g in (group_a, group_b))
    a, b = a.double(), b.double()
    across, in_a, in_b = (_distance_sums(*s) for s in ((a, ma, b, mb), (a, ma, a, ma), (b, mb) * 2))

    def value(keep: Tensor) -> float:
        n, m = keep @ ma.sum(0), keep @ mb.sum(0)
        within = (keep @ in_a @ keep) / (n * (n - 1)) + (keep @ in_b @ keep) / (m * (m - 1))
        return float(2 * (keep @ across @ keep) / (n * m) - within)

    every = torch.ones(num, dtype=torch.float64)
    return value(every), [value(every - e) for e in torch.eye(num).double()] if num > 1 else []


def _distance_sums(a: Tensor, ma: Tensor, b: Tensor, mb: Tensor) -> Tensor:
    """The distances summed over pairs of groups, members [N, G] and [M, G]: [G, G]."""
    pairs = zip(a.split(2048), ma.split(2048))
    # not by the product formula: it gives a point a distance of 1e-8 to itself, not 0
    mode = "donot_use_mm_for_euclid_dist"
    return sum(m.T @ (torch.cdist(p, b, compute_mode=mode) @ mb) for p, m in pairs)


def sliced_wasserstein(a: Tensor, b: Tensor, *, projections: int = 64) -> float:
    """Root mean square over directions of the 2-Wasserstein distance of the projections.

    Bonneel et al. 2015, eq. 8. Evenly spaced directions in the plane, fixed random ones beyond.
    """
    dims = a.shape[1]
    if dims == 2:
        angle = torch.arange(projections, dtype=torch.float64) * math.pi / projections
        directions = torch.stack([angle.cos(), angle.sin()])
    else:
        fixed = torch.Generator().manual_seed(0)
        directions = torch.randn((dims, projections), dtype=torch.float64, generator=fixed)
        directions = directions / directions.norm(dim=0)
    grid = (torch.arange(min(len(a), len(b)), dtype=torch.float64) + 0.5) / min(len(a), len(b))
    gap = _quantiles(a.double() @ directions, grid) - _quantiles(b.double() @ directions, grid)
    return float(gap.square().mean().sqrt())


def _quantiles(x: Tensor, grid: Tensor) -> Tensor:
    """The value at each share of `grid` in every column of x [N, P]: [len(grid), P]."""
    return x.sort(0).values[(grid * len(x)).long().clamp(max=len(x) - 1)]


def law_metrics(log_p: Tensor) -> dict[str, float]:
    """How likely samples are under the exact law, from its log-density at them [N] in nats.

    in_support: the share where the density is not 0; law_log_prob: the mean log-density there.
    """
    inside = torch.isfinite(log_p)
    values = {"in_support": float(inside.double().mean())}
    if inside.any():
        values["law_log_prob"] = float(log_p[inside].double().mean())
    return values
