"""A known watermark is found wherever it lies, and covered; a picture without it is left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from genlab.curation.base import Change, Example, Leave
from genlab.curation.rules.watermark import Watermark, covered, likeness


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """White letters with a dark edge, transparent around them."""
    image = Image.new("RGBA", (80, 24), (0, 0, 0, 0))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=14)
    draw.text((4, 4), "genlab", font=font, fill="white", stroke_width=1, stroke_fill="black")
    image.crop(image.getbbox()).save(tmp_path / "mark.png")
    return tmp_path / "mark.png"


def picture(seed: int) -> np.ndarray:
    """Squares of any colour, in any places."""
    draw = np.random.default_rng(seed)
    found = np.full((96, 96, 3), draw.integers(0, 256, 3), np.uint8)
    for _ in range(12):
        y, x, h, w = draw.integers(0, 80, 2).tolist() + draw.integers(8, 40, 2).tolist()
        found[y : y + h, x : x + w] = draw.integers(0, 256, 3)
    return found


def marked(data: np.ndarray, mark: Path, y: int, x: int, opacity: float) -> np.ndarray:
    layer = np.asarray(Image.open(mark)).astype(float)
    h, w = layer.shape[:2]
    a = opacity * layer[..., 3:] / 255
    found = data.astype(float)
    found[y : y + h, x : x + w] = found[y : y + h, x : x + w] * (1 - a) + layer[..., :3] * a
    return found.round().astype(np.uint8)


def test_a_mark_is_found_where_it_is_and_only_there(template) -> None:
    rule, (h, w) = Watermark(template=str(template)), np.asarray(Image.open(template)).shape[:2]
    draw = np.random.default_rng(0)
    for seed in range(30):
        clean = picture(seed)
        assert rule(Example("a", clean)) is None
        # at the edges too
        y, x = [(0, 0), (96 - h, 96 - w)][seed] if seed < 2 else draw.integers(0, (96 - h, 96 - w))
        value, place, size = rule.find(marked(clean, template, int(y), int(x), 0.4))
        assert value > 0.5 and place == (y, x) and size == (h, w)
    said = rule(Example("a", marked(clean, template, int(y), int(x), 0.4)))
    assert isinstance(said, Leave) and said.why == "a watermark" and said.value == round(value, 3)


def test_marks_are_covered_one_after_another(template) -> None:
    rule = Watermark(template=str(template), do="cover")
    ground = np.zeros((96, 96, 3), np.uint8)
    ground[:] = np.linspace(40, 200, 96)[:, None, None]
    twice = marked(marked(ground, template, 8, 10, 0.6), template, 70, 40, 0.6)
    said = rule(Example("a", twice))
    assert isinstance(said, Change) and said.value > 0.5
    assert np.abs(said.data.astype(int) - ground).max() <= 8, "a slope goes on under the mark"
    assert rule(Example("a", said.data)) is None and rule(Example("a", ground)) is None


def test_other_sizes_are_looked_for_where_asked(template) -> None:
    image = Image.open(template)
    large = template.with_name("large.png")
    image.resize((image.width * 3 // 2, image.height * 3 // 2), Image.Resampling.LANCZOS).save(
        large
    )
    data = marked(picture(3), large, 20, 4, 0.5)
    assert Watermark(template=str(template))(Example("a", data)) is None
    said = Watermark(template=str(template), scales=[1.0, 1.5])
    assert said.find(data)[1:] == ((20, 4), tuple(np.asarray(Image.open(large)).shape[:2]))
    assert said(Example("a", data[:10])) is None, "the mark is larger than the picture"


def test_likeness_is_the_correlation(template) -> None:
    draw = np.random.default_rng(0)
    edges, pattern = draw.normal(size=(20, 24)), draw.normal(size=(5, 7))
    pattern -= pattern.mean()
    pattern /= np.linalg.norm(pattern)
    found = likeness(edges, pattern)
    for y, x in ((0, 0), (15, 17), (7, 3)):
        part = edges[y : y + 5, x : x + 7].ravel()
        assert found[y, x] == pytest.approx(abs(np.corrcoef(part, pattern.ravel())[0, 1]))


def test_a_part_that_fills_the_picture_becomes_its_mean() -> None:
    data = picture(0)
    assert np.ptp(covered(data, 0, 0, 96, 96), axis=(0, 1)).max() == 0


def test_mistakes(template, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"template=gone\.png: .*no such file"):
        Watermark(template="gone.png")
    with pytest.raises(ValueError, match="do=hide"):
        Watermark(template=str(template), do="hide")
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "none.png")
    with pytest.raises(ValueError, match="shows nothing"):
        Watermark(template=str(tmp_path / "none.png"))
