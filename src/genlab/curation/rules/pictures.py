"""Rules of pictures: size, sharpness, borders; and the look by which near copies are found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from genlab.curation.base import Change, Each, Example, Leave
from genlab.curation.rules.duplicates import Sketch

FLAT = 4.0  # standard deviation of grey levels under which a picture is one colour


class PictureRule(Each):
    kinds: ClassVar[tuple[str, ...]] = ("image",)


class Size(PictureRule):
    """Not too small, and not too long for its breadth."""

    def __init__(self, *, least: int = 32, ratio: float = 3.0) -> None:
        """`least`: pixels of the shorter side; `ratio` of the longer to it, at most."""
        self.least, self.ratio = least, ratio

    def __call__(self, example: Example) -> Leave | None:
        low, high = sorted(example.data.shape[:2])
        if low < self.least:
            return Leave(f"a side under {self.least} pixels", low)
        if high > self.ratio * low:
            return Leave(f"over {self.ratio} times as long as broad", round(high / low, 2))
        return None


class Sharp(PictureRule):
    """Not blurred: its edges beside what a small blur leaves of them (Crete et al. 2007)."""

    def __init__(self, *, least: float = 0.45) -> None:
        """`least`: the share of neighbouring differences that a blur over 9 pixels takes away; a
        sharp picture loses much, a blurred one little."""
        self.least = least

    def __call__(self, example: Example) -> Leave | None:
        value = sharpness(grey(example.data))
        return Leave("blurred", round(value, 3)) if value < self.least else None


class Noise(PictureRule):
    """Not noise: neighbouring pixels go together, as they do in whatever shows something."""

    def __init__(self, *, least: float = 0.2) -> None:
        """`least`: the correlation of grey levels with those beside them, and below them."""
        self.least = least

    def __call__(self, example: Example) -> Leave | None:
        luma = grey(example.data)
        value = max(correlation(p[:, 1:], p[:, :-1]) for p in (luma, luma.T))
        return Leave("noise", round(value, 3)) if value < self.least else None


class Blank(PictureRule):
    """Not one colour all over: the standard deviation of its grey levels."""

    def __init__(self, *, least: float = FLAT) -> None:
        self.least = least

    def __call__(self, example: Example) -> Leave | None:
        value = float(grey(example.data).std())
        return Leave("nearly one colour", round(value, 2)) if value < self.least else None


class Borders(PictureRule):
    """Borders of one colour are cut off."""

    def __init__(self, *, slack: int = 6, most: float = 0.6) -> None:
        """`slack`: how far grey levels of a border may differ; `most` of a side that is cut."""
        self.slack, self.most = slack, most

    def __call__(self, example: Example) -> Change | None:
        data = example.data
        differs = np.abs(data.astype(np.int16) - data[0, 0]).max(2) > self.slack
        rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        if not len(rows) or not len(columns):
            return None  # one colour: the rule `blank`
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        cut = 1 - (bottom - top) * (right - left) / (data.shape[0] * data.shape[1])
        least = 1 - self.most
        if cut == 0 or min((bottom - top) / data.shape[0], (right - left) / data.shape[1]) < least:
            return None
        # at least two sides' worth: a subject that touches no edge has a ground, not a border
        whole = [differs[a, b].mean() for a, b in (
            (top, slice(left, right)), (bottom - 1, slice(left, right)),
            (slice(top, bottom), left), (slice(top, bottom), right - 1))]  # fmt: skip
        if min(whole) < 0.5:
            return None
        inner = data[top:bottom, left:right]
        if float(grey(inner).std()) < FLAT:
            return None  # a plain shape on a plain ground
        return Change("a border", round(float(cut), 3), data=inner.copy())


def grey(picture: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 as luma [H, W] float32."""
    return picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, of all entries; 1 where one of them does not vary."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / size if size > 1e-9 else 1.0


def sharpness(luma: np.ndarray) -> float:
    """1 less the blur measure of Crete et al. 2007, of the worse direction: 0 blurred, 1 sharp."""
    found = []
    for plane in (luma, luma.T):
        if plane.shape[1] < 11:
            continue
        whole = np.cumsum(np.pad(plane, ((0, 0), (5, 4)), mode="edge"), axis=1)
        blurred = (whole[:, 9:] - whole[:, :-9]) / 9
        sharp, soft = np.abs(np.diff(plane)), np.abs(np.diff(blurred[:, : plane.shape[1]]))
        lost = np.maximum(0, sharp - soft).sum()
        found.append(lost / max(sharp.sum(), 1e-6))
    return float(min(found, default=1.0))


