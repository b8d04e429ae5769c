"""The divergence of samples from the law by nearest neighbours: no density is needed.

Read: `divergence`, the estimator; `NeighbourKL` draws, and takes the law's own score as the floor.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from genlab.metrics.base import Evaluation, Samples, check_count
from genlab.metrics.interval import groups_of, jackknife_interval
from genlab.metrics.near import PointCopies
from genlab.metrics.points import fresh_points, with_interval
from genlab.metrics.report import Data, Model, Report

GROUPS, FLOORS = (
    10,
    4,
)  # left out in turn, for the interval; draws of the law as large as the samples


def neighbours(points: Tensor, others: Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of `others` [M, D] to each of the points [N, D], in the maximum norm.

    Gives their distances and their numbers, each [N, k], the nearest first.
    """
    from sklearn.neighbors import KDTree

    tree = KDTree(others.double().numpy(), metric="chebyshev")
    return tree.query(points.double().numpy(), k=k)


def knn_kl(real: Tensor, samples: Tensor, k: int = 5) -> float:
    """KL(real | samples) in bits, from points [N, D] and [M, D]; consistent, not unbiased.

    D mean log2(nu_k / rho_k) + log2(M / (N - 1)): nu_k is the distance from a real point to its
    k-th nearest sample, rho_k to its k-th nearest other real point (Wang, Kulkarni and Verdu 2009,
    eq. 5; as NPEET computes it). The same point twice is at distance 0, which has no logarithm.
    """
    near = neighbours(real, real, k + 1)[0][:, -1]  # the nearest is the point itself
    far = neighbours(real, samples, k)[0][:, -1]
    return divergence(near, far, num=len(samples), dims=real.shape[1])


def divergence(near: np.ndarray, far: np.ndarray, *, num: int, dims: int) -> float:
    """The estimate from rho_k and nu_k, both [N], of `num` samples."""
    if not (near.min() > 0 and far.min() > 0):
        return math.nan
    mean = float(np.mean(np.log2(far) - np.log2(near)))
    return dims * mean + math.log2(num / (len(near) - 1))


def without(distance: np.ndarray, group: np.ndarray, left_out: int, k: int) -> np.ndarray:
    """The k-th distance in each row [N, K] among neighbours of other groups than one: [N].

    Of K = 5 k neighbours so many as to leave fewer than k are in one group of ten hardly ever; the
    farthest stands for the k-th then.
    """
    place = (np.cumsum(group != left_out, axis=1) >= k).argmax(1)
    short = (group != left_out).sum(1) < k
    place[short] = distance.shape[1] - 1
    return distance[np.arange(len(distance)), place]


class NeighbourKL(Evaluation):
    """KL(law | samples) in bits by k nearest neighbours, beside what draws of the law score."""

    kind = "points"
    near = PointCopies()
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
        if len(x) < max(GROUPS, self.k + 1):
            return
        drawn, dims = fresh_points(data, self.num_real + FLOORS * len(x)), x.shape[1]
        real, repeats = drawn[: self.num_real], drawn[self.num_real :].split(len(x))
        near = neighbours(real, real, self.k + 1)[0][:, -1]
        distance, number = neighbours(real, x, min(5 * self.k, len(x)))
        value = divergence(near, distance[:, self.k - 1], num=len(x), dims=dims)
        report.metrics["knn_kl"] = value
        group = groups_of(len(x), most=GROUPS).numpy()
        fewer = [
            divergence(
                near,
                without(distance, group[number], g, self.k),
                num=int((group != g).sum()),
                dims=dims,
            )
            for g in range(GROUPS)
        ]
        report.interval["knn_kl"] = jackknife_interval(value, fewer)
        floor = [
            divergence(near, neighbours(real, own, self.k)[0][:, -1], num=len(own), dims=dims)
            for own in repeats
        ]
        report.floor["knn_kl"], report.floor_interval["knn_kl"] = with_interval(torch.tensor(floor))
        report.notes |= {"num_real": self.num_real, "k": self.k}
        report.remarks["knn_kl"] = "bits"
        report.pictures["samples"] = x
