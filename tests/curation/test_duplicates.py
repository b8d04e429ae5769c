"""Duplicates: exact ones all, near ones by the likeness that is asked for, and no chains."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from made import documents

from genlab.curation.base import Example, Leave, Twin
from genlab.curation.kinds.texts import Texts
from genlab.curation.rules.duplicates import Exact, Near, Words, pairs_of, runs
from genlab.curation.rules.pictures import Look


def decided(rule, items, kind=None) -> dict[int, int]:
    said = rule.decide([rule.sketch(Example(str(i), x), kind) for i, x in enumerate(items)])
    assert all(isinstance(s, Leave) and isinstance(s.value, Twin) for s in said.values())
    return {i: s.value.place for i, s in said.items()}


def test_exact_duplicates_are_all_found_and_nothing_else() -> None:
    texts = documents(50)
    items = [*texts, texts[3], texts[3], texts[7], texts[7] + " "]
    assert decided(Exact(), items, Texts()) == {50: 3, 51: 3, 52: 7}


def changed(text: str, share: float, draw: random.Random) -> str:
    words = text.split(" ")
    for i in range(len(words)):
        if draw.random() < share:
            words[i] = "other"
    return " ".join(words)


def jaccard(a: str, b: str) -> float:
    x, y = set(runs(a, 5)), set(runs(b, 5))
    return len(x & y) / len(x | y)


def test_near_duplicates_of_texts_by_their_likeness() -> None:
    pytest.importorskip("rensa")
    draw, texts = random.Random(0), documents(300)
    near = [changed(t, 0.01, draw) for t in texts[:150]]
    far = [changed(t, 0.12, draw) for t in texts[150:]]
    found = decided(Near(Words()), [*texts, *near, *far])
    alike = {300 + i for i in range(300) if jaccard(texts[i], (near + far)[i]) >= 0.8}
    unlike = {300 + i for i in range(300) if jaccard(texts[i], (near + far)[i]) < 0.5}
    assert len(alike) > 100 and len(unlike) > 100
    assert len(alike & found.keys()) / len(alike) >= 0.98, "recall"
    assert not unlike & found.keys() and not [i for i in found if i < 300], "precision"
    assert all(found[i] == i - 300 for i in found)


def test_likeness_is_not_handed_on() -> None:
    pytest.importorskip("rensa")
    words = documents(1)[0].split(" ")[:80]
    chain = [" ".join(words[i * 14 :] + [f"new{k}" for k in range(i * 14)]) for i in range(5)]
    assert jaccard(chain[0], chain[1]) > 0.65 and jaccard(chain[0], chain[2]) < 0.5
    assert decided(Near(Words(least=0.57, bands=28, rows=4)), chain) == {1: 0, 3: 2}


def test_pairs_of_a_large_group_are_bounded() -> None:
    assert len(pairs_of(np.arange(5), 200)) == 10
    found = pairs_of(np.arange(1000), 200)
    assert len(found) == 1997 and (found[:, 0] < found[:, 1]).all()


def picture(draw: np.random.Generator) -> np.ndarray:
    """Smooth colours, [64, 64, 3] uint8."""
    from PIL import Image

    small = draw.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC))


def as_jpeg(data: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(data).save(file, "JPEG", quality=quality)
    return np.array(Image.open(io.BytesIO(file.getvalue())))


def test_near_duplicates_of_pictures() -> None:
    from PIL import Image

    draw = np.random.default_rng(0)
    base = [picture(draw) for _ in range(200)]
    half = [np.array(Image.fromarray(p).resize((40, 40), Image.Resampling.LANCZOS)) for p in base]
    darker = [(p * 0.8).astype(np.uint8) for p in base]
    packed = [as_jpeg(p, 30) for p in base]
    found = decided(Near(Look()), [*base, *half, *darker, *packed])
    right = {i: i % 200 for i in range(200, 800)}
    assert sum(found.get(i) == at for i, at in right.items()) / len(right) >= 0.99
    assert not [i for i in found if i < 200]
