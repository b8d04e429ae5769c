"""Held-out examples with a near copy in train: planted ones are found, and figures without them
are those of the set without them."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from data_of import digits, image_folder
from torch import Tensor

from genlab.data.images import ImageExamples, Images
from genlab.data.pictures import Arrays
from genlab.data.points import PointSet
from genlab.data.rolls import Rolls
from genlab.data.sources import images
from genlab.data.sources.points import PointsFile
from genlab.data.sources.rolls import RollSource
from genlab.data.sources.tables import Cells, TableSource
from genlab.data.sources.text import TextSource
from genlab.data.sums import Sums
from genlab.data.table import Table
from genlab.data.text import Text
from genlab.data.tokenizers import BPE, Bytes
from genlab.metrics import leakage as leak
from genlab.metrics import shared_runs
from genlab.metrics.held_out import HeldOut
from genlab.metrics.image import ImageEvaluation
from genlab.metrics.interval import share_interval
from genlab.metrics.leakage import Leakage, judge_of, leakage
from genlab.metrics.near import Equal, Found, PictureCopies
from genlab.metrics.points import PointsEvaluation
from genlab.metrics.report import gather
from genlab.metrics.rolls import RollsEvaluation
from genlab.metrics.sound import SoundEvaluation
from genlab.metrics.table import TableEvaluation
from genlab.metrics.text import TextEvaluation

from .stand_ins import Handout

NUM, PLANTED = 90, 10  # held-out examples that are new, and copies of training examples after them


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))


class Known(Handout):
    """Hands out training examples; each value costs a nat and a little more by its size."""

    likelihood = "exact"
    discrete = True

    def log_prob(self, batch) -> Tensor:
        x, mask = batch["x"].double(), batch.get("mask")
        cost = 1 + x.abs().clamp(max=300) / 300
        if mask is not None:
            cost = cost * mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))
        return -cost.flatten(1).sum(1)

    def sample(self, num, cond=None, given=None, *, seed=0, first=0) -> Tensor:
        x = super().sample(num, first=first)
        if given is not None:
            x = torch.cat([given["x"], x[:, given["x"].shape[1] :]], 1)
        return x


# --- a data set of each kind: `planted` of its held-out examples are copies ----------------------


class Memory(images.ImageSource):
    def __init__(self, planted: int) -> None:
        draws = torch.Generator().manual_seed(0)
        shown = torch.rand(400 + NUM, 3, 5, 5, generator=draws)
        shown = torch.nn.functional.interpolate(shown, [16, 16], mode="bilinear")
        shown = (255 * shown).round()
        train, val = shown[:400], shown[400:]
        # another brightness, contrast and place, and a little noise
        near = 20 + 0.8 * train[:planted].roll(1, 3)
        near += 2 * torch.randn(near.shape, generator=draws)
        self.train = train.to(torch.uint8)
        self.val = torch.cat([val, near]).round().clamp(0, 255).to(torch.uint8)

    def read(self, shape):
        return {"train": Arrays(self.train), "val": Arrays(self.val)}


def of_pictures(planted: int) -> Images:
    return Images(source=Memory(planted), shape=[3, 16, 16], num_classes=None, levels=256,
                  batch_size=8, seed=0)  # fmt: skip


class Words(TextSource):
    """Documents of 255 letters: with the <|end|> after it each is four windows of 64."""

    def __init__(self, planted: int) -> None:
        draw = np.random.default_rng(0)
        vocabulary = ["".join(draw.choice([*"abcdefghij"], 5)) for _ in range(2000)]

        def document() -> str:
            return " ".join(draw.choice(vocabulary, 43))[:255]

        train = [document() for _ in range(200)]
        near = [text.upper().replace(" ", "\t") for text in train[:planted]]
        # before the others: the text's last window has no <|end|> behind it
        self.both = train, near + [document() for _ in range(NUM)]

    def documents(self):
        return self.both


def of_text(planted: int, tokenizer=None) -> Text:
    tokenizer = tokenizer or Bytes()
    return Text(source=Words(planted), tokenizer=tokenizer, block=64, batch_size=8, seed=0)


class Tunes(RollSource):
    def __init__(self, planted: int) -> None:
        draw = np.random.default_rng(0)

        def piece() -> np.ndarray:
            found = np.zeros((40, 88), bool)
            for t in range(40):
                found[t, draw.choice(40, 3, replace=False) + 20] = True
            return found.repeat(2, 0)[: draw.integers(60, 80)]

        train = [piece() for _ in range(120)]
        near = [np.roll(p, 5, axis=1)[10:] for p in train[:planted]]  # in another key, cut
        self.parts = {"train": train, "val": [piece() for _ in range(NUM)] + near}

    def pieces(self):
        return self.parts


def of_music(planted: int) -> Rolls:
    return Rolls(source=Tunes(planted), frames=32, batch_size=8, seed=0)


class Drawn(TableSource):
    def __init__(self, planted: int) -> None:
        draw = np.random.default_rng(0)

        def row() -> list[str]:
            return [f"{draw.normal():.6f}", f"{draw.normal():.6f}", str(draw.choice([*"xyz"]))]

        train = [row() for _ in range(500)]
        near = [[f"{float(a) + 1e-6:.6f}", b, c] for a, b, c in train[:planted]]
        self.rows = train, [row() for _ in range(NUM)] + near

    def cells(self) -> Cells:
        return Cells(["a", "b", "c"], self.rows[0], val=self.rows[1])


def of_table(planted: int) -> Table:
    return Table(source=Drawn(planted), batch_size=8, seed=0, shape=None, widths=None,
                 val_fraction=None)  # fmt: skip


class Cloud(PointSet):
    """Points whose split is said."""

    def __init__(self, planted: int) -> None:
        super().__init__(source=PointsFile(path=None), shape=(3,), batch_size=8, seed=0)
        self.planted = planted

    def read(self):
        from genlab.data.points import Points

        x = torch.randn(600 + NUM, 3, generator=torch.Generator().manual_seed(0))
        val = torch.cat([x[600:], x[: self.planted] + 1e-6])
        return {"train": Points(x[:600], None), "val": Points(val, None)}

    def digest(self) -> str:
        return f"cloud {self.planted}"

    def decode(self, x):
        return x.numpy()


KINDS = {
    "pictures": (of_pictures, ImageEvaluation),
    "text": (of_text, TextEvaluation),
    "music": (of_music, RollsEvaluation),
    "table": (of_table, TableEvaluation),
    "points": (Cloud, PointsEvaluation),
}
WINDOWS = {"text": 4}  # held-out examples of one that is planted


@pytest.mark.parametrize("kind", KINDS)
def test_ten_per_cent_of_planted_copies_are_found(kind: str) -> None:
    made, metric = KINDS[kind]
    found = leakage(metric().near, made(PLANTED))
    each = WINDOWS.get(kind, 1)
    num = each * (NUM + PLANTED)
    assert found.num == each * PLANTED and found.held_out == len(found.ids) == num
    assert found.share == pytest.approx(0.1)
    assert found.interval == share_interval(each * PLANTED, num)
    first = each * PLANTED if kind == "text" else 0
    assert found.clean.tolist() == list(range(first, first + each * NUM)) and found.over


@pytest.mark.parametrize("kind", KINDS)
def test_without_copies_it_says_none_and_how_many_there_might_be(kind: str) -> None:
    made, metric = KINDS[kind]
    found = leakage(metric().near, made(0))
    num = WINDOWS.get(kind, 1) * NUM
    low, high = found.interval
    assert found.num == 0 and len(found.ids) == num and not found.over
    assert low == 0 and high == pytest.approx(3.8415 / (num + 3.8415), rel=1e-3)


def figures(metric, data, **options) -> tuple[dict, dict, dict]:
    model = Known(gather(data.train, torch.arange(min(100, len(data.train))))["x"])
    report = metric(model, data, seed=1, **options)
    return report.metrics, report.floor, report.interval


@pytest.mark.parametrize("kind", ["text", "music", "table", "points"])
def test_clean_figures_are_those_of_the_set_without_the_copies(kind: str) -> None:
    made, metric = KINDS[kind]
    with_them, without = made(PLANTED), made(0)
    clean = with_them.keep(leakage(metric().near, with_them).clean)
    assert clean.fingerprint() != with_them.fingerprint() and len(clean.val) == len(without.val)
    assert len(with_them.val) > len(clean.val), "the whole set is left as it was"
    for own in (metric(num_samples=40), HeldOut()):
        mine, theirs, all_of = (figures(own, d) for d in (clean, without, with_them))
        for found, right in zip(mine, theirs):
            assert found.keys() == right.keys()
            for name, value in right.items():
                assert np.allclose(found[name], value, rtol=1e-12, equal_nan=True), name
        assert mine[0]["loss"] != all_of[0]["loss"]


@pytest.mark.slow
def test_clean_figures_of_pictures_are_those_of_the_set_without_the_copies() -> None:
    with_them, without = of_pictures(PLANTED), of_pictures(0)
    clean = with_them.keep(leakage(PictureCopies(), with_them).clean)
    mine, theirs = (figures(ImageEvaluation(num_samples=40), d)[0] for d in (clean, without))
    for name, value in theirs.items():
        assert mine[name] == pytest.approx(value, rel=1e-9, nan_ok=True), name


def test_bytes_of_a_clean_text_are_counted_anew_also_where_letters_are_cut() -> None:
    data = of_text(PLANTED, BPE(size=300))
    data.load()
    whole = data.keep(torch.arange(len(data.val)))
    assert whole.bytes_per_token() == pytest.approx(data.bytes_per_token(), rel=1e-12)
    some = data.keep(torch.arange(0, len(data.val), 2))
    tokens = some.val.stream[1:]
    text = "".join(data.decode(row[None])[0] for row in tokens.split(64))
    assert some.val.targets == len(tokens)
    assert some.bytes_per_token() * len(tokens) == len(text.replace("<|end|>", "").encode())


def test_digits_have_none_and_dimmed_shifted_noisy_ones_are_found() -> None:
    data = digits()
    assert leakage(PictureCopies(), data).num == 0
    train = data.train.pictures.images
    near = (0.85 * train[:40].roll(1, 2)).to(torch.uint8)
    val = torch.cat([data.val.pictures.images, near])
    labels = torch.zeros(len(val), dtype=torch.long)
    options = {"levels": 17, "form": "image", "flip": False, "labelled": True}
    data._splits["val"] = ImageExamples(Arrays(val, labels), **options)
    found = leakage(PictureCopies(), data)
    assert found.num >= 38 and found.clean[:360].tolist() == list(range(360))


def test_rows_that_are_equal_by_chance_are_no_leak() -> None:
    """Two binary columns: every held-out row stands in train, as every training row does."""

    class Binary(Drawn):
        def cells(self) -> Cells:
            draw = np.random.default_rng(0)
            rows = [[*map(str, draw.integers(0, 2, 2))] for _ in range(400)]
            return Cells(["a", "b"], rows[:300], val=rows[300:])

    data = Table(source=Binary(0), batch_size=8, seed=0, shape=None, widths=None,
                 val_fraction=None, columns={"a": "category", "b": "category"})  # fmt: skip
    found = leakage(TableEvaluation().near, data)
    assert found.share == 1 and found.found.chance == 1 and not found.over


def test_sums_are_compared_as_they_are() -> None:
    data = Sums(digits=2, batch_size=8, seed=0, num_train=1000, num_held_out=100)
    assert leakage(Equal(), data).num == 0
    data._splits["val"] = data.train.chosen(torch.arange(50))
    assert leakage(Equal(), data).share == 1


class Counting(Equal):
    first = 20
    asked: list[int]

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, data, ids, progress=lambda share: None) -> Found:
        self.asked.append(len(ids))
        return super().__call__(data, ids, progress)


def test_it_looks_at_few_first_and_remembers_what_it_found() -> None:
    clean, dirty = Counting(), Counting()
    assert len(leakage(clean, Cloud(0)).ids) == 20 and clean.asked == [20]
    leakage(clean, Cloud(0))
    assert clean.asked == [20], "kept by the data's fingerprint"
    data = Cloud(0)
    data._splits = data.read()
    data._splits["val"] = data.train.chosen(torch.arange(60))
    data._fingerprint = "all of it"
    found = leakage(dirty, data)
    assert dirty.asked == [20, 60] and found.num == 60
    again = leakage(dirty, data)
    assert dirty.asked == [20, 60] and again.clean.tolist() == [] and again.share == 1


def test_another_held_out_split_is_another_question() -> None:
    judge, data = Counting(), Cloud(0)
    leakage(judge, data)
    other = copy.copy(data)
    other._splits = {**data._splits, "val": data.train.chosen(torch.arange(NUM))}
    assert leakage(judge, other).share == 1


def test_the_limit_is_for_what_is_over_chance() -> None:
    def made(num: int, chance: float = 0.0, limit: float = 0.01) -> Leakage:
        near = torch.arange(100) < num
        return Leakage(torch.arange(100), Found(near, 1, chance), 100, 1, "", limit)

    assert not made(0, limit=0).over and made(1, limit=0).over
    assert not made(1).over and made(2).over
    assert not made(50, chance=0.5).over and made(53, chance=0.5).over


def test_words_are_those_of_python() -> None:
    import re

    text = "Grün, it's a_b 12\n\n-- été 漢字\t😀x  end"
    hashes, begins = shared_runs.words(text)
    found = [m.start() for m in re.finditer(r"\w+", text.replace("😀", "y"))]
    assert begins.tolist() == found
    twice, _ = shared_runs.words("one two one onf eno")
    assert twice[0] == twice[2] and len({*twice.tolist()}) == 4
    assert len(shared_runs.words("")[0]) == 0 and len(shared_runs.words(" . ")[0]) == 0
    assert len(hashes) == len(found)


def test_of_many_windows_stretches_are_looked_at(monkeypatch) -> None:
    ids = TextEvaluation.near.some(1000, 300)
    assert len(ids) == len(ids.unique()) <= 300 and int(ids.max()) < 1000
    assert (ids.diff() == 1).double().mean() > 0.95 and bool((ids.diff() > 0).all())
    assert TextEvaluation.near.some(50, 300).tolist() == list(range(50))
    monkeypatch.setattr(leak, "MOST", 256)
    found = leakage(TextEvaluation().near, of_text(40))  # the first 160 windows
    right = int((found.ids < 160).sum())
    assert len(found.ids) in range(193, 257) and abs(found.num - right) <= 4 and right > 0


@pytest.mark.parametrize(("shared", "right"), [(12, 0), (13, 13), (20, 20)])
def test_a_run_is_13_in_a_row(shared: int, right: int) -> None:
    mine = np.arange(100, dtype=np.uint64)
    theirs = np.concatenate([np.arange(1000, 1050), np.arange(30, 30 + shared)]).astype(np.uint64)
    found = shared_runs.common(mine, iter([theirs]))
    assert found.sum() == right and (right == 0 or found[30 : 30 + right].all())


def test_half_of_an_example_must_be_shared() -> None:
    owner = np.repeat([0, 1, 3], 10)
    shared = np.arange(30) % 10 < np.repeat([4, 5, 10], 10)
    assert shared_runs.half(shared, owner, 4).tolist() == [False, True, False, True]


def test_chords_are_the_same_in_any_key_and_held_ones_count_once() -> None:
    roll = Tunes(0).parts["train"][0]
    assert (shared_runs.chords(roll) == shared_runs.chords(np.roll(roll, -7, axis=1))).all()
    assert (shared_runs.chords(roll) == shared_runs.chords(roll.repeat(3, 0))).all()
    turned = roll[:, ::-1]
    assert not (shared_runs.chords(turned)[1:10] == shared_runs.chords(roll)[1:10]).all()


def test_each_kinds_metric_brings_its_own_judge() -> None:
    assert judge_of([HeldOut, TableEvaluation]) is TableEvaluation.near
    assert judge_of([HeldOut, dict]) is None
    kinds = {type(m.near) for m in (ImageEvaluation, TextEvaluation, RollsEvaluation)}
    assert len(kinds) == 3 and SoundEvaluation.near is ImageEvaluation.near


def test_files_are_named(tmp_path) -> None:
    from PIL import Image

    draw = np.random.default_rng(0)
    for split, numbers in (("train", range(30)), ("val", range(9))):
        (tmp_path / split).mkdir()
        for i in numbers:
            Image.fromarray(draw.integers(0, 255, (8, 8, 3)).astype("uint8")).save(
                tmp_path / split / f"{i}.png"
            )
    (tmp_path / "val" / "3.png").write_bytes((tmp_path / "train" / "5.png").read_bytes())
    data = image_folder(tmp_path, num_workers=1)
    told = leakage(PictureCopies(), data).plain(data)
    assert told["copies"] == 1 and told["such_as"][0].endswith("val/3.png")
    assert told["share"] == pytest.approx(1 / 9) and math.isclose(told["limit"], leak.LIMIT)
