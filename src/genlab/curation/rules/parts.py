"""Parts: pictures that are another one with its edges cut off.

Read: `Parts.pairs`: windows of each picture are compared with other pictures as a whole, and what
is near is laid over it exactly (`laid`: least squares over the four sides of the window; Lucas &
Kanade 1981). `near` compares pictures as they are: a cut moves every pixel, and is not seen by it.
"""

from __future__ import annotations

import itertools

import numpy as np

from genlab.curation.rules.duplicates import Near
from genlab.curation.rules.pictures import Look, flat, standard

CUTS = (0.0, 0.06, 0.12)  # of a side, at each end: windows, between which `laid` finds its way
WINDOWS = np.array([(t, 1 - b, s, 1 - e) for t, b, s, e in itertools.product(CUTS, repeat=4)])
SMALL = 12  # cells a side of what windows are told by
MOST_CUT = 0.25  # of a side, at each end
ROUNDS, EARLY = 8, 3  # of least squares; after how many what is still unlike is given up


class Parts(Near):
    """Of two pictures, one of which is a part of the other, the first stays.

    Candidates are found as by `Look`: windows of one and the whole of the other, in grey, have the
    signs of their products with 16 random directions in common, once in BANDS times.
    """

    BANDS, MOST, CHUNK = 32, 50, 256  # MOST: windows that a picture is compared with, a band

    def __init__(self, *, near: float = 0.8, least: float = 0.9, patch: float = 36.0) -> None:
        """`near` and `least`: correlation with the nearest window, and with one laid exactly;
        `patch`: grey levels that an eighth of a side may differ by, in the mean."""
        if not 0 < near <= least <= 1 or patch <= 0:
            raise ValueError(f"near={near} least={least} patch={patch}: shares, and grey levels")
        super().__init__(Look())
        self.near, self.least, self.patch = near, least, patch

    def pairs(self, held: np.ndarray) -> np.ndarray:
        looks = np.ascontiguousarray(held).view(Look.TYPE)[:, 0]
        found = [np.empty((0, 2), np.int64)]
        candidates = self.candidates(looks["fine"])
        for i in range(0, len(candidates), self.CHUNK):
            some = candidates[i : i + self.CHUNK]
            found.append(some[self.is_part(looks[some[:, 0]], looks[some[:, 1]])])
        pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
        return pairs[np.lexsort(pairs.T)]

    def candidates(self, fine: np.ndarray) -> np.ndarray:
        """(a, b) [P, 2]: a window of picture a may be picture b."""
        directions = np.random.default_rng(0).standard_normal((SMALL**2, 16 * self.BANDS))
        directions = directions.astype(np.float32)
        keys = np.empty((len(fine), len(WINDOWS), self.BANDS), np.uint16)
        for i in range(0, len(fine), 128):
            signs = windows(fine[i : i + 128]) @ directions > 0
            keys[i : i + 128] = np.packbits(signs, axis=-1).view(np.uint16)
        known = np.empty(0, np.int64)
        for band in range(self.BANDS):
            mine, whole = keys[:, :, band].ravel(), keys[:, 0, band]
            order = np.argsort(mine, kind="stable")
            first, end = (np.searchsorted(mine[order], whole, side) for side in ("left", "right"))
            num = np.minimum(end - first, self.MOST)
            place = np.arange(num.sum()) - np.repeat(num.cumsum() - num, num)
            a = order[np.repeat(first, num) + place] // len(WINDOWS)
            b = np.repeat(np.arange(len(fine)), num)
            known = np.union1d(known, (a * len(fine) + b)[a != b])
        return np.stack(np.divmod(known, len(fine)), 1)

    def is_part(self, whole: np.ndarray, part: np.ndarray) -> np.ndarray:
        """Whether the pictures of looks `part` [P] are parts of those of `whole`; [P] bool."""
        likeness = (windows(whole["fine"]) * windows(part["fine"], WINDOWS[:1])).mean(2)
        found = likeness.max(1) >= self.near
        at = np.flatnonzero(found)
        start = WINDOWS[likeness[at].argmax(1)]
        sides, levels = laid(whole["fine"][at], part["fine"][at], start, least=self.least)
        colours = in_colour(whole["small"][at], part["small"][at], sides)
        found[at] = (levels <= self.patch) & (colours >= self.least)
        return found


def cells(low: np.ndarray, high: np.ndarray, num: int, side: int) -> np.ndarray:
    """Means of `num` cells of [low, high] over a side of `side` pixels, as weights [W, num, side].

    low, high [W] in [0, 1].
    """
    ends = side * (low[:, None] + (high - low)[:, None] * np.arange(num + 1) / num)
    to = np.minimum(ends[:, 1:, None], np.arange(1, side + 1))
    shared = np.clip(to - np.maximum(ends[:, :-1, None], np.arange(side)), 0, None)
    return (shared / shared.sum(2, keepdims=True)).astype(np.float32)


