"""Distances between two sets of feature vectors, and what a classifier says of a set of samples.

Everything takes [N, D] (or [N, K] probabilities) and computes in float64. All distances are biased
or noisy for small sets: they mean something beside the same number for real data (the floor).
"""

from __future__ import annotations

from collections.abc import Iterator

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


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Unbiased squared MMD of a [N, D], b [M, D], kernel (x.y / D + 1)^3; it may be negative.

    KID: Binkowski et al. 2018, section 4; here from all pairs, not averaged over subsets. Unbiased
    for independent draws: sets balanced by class come out somewhat below 0, real ones too.
    """
    a, b = a.double(), b.double()
    n, m = len(a), len(b)
    within_a = (_kernel_sum(a, a) - _kernel(a.square().sum(1), a.shape[1]).sum()) / (n * (n - 1))
    within_b = (_kernel_sum(b, b) - _kernel(b.square().sum(1), b.shape[1]).sum()) / (m * (m - 1))
    return float(within_a + within_b - 2 * _kernel_sum(a, b) / (n * m))


def _kernel(dot: Tensor, dims: int) -> Tensor:
    k = dot / dims + 1
    return k.square().mul_(k)  # several times faster than k**3


def _kernel_sum(a: Tensor, b: Tensor) -> Tensor:
    return sum(_kernel(rows @ b.T, a.shape[1]).sum() for rows in a.split(BLOCK))


def precision_recall(real: Tensor, fake: Tensor, *, k: int = 3) -> tuple[float, float]:
    """Share of fake [M, D] on the manifold of real [N, D], and of real on the manifold of fake.

    A set's manifold: the balls around its points that reach their k-th nearest neighbour in the set
    (Kynkaanniemi et al. 2019, eq. 1-2). Sets of one size, else the larger one looks wider.
    """
    real, fake = real.double(), fake.double()
    return _covered(fake, real, k), _covered(real, fake, k)


def _covered(points: Tensor, manifold: Tensor, k: int) -> float:
    if len(manifold) <= k:
        raise ValueError(
            f"metric.k={k} needs more than {k} examples, and there are {len(manifold)}"
        )
    # the k+1-th smallest: the smallest is the point's distance to itself
    radii = torch.cat([d.kthvalue(k + 1).values for d in _distances(manifold, manifold)])
    inside = [(d <= radii).any(1) for d in _distances(points, manifold)]
    return float(torch.cat(inside).double().mean())


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
