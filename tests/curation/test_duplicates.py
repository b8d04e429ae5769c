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


def test_words_changed_here_and_there_are_no_difference_and_half_a_text_is() -> None:
    """One word in 50 leaves 0.83 of the runs of five: as many as a text of which a sixth is new."""
    pytest.importorskip("rensa")
    draw, texts = random.Random(1), documents(400)
    words = [t.split(" ") for t in texts]
    scattered = [changed(t, 0.02, draw) for t in texts[:200]]
    # 0.6 of the one and then 0.4 of another: 0.43 of the runs and about half of the words
    halves = [" ".join([*a[: len(a) * 3 // 5], *b[len(b) * 3 // 5 :]])
              for a, b in zip(words[200:300], words[300:])]  # fmt: skip
    found = decided(Near(Words()), [*texts, *scattered, *halves])
    right = sum(found.get(400 + i) == i for i in range(200))
    assert right >= 0.98 * 200 and len(found) == right


def test_unlike_texts_share_no_hashes() -> None:
    """16 bits of a hash are enough: two texts without a common word share next to none."""
    pytest.importorskip("rensa")
    a, b = (" ".join(f"{c}{i}" for i in range(400)) for c in "ab")
    held = [np.frombuffer(Words().of(text), np.uint16) for text in (a, b)]
    assert held[0].nbytes == 2 * (28 * 4 + 64) and (held[0] == held[1]).sum() <= 1
    assert len(np.unique(held[0])) > 170


def test_groups_of_a_key_are_all_gone_through() -> None:
    class Keyed(Words):
        def bands(self, sketches: np.ndarray):
            yield np.array([7, 3, 7, 3, 9, 7, 2**64 - 1, 2**64 - 1], np.uint64)

        def alike(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.ones(len(a), bool)

    found = Near(Keyed()).decide([bytes([i]) for i in range(8)])
    assert {i: said.value.place for i, said in found.items()} == {2: 0, 3: 1, 5: 0, 7: 6}


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


def test_pictures_that_differ_in_one_place_are_two() -> None:
    """Signs with another letter share 0.97 of their variance, and clips may differ in a frame."""
    draw = np.random.default_rng(1)
    base = [picture(draw) for _ in range(100)]
    other = [p.copy() for p in base]
    for p in other:
        y, x = draw.integers(0, 56, 2)
        patch = p[y : y + 8, x : x + 8]  # a 64th of it
        patch[:] = np.clip(patch + (60.0 if patch.mean() < 128 else -60.0), 0, 255)
    held = np.stack([np.frombuffer(Look().of(p), np.uint8) for p in base + other])
    first, second = held[:100], held[100:]
    assert Look(patch=1e3).alike(first, second).all(), "the whole does not tell them apart"
    assert not Look().alike(first, second).any()
    assert Look().alike(first, first).all() and len(Look().differing(first[:0], first[:0])) == 0
    with pytest.raises(ValueError, match="patch=0"):
        Look(patch=0)


def test_a_patch_is_measured_in_grey_levels() -> None:
    """A square of 3 x 3 pixels of the finer picture, 40 levels lighter: 40, less what the mean and
    the contrast of the whole take up."""
    ground = np.full((64, 64, 3), 100, np.uint8)
    ground[:32] = 200
    lighter = ground.copy()
    lighter[40:46, 20:26] += 40
    a, b = (np.frombuffer(Look().of(p), np.uint8)[None] for p in (ground, lighter))
    assert Look().differing(a, b)[0] == pytest.approx(40, abs=1.5)
    darker = (lighter * 0.5).astype(np.uint8)  # as bright as it was, once the contrast is one
    c = np.frombuffer(Look().of(darker), np.uint8)[None]
    assert Look().differing(b, c)[0] < 1.5