def between(low: np.ndarray, high: np.ndarray, side: int) -> np.ndarray:
    """`side` points of [low, high] read between pixels, as weights [P, side, side]."""
    points = side * (low[:, None] + (high - low)[:, None] * (np.arange(side) + 0.5) / side) - 0.5
    away = np.abs(points.clip(0, side - 1)[:, :, None] - np.arange(side))
    return np.clip(1 - away, 0, None).astype(np.float32)


def windows(fine: np.ndarray, at: np.ndarray = WINDOWS) -> np.ndarray:
    """Windows (top, bottom, left, right) at [W, 4] of pictures [N, F, F], small and brought to one
    mean and contrast [N, W, SMALL^2]."""
    side = fine.shape[-1]
    rows, columns = cells(at[:, 0], at[:, 1], SMALL, side), cells(at[:, 2], at[:, 3], SMALL, side)
    found = np.matmul(rows, fine[:, None].astype(np.float32))
    found = np.matmul(found, columns.transpose(0, 2, 1))
    return standard(found.reshape(-1, SMALL**2)).reshape(len(fine), len(at), SMALL**2)


def cut(fine: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """The windows `sides` [P, 4] of pictures [P, F, F], at their size, standardised [P, F^2]."""
    side = fine.shape[-1]
    rows, columns = (between(sides[:, i], sides[:, i + 1], side) for i in (0, 2))
    return standard(flat(rows @ fine @ columns.transpose(0, 2, 1)))


def laid(
    a: np.ndarray, b: np.ndarray, start: np.ndarray, *, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """The window of a that b is [P, 4], found from `start` on; a, b [P, F, F].

    And the grey levels by which the patch differs that differs most [P]: infinite where the two
    stay less alike than `least`.
    """
    a, b = a.astype(np.float32), b.astype(np.float32)
    goal, sides = standard(flat(b)), start.copy()
    step, best = 0.5 / b.shape[-1], np.full(len(a), -np.inf)
    kept, live = start.copy(), np.arange(len(a))
    for turn in range(ROUNDS):
        now = cut(a[live], sides[live])
        alike = (now * goal[live]).mean(1)
        better = alike > best[live]
        best[live[better]], kept[live[better]] = alike[better], sides[live[better]]
        if turn == EARLY:
            going = best[live] >= least - 0.1
            live, now = live[going], now[going]
        moved = sides[live, None] + step * np.eye(4)
        slopes = np.stack([(cut(a[live], moved[:, k]) - now) / step for k in range(4)], 1)
        square = slopes @ slopes.transpose(0, 2, 1)
        ridge = 1e-3 * np.maximum(1e-6, np.trace(square, axis1=1, axis2=2))[:, None, None]
        gap = slopes @ (goal[live] - now)[..., None]
        change = np.linalg.solve(square + ridge * np.eye(4), gap)[..., 0].clip(-0.05, 0.05)
        low = np.array([0, 1 - MOST_CUT, 0, 1 - MOST_CUT])
        sides[live] = (kept[live] + change).clip(low, low + MOST_CUT)
    apart = cut(a, kept) - goal
    contrast = np.maximum(flat(a).std(1), flat(b).std(1))
    patches = mean_patches((contrast[:, None] * apart).reshape(b.shape), b.shape[-1] // 8)
    return kept, np.where(best >= least, np.abs(patches).max((1, 2)), np.inf)


def in_colour(a: np.ndarray, b: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Correlation [P] of the colours of the windows `sides` of a with those of b.

    a, b: looks' small pictures [P, SIDE^2 * 3]. Of one shape in two colours it is far from 1.
    """
    side = Look.SIDE
    x, y = (v.reshape(-1, side, side, 3).transpose(0, 3, 1, 2).astype(np.float32) for v in (a, b))
    rows, columns = (between(sides[:, i], sides[:, i + 1], side)[:, None] for i in (0, 2))
    return (standard(flat(rows @ x @ columns.transpose(0, 1, 3, 2))) * standard(flat(y))).mean(1)


def mean_patches(x: np.ndarray, size: int) -> np.ndarray:
    """Means of all patches of `size` x `size` of x [P, F, F]."""
    for axis in (1, 2):
        end = x.shape[axis] - size + 1
        x = sum(np.take(x, range(i, i + end), axis) for i in range(size)) / size
    return x
