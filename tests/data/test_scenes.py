"""Captioned shapes: what is drawn is read back exactly, what is said is understood, held out is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from genlab.data.captions import NUMBERS, Part, Wanted, fits, meaning, say
from genlab.data.scene_law import (
    CASES,
    HELD_PAIRS,
    HELD_THREE,
    HELD_TWO,
    PAIRS,
    SceneLaw,
    held,
)
from genlab.data.scene_reader import covers, read, template_errors
from genlab.data.scenes import COLOURS, FORMS, SHAPES, SIZES, Thing, drawn, things
from genlab.data.shapes import PARTS, CaptionedShapes
from genlab.rng import generator


def shapes(**more) -> CaptionedShapes:
    return CaptionedShapes(**({"batch_size": 12, "seed": 3} | more))


@pytest.fixture(scope="module")
def data() -> CaptionedShapes:
    made = shapes()
    made.load()
    return made


LAW = SceneLaw(shares=(0.2, 0.4, 0.4), grid=1)


@pytest.fixture(scope="module")
def batch():
    """Scenes of all cases, their pictures and what they are."""
    made = LAW.draw(700, generator("test"))
    numbers = made.form, made.colour, made.top, made.left
    return made, made.pictures(), things(*numbers)


def test_what_is_drawn_is_read_back_exactly(batch) -> None:
    _, pictures, scenes = batch
    assert [set(s) for s in read(pictures)] == [set(s) for s in scenes]


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_shapes_stand_on_the_grid_and_are_read_there(grid: int) -> None:
    made = SceneLaw(shares=(0.2, 0.4, 0.4), grid=grid).draw(300, generator("grid"))
    corners = torch.cat([made.top, made.left])
    assert corners.remainder(grid).eq(0).all()
    assert corners.remainder(2 * grid).ne(0).any(), "and on no coarser one"
    scenes = things(made.form, made.colour, made.top, made.left)
    assert [set(s) for s in read(made.pictures())] == [set(s) for s in scenes]
    for scene, words in zip(scenes, made.captions, strict=True):
        assert fits(meaning(words.split()), scene)


def test_a_grid_that_does_not_divide_the_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.grid=3: allowed are 1, 2, 4"):
        shapes(grid=3)


def test_every_shape_is_read_in_every_colour_and_place() -> None:
    scenes = [
        (Thing(shape, colour, size, x, y),)
        for shape, size in FORMS
        for colour in COLOURS
        for half in [SIZES[size] / 2]
        for x, y in [(half, half), (32 - half, half), (half, 32 - half), (17.0, 15.0)]
    ]
    assert read(drawn(scenes)) == scenes


def test_noise_and_blur_as_samples_have_them_change_nothing(batch) -> None:
    _, pictures, scenes = batch
    pictures, scenes = pictures[:300].float(), scenes[:300]
    noise = torch.randn(pictures.shape, generator=generator("noise"))
    kernel = torch.tensor([[1.0, 2, 1], [2, 12, 2], [1, 2, 1]]).div(24).expand(3, 1, 3, 3)
    blurred = F.conv2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
    for seen in (pictures + 10 * noise, blurred + 10 * noise):
        found = read(seen.round().clamp(0, 255).to(torch.uint8))
        near = [sorted(t[:3] for t in s) if s else s for s in found]
        assert near == [sorted(t[:3] for t in s) for s in scenes]


def damaged(name: str) -> torch.Tensor:
    """A picture that is no scene."""
    picture = drawn([(Thing("circle", "red", "large", 12.0, 12.0),)]).float()
    if name == "half a shape":
        picture[..., 12:] = torch.tensor([24.0, 24, 32]).view(1, 3, 1, 1)
    elif name == "between two colours":
        picture = picture[:, [0, 2, 1]] * 0.5 + picture * 0.5
        picture[:, 1] *= 2.2
    elif name == "a blob beside it":
        picture[:, :, 26:30, 26:30] = 240.0
    elif name == "two colours in one":
        picture[..., :12] = drawn([(Thing("circle", "blue", "large", 12.0, 12.0),)])[..., :12]
    elif name == "noise":
        picture = 128 + 60 * torch.randn(1, 3, 32, 32, generator=generator("x"))
    elif name == "between circle and square":
        picture += drawn([(Thing("square", "red", "large", 12.0, 12.0),)])
        picture /= 2
    return picture.clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(
    "name",
    [
        "half a shape", "between two colours", "a blob beside it", "two colours in one", "noise",
        "between circle and square",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_none(name: str) -> None:
    assert read(damaged(name)) == [None]


def test_an_empty_picture_is_an_empty_scene() -> None:
    assert read(drawn([()])) == [()]


def test_the_templates_are_apart_from_each_other() -> None:
    for shape, size in FORMS:
        cover = covers(drawn([(Thing(shape, "white", size, 16.0, 16.0),)]))[0].sum(1)
        best = template_errors(cover)[0].flatten(1).min(1).values
        assert best.sort().values[0] < 1e-3 and best.sort().values[1] > 0.15


# --- captions -------------------------------------------------------------------------------------


def test_captions_are_true_of_their_pictures_and_of_few_others(batch) -> None:
    made, _, scenes = batch
    wanted = [meaning(c.split()) for c in made.captions]
    assert all(fits(w, s) for w, s in zip(wanted, scenes, strict=True))
    assert sum(fits(w, s) for w, s in zip(wanted, scenes[1:])) < 0.02 * len(scenes)


def test_every_phrasing_is_understood() -> None:
    for part in (Part(1, "small", "red", "cross"), Part(1, None, None, None)):
        other = Part(1, "large", "blue", None)
        for relation in ("left", "right", "above", "below"):
            for i in range(40):
                choice = [(i * k % 7) / 7 for k in (1, 2, 3, 5)]
                words = say(Wanted((part, other), relation), choice).split()
                assert meaning(words) == Wanted((part, other), relation), words
                assert set(words) <= set(NUMBERS) and len(words) <= 16
    assert len({say(Wanted((part, other), "left"), [i / 8, 0, j / 8, k / 8])
                for i in range(8) for j in range(8) for k in range(8)}) > 8  # fmt: skip


A, B = Thing("circle", "red", "small", 6.0, 6.0), Thing("square", "blue", "large", 22.0, 9.0)


@pytest.mark.parametrize(
    ("words", "scene", "true"),
    [
        ("a red circle left of a blue square", (A, B), True),
        ("a red circle left of a blue square", (B, A), True),
        ("a blue square to the right of a small circle", (A, B), True),
        ("a red circle right of a blue square", (A, B), False),
        ("a red circle above a blue square", (A, B), False),
        ("a red square left of a blue circle", (A, B), False),
        ("a large red circle left of a blue square", (A, B), False),
        ("a red circle", (A, B), False),
        ("a red circle", (A,), True),
        ("two red circles", (A, A._replace(x=20.0)), True),
        ("three red circles", (A, A._replace(x=20.0)), False),
        ("two red circles and a blue square", (A, B, A._replace(y=20.0)), True),
        ("two small shapes and a large shape", (A, B, A._replace(y=20.0)), True),
        ("two blue squares and a red circle", (A, B, A._replace(y=20.0)), False),
    ],
)
def test_what_fits(words: str, scene, true: bool) -> None:
    assert fits(meaning(words.split()), scene) is true


@pytest.mark.parametrize("words", ["red", "a red circle left of", "a circle and", "of the left"])
def test_words_that_are_no_caption(words: str) -> None:
    assert meaning(words.split()) is None


# --- held out -------------------------------------------------------------------------------------


def combination(scene) -> tuple:
    """What HELD_PAIRS and the tables speak of, from the scene alone."""
    pairs = [PAIRS.index((t.colour, t.shape)) for t in scene]
    if len(scene) == 2:
        a, b = scene
        beside = abs(a.x - b.x) > abs(a.y - b.y)
        if (a.x > b.x) if beside else (a.y > b.y):
            pairs = pairs[::-1]
        return "two", pairs[0], pairs[1], int(not beside)
    if len(scene) == 3:
        one = min(pairs, key=pairs.count)
        return "three", max(pairs, key=pairs.count), one
    return "one", pairs[0]


def test_training_never_shows_what_is_held_out(batch) -> None:
    made, _, scenes = batch
    assert not any((t.colour, t.shape) in HELD_PAIRS for s in scenes for t in s)
    for scene in scenes:
        case, *key = combination(scene)
        assert case == "one" or not (HELD_TWO if case == "two" else HELD_THREE)[tuple(key)]
    assert {held(meaning(c.split())) for c in made.captions} == {False, None}


def test_val_has_both_halves_in_turn_and_names_all(data) -> None:
    conds = data.val.captions
    assert [data.part(c) for c in conds] == [PARTS[i % 6] for i in range(len(conds))]
    some = data.val.batch(torch.arange(240))
    assert data.right(some["x"], some["cond"]) == [True] * 240
    scenes = data.scenes(some["x"])
    for i, scene in enumerate(scenes):
        case, *key = combination(scene)
        assert case == PARTS[i % 6][0]
        is_held = (
            PAIRS[key[0]] in HELD_PAIRS
            if case == "one"
            else bool((HELD_TWO if case == "two" else HELD_THREE)[tuple(key)])
        )
        assert is_held == (PARTS[i % 6][1] == "held_out")


def test_every_pair_is_shown_unless_it_is_held_out() -> None:
    made = LAW.draw(1500, generator("pairs"))
    shown = {(t.colour, t.shape) for s in things(*made[:4]) for t in s}
    assert shown == set(PAIRS) - HELD_PAIRS
    assert {len(s) for s in things(*made[:4])} == {1, 2, 3} == set(range(1, len(CASES) + 1))
    assert {s for _, s in HELD_PAIRS} == set(SHAPES)


# --- data -----------------------------------------------------------------------------------------


def test_a_batch_is_a_function_of_seed_and_number() -> None:
    a, b = shapes().train_batch(5), shapes().train_batch(5)
    assert torch.equal(a["x"], b["x"]) and torch.equal(a["cond"], b["cond"])
    assert not torch.equal(a["x"], shapes().train_batch(6)["x"])
    assert not torch.equal(a["x"], shapes(seed=4).train_batch(5)["x"])
    shares = [shapes().train_batch(5, rank=r, world=3)["x"] for r in range(3)]
    assert torch.equal(torch.cat(shares), a["x"])
    assert shapes().fingerprint() == shapes(seed=9).fingerprint()  # val is fixed


def test_the_spread_is_as_stated() -> None:
    x = torch.cat([shapes().train_batch(k)["x"] for k in range(60)])
    assert x.std().item() == pytest.approx(0.42, abs=0.01)
    assert x.min() >= -1 and x.max() <= 1 and x.dtype == torch.float32


def test_decode_gives_the_pixels_back(data) -> None:
    pictures = torch.stack(
        [torch.from_numpy(p) for p in data.decode(data.val.batch(torch.arange(9))["x"])]
    )
    assert torch.equal(pictures.movedim(-1, 1), data.val.pictures[:9])


def test_asking_in_words(data) -> None:
    cond, given = data.asked(3, cond="A red circle, left of a blue square!")
    assert given is None and cond.shape == (3, 16) and cond.dtype == torch.int64
    assert data.caption(cond[0]) == "a red circle left of a blue square"
    both = data.asked(3, cond=["a circle", "an"])[0]
    assert [data.caption(c) for c in both] == ["a circle", "a", "a circle"]
    assert torch.equal(data.asked(2)[0], data.val.captions[:2])
    with pytest.raises(ValueError, match=r"no word 'circel'; near it: circle"):
        data.asked(1, cond="a red circel")
    with pytest.raises(ValueError, match=r"no word 'xyz'; words: a, one"):
        data.asked(1, cond="xyz")
    with pytest.raises(ValueError, match="17 words; a caption has at most 16"):
        data.asked(1, cond="a " * 17)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"shape": (3, 16, 16)}, r"data.shape=\[3,16,16\].*write data.shape=\[3,32,32\]"),
        ({"caption_vocab": 10}, "data.caption_vocab=10 .* write data.caption_vocab=39"),
        ({"caption_length": 10}, "write data.caption_length=16"),
        ({"num_classes": 3}, "write data.num_classes=null"),
        ({"shares": (1, 2)}, "data.shares="),
    ],
)
def test_what_is_stated_wrongly_is_named(more, message) -> None:
    with pytest.raises(ValueError, match=message):
        shapes(**more)
