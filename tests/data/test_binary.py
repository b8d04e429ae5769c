"""Black and white images: static is drawn once, dynamic anew, both with the grey level's law."""

from __future__ import annotations

import pytest
import torch

from genlab.data.binary import BinaryImages, drawn
from genlab.data.pictures import Arrays
from genlab.data.sources.images import ImageSource

GREY = torch.tensor([0, 51, 204, 255], dtype=torch.uint8).view(1, 1, 2, 2)


class Grey(ImageSource):
    """The same picture of four grey levels, many times."""

    def read(self, shape=None) -> dict:
        many = GREY.expand(4000, -1, -1, -1).clone()
        return {"train": Arrays(many), "val": Arrays(many[:400]), "test": Arrays(many[:400])}


def data(**given) -> BinaryImages:
    found = BinaryImages(source=Grey(), shape=[1, 2, 2], batch_size=500, seed=0, **given)
    found.load()
    return found


def shares(x: torch.Tensor) -> list[float]:
    return ((x + 1) / 2).flatten(1).mean(0).tolist()


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_pixel_is_white_as_often_as_its_grey_level_says(dynamic: bool) -> None:
    batches = torch.cat([data(dynamic=dynamic).train_batch(k)["x"] for k in range(8)])
    assert set(batches.unique().tolist()) == {-1.0, 1.0}
    found = shares(batches)
    assert found[0] == 0 and found[3] == 1
    assert found[1:3] == pytest.approx([0.2, 0.8], abs=0.03)  # 4 standard deviations


def test_static_pictures_stay_and_dynamic_ones_are_drawn_anew() -> None:
    static, moving = data(), data(dynamic=True)
    ids = torch.arange(500)
    assert torch.equal(static.train.batch(ids)["x"], static.train.batch(ids)["x"])
    u, v = torch.rand(2, 500, moving.train.draws, generator=torch.Generator().manual_seed(0))
    a, b = (moving.train.batch(ids, draws)["x"] for draws in (u, v))
    assert not torch.equal(a, b) and torch.equal(a, moving.train.batch(ids, u)["x"])
    assert torch.equal(moving.val.batch(ids[:9])["x"], static.val.batch(ids[:9])["x"])
    assert torch.equal(moving.train_batch(3)["x"], data(dynamic=True).train_batch(3)["x"])
    assert static.digest() != moving.digest()


def test_the_splits_draws_are_their_own() -> None:
    static = data()
    ids = torch.arange(400)
    assert not torch.equal(static.train.batch(ids)["x"], static.val.batch(ids)["x"])


def test_black_and_white_come_out_at_the_ends() -> None:
    u = torch.tensor([0.0, 0.999999])
    assert drawn(torch.tensor([0, 0]), u).tolist() == [0, 0]
    assert drawn(torch.tensor([255, 255]), u).tolist() == [1, 1]


def test_pixels_are_tokens_of_two_kinds_and_other_levels_are_refused() -> None:
    found = BinaryImages(
        source=Grey(), shape=[4], batch_size=8, seed=0, vocab=2, form="pixels", dynamic=True
    )
    found.load()
    x = found.train_batch(0)["x"]
    assert x.dtype == torch.int64 and set(x.unique().tolist()) <= {0, 1}
    with pytest.raises(ValueError, match=r"data\.levels=256"):
        BinaryImages(source=Grey(), shape=[1, 2, 2], batch_size=8, seed=0, levels=256)
