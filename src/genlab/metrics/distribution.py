"""Distances between two sets of feature vectors, and what a classifier says of a set of samples.

Everything takes [N, D] (or [N, K] probabilities) and computes in float64. All distances are biased
or noisy for small sets: two_sets.py takes the bias away and gives the interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 2048  # rows of a kernel or distance matrix held at once


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Frechet (2-Wasserstein) distance between Gaussians fitted to a [N, D] and b [M, D].

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): Dowson & Landau 1982; as FID: Heusel et al. 2017,
    eq. 6.
    """
    a, b = a.double(), b.double()
    return frechet_from_moments(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())


def frechet_from_moments(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """The same, from means [D] and covariances [D, D], which may be rank-deficient."""
    gap = (mean1.double() - mean2.double()).square().sum()
    cov1, cov2 = torch.atleast_2d(cov1.double()), torch.atleast_2d(cov2.double())
    return float(gap + cov1.trace() + cov2.trace() - 2 * trace_sqrt_product(cov1, cov2))


def trace_sqrt_product(cov1: Tensor, cov2: Tensor) -> Tensor:
    """tr((C1 C2)^(1/2)) of positive semi-definite matrices [D, D], without a matrix square root.

    C1 C2 has the eigenvalues of R' C2 R for any R with R R' = C1. Cholesky gives R fastest; a
    rank-deficient C1 (fewer examples than features) has none, then R comes from its eigenvectors.
    """
    root, failed = torch.linalg.cholesky_ex(cov1)
    pivots = root.diagonal().abs()
    if failed or pivots.min() < 1e-7 * pivots.max():
        values, vectors = torch.linalg.eigh(cov1)
        keep = values > _tolerance(values)
        root = vectors[:, keep] * values[keep].sqrt()
    if root.shape[1] == 0:
        return cov1.new_zeros(())
    inner = root.T @ cov2 @ root
    values = torch.linalg.eigvalsh((inner + inner.T) / 2)
    # an eigenvalue that should be 0 comes out as +-1e-16 of the largest, and its root as 1e-8 of it
    return values[values > _tolerance(values)].sqrt().sum()


def _tolerance(values: Tensor) -> Tensor:
    return values.abs().max() * len(values) * torch.finfo(values.dtype).eps


def kernel(dot: Tensor, dims: int) -> Tensor:
    """(x.y / D + 1)^3 from x.y (KID: Binkowski et al. 2018, section 4)."""
    k = dot / dims + 1
    return k.square().mul_(k)  # several times faster than k**3


@dataclass
class Manifolds:
    """Which points lie on the other set's manifold, each [N] or [M] bool."""

    precise: Tensor  # fake ones within a real one's ball
    recalled: Tensor  # real ones within a fake one's ball
    covered: Tensor  # real ones whose own ball holds a fake one


def manifolds(real: Tensor, fake: Tensor, *, k: int = 3, k_cover: int = 5) -> Manifolds:
    """Of real [N, D] and fake [M, D]; sets of one size, else the larger one looks wider.

    A ball reaches to its point's k-th nearest neighbour in its own set: precision and recall are
    the shares of `precise` and `recalled` (Kynkaanniemi et al. 2019, eq. 1-2), coverage that of
    `covered` with k_cover (Naeem et al. 2020, eq. 5), which outliers among the fakes do not widen.
    """
    real, fake = real.double(), fake.double()
    if min(len(real), len(fake)) <= k:
        raise ValueError(
            f"metric.k={k} needs more than {k} examples, and there are {min(len(real), len(fake))}"
        )
    k_cover = min(k_cover, len(real) - 1)
    radius, cover = _radii(real, (k, k_cover)).T
    (reach,) = _radii(fake, (k,)).T
    precise = torch.empty(len(fake), dtype=torch.bool)
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    done = 0
    for d, own in zip(_distances(fake, real), reach.split(BLOCK)):
        precise[done : done + len(d)] = (d <= radius).any(1)
        recalled |= (d <= own[:, None]).any(0)
        covered |= (d <= cover).any(0)
        done += len(d)
    return Manifolds(precise, recalled, covered)


def expected_coverage(num_real: int, num_fake: int, *, k: int = 5) -> float:
    """The coverage of fakes from the real law itself (Naeem et al. 2020, section 3.2).

    A real point is not covered where its k nearest among the other real and the fake ones are all
    real: k draws without return.
    """
    k = min(k, num_real - 1)
    missed = 1.0
    for i in range(k):
        missed *= (num_real - 1 - i) / (num_real + num_fake - 1 - i)
    return 1 - missed


def _radii(points: Tensor, ks: tuple[int, ...]) -> Tensor:
    """How far each point's k-th nearest neighbour is, for each k [N, len(ks)]."""
    # the k+1-th smallest: the smallest is the point's distance to itself
    parts = [d.topk(max(ks) + 1, largest=False).values for d in _distances(points, points)]
    return torch.cat(parts)[:, list(ks)]


def _distances(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    for rows in a.split(BLOCK):
        yield torch.cdist(rows, b, compute_mode="donot_use_mm_for_euclid_dist")


def class_metrics(
    probs: Tensor, asked: Tensor | None = None, *, threshold: float = 0.9
) -> dict[str, float]:
    """What a classifier sees in samples; probs [N, K], `asked` the classes asked for [N] or None.

    confident_share: its largest probability is above `threshold`; classes_drawn: how many classes
    have such a sample; class_agreement: its most likely class is the one asked for.
    """
    top, found = probs.double().max(1)
    sure = top > threshold
    values = {
        "confident_share": float(sure.double().mean()),
        "classes_drawn": float(len(found[sure].unique())),
    }
    if asked is not None:
        values["class_agreement"] = float((found == asked).double().mean())
    return values
