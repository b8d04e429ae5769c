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


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'| (Szekely 2003), unbiased: it may be slightly negative."""
    a, b = a.double(), b.double()
    n, m = len(a), len(b)
    within = _mean_distance(a, a) * n / (n - 1) + _mean_distance(b, b) * m / (m - 1)
    return float(2 * _mean_distance(a, b) - within)


def _mean_distance(a: Tensor, b: Tensor) -> Tensor:
    parts = a.split(2048)
    # not by the product formula: it gives a point a distance of 1e-8 to itself, not 0
    total = sum(torch.cdist(p, b, compute_mode="donot_use_mm_for_euclid_dist").sum() for p in parts)
    return total / (len(a) * len(b))


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