class Look(Sketch):
    """A small picture in colour and a finer one in grey, brought to one mean and contrast.

    Candidates are found by the signs of the small one's products with random directions (Charikar
    2002), 40 times 16 of them: two pictures that share 0.95 of their variance differ in one sign of
    ten, and are missed once in 3,000. Two are alike if `least` of the variance is in both, and no
    patch of the finer ones differs by more than `patch`: signs of which one has another letter, or
    figures of another skin, share all but a hundredth of their variance, in one place.
    """

    kinds: ClassVar = ("image",)
    SIDE: ClassVar = 16
    FINE: ClassVar = 32
    PATCH: ClassVar = 3  # pixels of the finer picture: packing moves one, and a mean of 9 little
    BANDS: ClassVar = 40
    TYPE: ClassVar = np.dtype([("small", "u1", SIDE * SIDE * 3), ("fine", "u1", (FINE, FINE))])

    def __init__(self, *, least: float = 0.97, patch: float = 16.0) -> None:
        """`least`: of the variance that is in both; `patch`: grey levels, in the mean of one."""
        if not 0 < least <= 1 or patch <= 0:
            raise ValueError(f"least={least} patch={patch}: a share, and grey levels")
        self.least, self.patch = least, patch

    def of(self, data: np.ndarray) -> bytes:
        from PIL import Image

        found, image = np.zeros((), self.TYPE), Image.fromarray(data)
        small = image.resize((self.SIDE, self.SIDE), Image.Resampling.BOX)
        found["small"] = np.asarray(small, np.uint8).ravel()
        fine = image.convert("L").resize((self.FINE, self.FINE), Image.Resampling.BOX)
        found["fine"] = np.asarray(fine, np.uint8)
        return found.tobytes()

    def bands(self, sketches: np.ndarray) -> Iterator[np.ndarray]:
        draws, small = np.random.default_rng(0), self.small(sketches)
        rows = range(0, len(small), 4096)
        for _ in range(self.BANDS):
            directions = draws.standard_normal((small.shape[1], 16), np.float32)
            products = [standard(small[i : i + 4096].astype(np.float32)) for i in rows]
            signs = np.concatenate([p @ directions > 0 for p in products])
            yield np.packbits(signs, axis=1).view(np.uint16)[:, 0].astype(np.uint64)

    def fields(self, sketches: np.ndarray) -> np.ndarray:
        """Of each example one look, or one of each of its frames [N, looks]."""
        return np.ascontiguousarray(sketches).view(self.TYPE)

    def small(self, sketches: np.ndarray) -> np.ndarray:
        return flat(self.fields(sketches)["small"])

    def alike(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        first, second = (standard(self.small(s).astype(np.float32)) for s in (a, b))
        found = 1 - ((first - second) ** 2).mean(1) / 2 >= self.least
        at = np.flatnonzero(found)
        found[at] = self.differing(a[at], b[at]) <= self.patch
        return found

    def differing(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """By how many grey levels the patch differs that differs most [P]."""
        fine = [self.fields(s)["fine"] for s in (a, b)]  # [P, looks, FINE, FINE]
        x, y = (flat(f).astype(np.float32) for f in fine)
        contrast = np.maximum(x.std(1), y.std(1))[:, None]
        apart = (contrast * (standard(x) - standard(y))).reshape(fine[0].shape)
        for axis in (2, 3):
            end = self.FINE - self.PATCH + 1
            shifted = (np.take(apart, range(i, i + end), axis) for i in range(self.PATCH))
            apart = sum(shifted) / self.PATCH
        return np.abs(apart).max((1, 2, 3))


def flat(x: np.ndarray) -> np.ndarray:
    """[N, ...] as [N, D], whatever N is."""
    return x.reshape(len(x), int(np.prod(x.shape[1:])))


def standard(x: np.ndarray) -> np.ndarray:
    """Rows [N, D] with mean 0 and standard deviation 1 (that of a flat one is taken to be 1)."""
    return (x - x.mean(1, keepdims=True)) / np.maximum(x.std(1, keepdims=True), 1.0)
