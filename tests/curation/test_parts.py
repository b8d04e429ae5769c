"""Pictures that are a part of another one: windows by brute force, sides that are found again."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from genlab.curation.base import Example
from genlab.curation.rules.duplicates import Near
from genlab.curation.rules.parts import (
    SMALL,
    Parts,
    between,
    cells,
    in_colour,
    laid,
    mean_patches,
    windows,
)
from genlab.curation.rules.pictures import Look


def picture(draw: np.random.Generator, side: int = 96) -> np.ndarray:
    """Smooth colours with some squares in them, uint8."""
    from PIL import Image

    small = draw.integers(0, 256, (7, 7, 3), dtype=np.uint8)
    found = np.array(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
    for y, x in draw.integers(0, side - 16, (4, 2)):
        found[y : y + 16, x : x + 16] = draw.integers(0, 256, 3)
    return found


def decided(rule: Near, pictures: list[np.ndarray]) -> dict[int, int]:
    said = rule.decide([rule.sketch(Example(str(i), x), None) for i, x in enumerate(pictures)])
    return {i: s.value.place for i, s in said.items()}


def test_cells_are_means_of_pixels() -> None:
    draw = np.random.default_rng(0)
    x = draw.random((1, 32))
    for low, high, num in ((0.0, 1.0, 12), (0.25, 0.75, 4), (0.1, 0.83, 7)):
        weights = cells(np.array([low]), np.array([high]), num, 32)[0]
        fine = np.repeat(x[0], 1000).reshape(-1)  # a thousandth of a pixel each
        ends = (32_000 * (low + (high - low) * np.arange(num + 1) / num)).round().astype(int)
        means = [fine[i:j].mean() for i, j in itertools.pairwise(ends)]
        assert weights @ x[0] == pytest.approx(means, abs=1e-3)
    assert between(np.zeros(1), np.ones(1), 32)[0] @ x[0] == pytest.approx(x[0])
    half = between(np.array([0.0]), np.array([0.5]), 32)[0] @ np.arange(32.0)
    assert half[1:] == pytest.approx(np.arange(1, 32) / 2 - 0.25)  # a ramp is read between pixels


def test_a_window_of_the_whole_is_the_picture_in_small() -> None:
    draw = np.random.default_rng(1)
    fine = draw.random((3, 36, 36)).astype(np.float32) * 255
    mean = fine.reshape(3, SMALL, 3, SMALL, 3).mean((2, 4)).reshape(3, -1)
    mean = (mean - mean.mean(1, keepdims=True)) / mean.std(1, keepdims=True)
    assert windows(fine)[:, 0] == pytest.approx(mean, abs=1e-4)


def test_the_sides_of_a_cut_are_found_again() -> None:
    """To a hundredth of a side, from a start three hundredths off; other pictures stay unlike."""
    from PIL import Image

    draw = np.random.default_rng(2)
    base = [picture(draw, 320) for _ in range(16)]
    sides = np.stack([draw.uniform([0, 0.85, 0, 0.85], [0.15, 1, 0.15, 1]) for _ in base])
    pixels = (320 * sides).round().astype(int)
    parts = [p[t:b, s:e] for p, (t, b, s, e) in zip(base, pixels)]

    def fine(x: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(x).convert("L").resize((32, 32), Image.Resampling.BOX))

    a, b = (np.stack([fine(x) for x in some]) for some in (base, parts))
    start = (sides + draw.uniform(-0.03, 0.03, sides.shape)).clip(0, 1)
    found, levels = laid(a, b, start, least=0.9)
    assert np.abs(found - pixels / 320).max(1).mean() < 0.01
    assert np.median(levels) < 15 and (levels < 26).mean() > 0.9
    _, others = laid(a, np.roll(b, 1, 0), start, least=0.9)
    assert np.isinf(others).all()


@pytest.mark.parametrize("edges", [(3, 3, 3, 3), (10, 10, 10, 10), (0, 0, 12, 0), (14, 0, 0, 14)])
def test_pictures_whose_edges_are_cut_off_are_found(edges: tuple[int, ...]) -> None:
    draw = np.random.default_rng(3)
    base = [picture(draw) for _ in range(24)]
    top, bottom, start, end = edges
    parts = [p[top : 96 - bottom, start : 96 - end] for p in base]
    found = decided(Parts(), [*base, *parts])
    assert sum(found.get(24 + i) == i for i in range(24)) >= 23
    assert not [i for i in found if i < 24]
    assert sum(24 + i in decided(Near(Look()), [*base, *parts]) for i in range(24)) <= 8
    first = decided(Parts(), [*parts, *base])  # the part came first: then the whole is left out
    assert sum(first.get(24 + i) == i for i in range(24)) >= 23


def test_one_shape_in_two_colours_is_two_pictures() -> None:
    ground = np.full((64, 64, 3), 255, np.uint8)
    y, x = np.mgrid[:64, :64]
    disc = (y - 32) ** 2 + (x - 32) ** 2 < 24**2
    red, blue, small = ground.copy(), ground.copy(), ground.copy()
    red[disc], blue[disc], small[disc] = (200, 60, 60), (60, 60, 210), (200, 60, 60)
    small = small[3:61, 3:61]
    assert decided(Parts(), [red, blue, small]) == {2: 0}
    looks = [np.frombuffer(Look().of(x), Look.TYPE)["small"] for x in (red, blue, red)]
    whole = np.array([[0.0, 1.0, 0.0, 1.0]])
    assert in_colour(looks[0], looks[2], whole)[0] == pytest.approx(1, abs=1e-4)
    assert in_colour(looks[0], looks[1], whole)[0] < 0.8


def test_patches_are_means_of_squares() -> None:
    x = np.arange(2 * 6 * 6.0).reshape(2, 6, 6) ** 1.5
    found = mean_patches(x, 4)
    assert found.shape == (2, 3, 3)
    assert found[1, 2, 0] == pytest.approx(x[1, 2:6, 0:4].mean())


def test_hardly_any_pictures_and_odd_limits() -> None:
    assert decided(Parts(), []) == {}
    assert decided(Parts(), [np.zeros((40, 40, 3), np.uint8)]) == {}
    for words, match in (({"near": 0.95}, "near=0.95"), ({"patch": 0}, "patch=0")):
        with pytest.raises(ValueError, match=match):
            Parts(**words)
