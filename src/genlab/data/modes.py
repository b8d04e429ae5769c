"""A column of numbers as CTGAN has it: which of several normal laws, and where in it.

Read: `Modes.within`; the modes are found by a Bayesian mixture (Xu et al. 2019, arXiv 1907.00503,
section 4.2, mode-specific normalisation). Ranks made normal (`Numbers`, what is taken unless
data.columns says modes) have the training rows' law exactly; modes suit a net that finds it hard to
put two hills into one number.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from genlab.data.columns import Numbers, figures
from genlab.shown import figure

MOST = 10  # modes that are looked for
LEAST = 0.005  # the share of rows that makes one
FITTED = 10_000  # rows that they are found from, evenly by rank
WIDE = 4.0  # x is 1 at so many standard deviations from a mode's mean


class Modes(Numbers):
    """x = (value - mean_k) / (4 std_k), and +1 for mode k, which is the likeliest of the value."""

    kind = "modes"
    keys = {"decimals", "missing", "means", "stds", "shares", "low", "high"}
    lists = ("means", "stds", "shares")

    def __init__(
        self,
        name: str,
        *,
        means: Sequence[float],
        stds: Sequence[float],
        shares: Sequence[float],
        low: float,
        high: float,
        decimals: int | None,
        missing: bool,
    ) -> None:
        """`decimals` that are kept, None for all; `low` and `high` are the training rows' ends."""
        self.name, self.decimals, self.missing = name, decimals, missing
        self.low, self.high = float(low), float(high)
        self.means, self.stds, self.shares = (
            np.asarray(v, np.float64) for v in (means, stds, shares)
        )

    @classmethod
    def fit(cls, name: str, numbers: np.ndarray, *, decimals: int | None, missing: bool) -> Self:
        """`numbers` [N] of the training rows, nan where missing."""
        from sklearn.mixture import BayesianGaussianMixture

        there = np.sort(numbers[~np.isnan(numbers)])
        if len(there) == 0 or there[0] == there[-1]:
            alone = float(there[0]) if len(there) else 0.0
            laws = {"means": [alone], "stds": [max(1e-6, abs(alone) * 1e-6)], "shares": [1.0]}
            return cls(name, **laws, low=alone, high=alone, decimals=decimals, missing=missing)
        ends = {"low": there[0], "high": there[-1]}
        if len(there) > FITTED:
            there = there[np.linspace(0, len(there) - 1, FITTED).round().astype(int)]
        middle, scale = there.mean(), there.std()
        mixture = BayesianGaussianMixture(
            n_components=min(MOST, len(np.unique(there))), max_iter=100, random_state=0,
            weight_concentration_prior=1e-3,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 100 rounds are enough, converged or not
            mixture.fit(((there - middle) / scale)[:, None])
        kept = np.flatnonzero(mixture.weights_ > LEAST)
        means = mixture.means_[kept, 0] * scale + middle
        stds = np.sqrt(mixture.covariances_[kept, 0, 0]) * scale
        order = np.argsort(means)
        shares = mixture.weights_[kept] / mixture.weights_[kept].sum()
        return cls(name, means=means[order], stds=stds[order], shares=shares[order],
                   **ends, decimals=decimals, missing=missing)  # fmt: skip

    @property
    def ends(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def widths(self) -> list[int]:
        block = max(2, len(self.means))  # a block of 1 would be a number
        return [1, block, 2] if self.missing else [1, block]

    def within(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x [N], nan where missing, and the mode [N]."""
        v = np.nan_to_num(numbers)[:, None]
        z = (v - self.means) / self.stds
        mode = (np.log(self.shares) - np.log(self.stds) - z**2 / 2).argmax(1)
        mode = np.where(np.isnan(numbers), self.shares.argmax(), mode)
        x = z[np.arange(len(z)), mode] / WIDE
        return np.where(np.isnan(numbers), np.nan, x), mode

    def lay(self, values: np.ndarray) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[Any]]:
        x, mode = self.within(values)
        flags = [1 + self.widths[1] + np.isnan(values)] if self.missing else []
        return [(x, np.zeros_like(x))], [1 + mode, *flags]

    def decode(self, block: np.ndarray) -> list[Any]:
        """block [N, sum of widths] -> numbers; None where missing."""
        k = block[:, 1 : 1 + len(self.means)].argmax(1)
        found = block[:, 0].astype(np.float64) * WIDE * self.stds[k] + self.means[k]
        found = found.clip(self.low, self.high)
        if self.decimals is not None:
            found = found.round(self.decimals)
        numbers = [int(v) for v in found] if self.decimals == 0 else found.tolist()
        if not self.missing:
            return numbers
        flags = block[:, 1 + self.widths[1] :]
        return [None if g else v for v, g in zip(numbers, flags[:, 1] > flags[:, 0])]

    @classmethod
    def holds(cls, state: dict[str, Any]) -> bool:
        decimals = state["decimals"]
        few = decimals is None or (type(decimals) is int and abs(decimals) < 300)
        lists = [state[k] for k in cls.lists]
        if not few or not figures(*lists) or len(lists[0]) > MOST:
            return False
        if not figures([state["low"], state["high"]]) or state["low"] > state["high"]:
            return False
        positive = min(state["stds"]) > 0 and min(state["shares"]) > 0
        if decimals and not max(map(abs, [*lists[0], *lists[1]])) * 10.0**decimals < 1e290:
            return False  # it could not be rounded so
        return isinstance(state["missing"], bool) and positive

    def state(self) -> dict[str, Any]:
        return {**super().state(), "low": self.low, "high": self.high}

    def typical(self, num: int) -> list[Any]:
        """Of each mode its share, spread over two standard deviations."""
        ends = np.cumsum(self.shares)
        u = (np.arange(num) + 0.5) / num
        k = np.searchsorted(ends, u).clip(max=len(ends) - 1)
        part = (u - (ends[k] - self.shares[k])) / self.shares[k]
        block = np.zeros((num, sum(self.widths)))
        block[:, 0] = (4 * part - 2) / WIDE
        block[np.arange(num), 1 + k] = 1
        return self.decode(block)

    def __str__(self) -> str:
        count = f"{len(self.means)} modes" if len(self.means) > 1 else "one mode"
        told = ", ".join(figure(m) for m in self.means)
        return f"{self.name} {count} around {told}{' or missing' if self.missing else ''}"
