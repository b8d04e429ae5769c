"""The divergence of samples from the law by nearest neighbours: no density is needed.

Read: `knn_kl`, the estimator; `NeighbourKL` draws, and takes the law's own score as the floor.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from genlab.metrics.base import Evaluation, Samples, check_count
from genlab.metrics.interval import groups_of, jackknife_interval, num_groups
from genlab.metrics.points import fresh_points, with_interval
from genlab.metrics.report import Data, Model, Report


def distances(points: Tensor, others: Tensor, k: int) -> np.ndarray:
    """The distance, in the maximum norm, from each of the points [N, D] to its k-th neighbour."""
    from sklearn.neighbors import KDTree

    tree = KDTree(others.double().numpy(), metric="chebyshev")
    return tree.query(points.double().numpy(), k=k)[0][:, -1]


def knn_kl(real: Tensor, samples: Tensor, k: int = 5) -> float:
    """KL(real | samples) in bits, from points [N, D] and [M, D]; consistent, not unbiased.

    D mean log2(nu_k / rho_k) + log2(M / (N - 1)): nu_k is the distance from a real point to its
    k-th nearest sample, rho_k to its k-th nearest other real point (Wang, Kulkarni and Verdu 2009,
    eq. 5; as NPEET computes it). The same point twice is at distance 0, which has no logarithm.
    """
    near = distances(real, real, k + 1)  # the nearest is the point itself
    far = distances(real, samples, k)
    if not (near.min() > 0 and far.min() > 0):
        return math.nan
    mean = float(np.mean(np.log2(far) - np.log2(near)))
    return real.shape[1] * mean + math.log2(len(samples) / (len(real) - 1))


class NeighbourKL(Evaluation):
    """KL(law | samples) in bits by k nearest neighbours, beside what draws of the law score."""

    kind = "points"
    least = 100

    def __init__(
        self, *, num_samples: int = 10_000, num_real: int = 100_000, k: int = 5, chunk: int = 2500
    ) -> None:
        super().__init__(num_samples=num_samples, chunk=chunk)
        check_count("num_real", num_real, 100)
        check_count("k", k, 1)
        self.num_real, self.k = num_real, k

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        x = samples.x
        if len(x) <= self.k:
            return
        drawn = fresh_points(data, self.num_real + 4 * len(x))
        real, repeats = drawn[: self.num_real], drawn[self.num_real :].split(len(x))
        value = report.metrics["knn_kl"] = knn_kl(real, x, self.k)
        if groups := num_groups(len(real), len(x)):
            mine = groups_of(len(x), most=groups)
            without = [knn_kl(real, x[mine != g], self.k) for g in range(groups)]
            report.interval["knn_kl"] = jackknife_interval(value, without)
        floor = torch.tensor([knn_kl(real, own, self.k) for own in repeats])
        report.floor["knn_kl"], report.floor_interval["knn_kl"] = with_interval(floor)
        report.notes |= {"num_real": self.num_real, "k": self.k}
        report.remarks["knn_kl"] = "bits"
        report.pictures["samples"] = x
