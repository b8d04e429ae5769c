"""The k-th batch is a function of (seed, k): epochs, shares, resumption, held-out batches."""

from __future__ import annotations

from itertools import islice
from types import SimpleNamespace

import data_of
import pytest
import torch

from genlab.data.base import DataModule, Examples, Stream
from genlab.data.images import Images
from genlab.data.stated import check, sha256, written
from genlab.data.toy import Ring, Toy2D
from genlab.data.workers import DecodedBatches


def digits(**changes) -> Images:
    data = data_of.digits(**{"batch_size": 24, "seed": 3, **changes})
    data.load()
    return data


@pytest.fixture(params=["digits", "flipped", "text", "toy"])
def make(request, tmp_path):
    """Makes the same data module anew."""
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog. " * 50)

    def make(**changes):
        both = {"batch_size": 24, "seed": 3, **changes}
        if request.param == "text":
            data = data_of.text_file(path, block=16, **both)
        elif request.param == "toy":
            data = Toy2D(law=Ring(), num_classes=8, **both)
        else:
            return digits(flip=request.param == "flipped", **both)
        data.load()
        return data

    return make


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_the_kth_batch_is_the_same_in_every_instance_and_order(make) -> None:
    one, other = make(), make()
    there = [one.train_batch(k) for k in range(5)]
    back = [other.train_batch(k) for k in reversed(range(5))]
    assert all(same(a, b) for a, b in zip(there, reversed(back), strict=True))
    assert not same(there[0], there[1])


def test_another_seed_gives_other_batches(make) -> None:
    assert not same(make().train_batch(0), make(seed=4).train_batch(0))


@pytest.mark.parametrize("world, accumulate", [(2, 1), (1, 3), (2, 3), (24, 1)])
def test_shares_put_together_are_the_whole_batch(make, world, accumulate) -> None:
    data = make()
    for k in (0, 7):
        whole = data.train_batch(k)
        parts = [
            data.train_batch(k, rank=rank, world=world, micro=micro, accumulate=accumulate)
            for micro in range(accumulate)
            for rank in range(world)
        ]
        assert same(whole, {key: torch.cat([p[key] for p in parts]) for key in whole})


def test_an_uneven_share_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValueError, match=r"data.batch_size=24 .* write data.batch_size=20 or 25$"):
        digits().train_batch(0, world=5)
    with pytest.raises(ValueError, match=r"write data.batch_size=5$"):
        digits(batch_size=3).train_batch(0, world=5)


def test_every_epoch_has_every_example_once_in_an_order_of_its_own() -> None:
    data = digits(batch_size=100)
    ids = torch.cat([data.train_ids(k) for k in range(3 * len(data.train) // 100 + 1)])
    epochs = ids[: 3 * len(data.train)].view(3, -1)
    assert all(torch.equal(e.sort().values, torch.arange(len(data.train))) for e in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_a_batch_may_hold_several_epochs() -> None:
    ids = Stream(5, seed=0).ids(3, 14)
    assert torch.equal(ids[2:7].sort().values, torch.arange(5))
    assert torch.equal(ids[7:12].sort().values, torch.arange(5))


def test_an_order_is_computed_once_an_epoch(monkeypatch) -> None:
    drawn = []
    real = torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda *a, **k: drawn.append(a) or real(*a, **k))
    data = digits(batch_size=100)
    for k in range(2 * len(data.train) // 100):
        data.train_ids(k)
    assert len(drawn) == 2


def trainer(batches: int, *, rank=0, world=1, accumulate=1):
    module = SimpleNamespace(clock=SimpleNamespace(batches=batches))
    return SimpleNamespace(
        lightning_module=module,
        global_rank=rank,
        world_size=world,
        accumulate_grad_batches=accumulate,
    )


def test_the_loader_goes_on_from_the_clock(make) -> None:
    data = make()
    loader = data.train_dataloader()
    assert not hasattr(loader, "__len__")
    from_the_start = list(islice(loader, 6))
    data.trainer = trainer(4)
    assert all(same(a, b) for a, b in zip(islice(loader, 2), from_the_start[4:], strict=True))


def test_the_loader_gives_this_ranks_parts_in_turn() -> None:
    data = digits()
    data.trainer = trainer(1, rank=1, world=2, accumulate=3)
    got = list(islice(data.train_dataloader(), 4))
    for batch, (k, micro) in zip(got, [(1, 0), (1, 1), (1, 2), (2, 0)], strict=True):
        assert same(batch, data.train_batch(k, rank=1, world=2, micro=micro, accumulate=3))


@pytest.mark.parametrize("world", [1, 2, 5])
@pytest.mark.parametrize("num, batch_size", [(None, 128), (100, 32), (97, 32), (3, 128), (360, 7)])
def test_held_out_examples_come_once_over_all_ranks(world, num, batch_size) -> None:
    if num == 3 and world == 5:
        return  # fewer examples than ranks
    data = digits(batch_size=batch_size)
    ranks = [data.val_batches(num, rank=r, world=world) for r in range(world)]
    assert len({len(r) for r in ranks}) == 1
    in_order = [torch.cat([r[i]["x"] for r in ranks]) for i in range(len(ranks[0]))]
    assert torch.equal(torch.cat(in_order), data.val.batch(torch.arange(num or 360))["x"])
    assert all(len(batch["x"]) for r in ranks for batch in r)


def test_a_look_is_as_long_as_val_examples_says() -> None:
    seen = digits(val_examples=40).val_dataloader()
    assert [len(b["x"]) for b in seen] == [24, 16]
    assert sum(len(b["x"]) for b in digits(val_examples=None).val_dataloader()) == 360


def test_fingerprints_differ_where_the_data_does(make) -> None:
    assert make().fingerprint() == make().fingerprint()
    assert sha256(torch.zeros(4)) != sha256(torch.zeros(2, 2)) != sha256(torch.zeros(2, 2).long())
    assert digits().fingerprint() != digits(limit=100).fingerprint()


@pytest.mark.parametrize("value", [0, -1, 2.5, "many"])
def test_sizes_are_whole_numbers(value) -> None:
    with pytest.raises(ValueError, match=r"^data\.batch_size=.*write a whole number from 1 on$"):
        digits(batch_size=value)


def test_what_is_stated_is_held_against_the_data() -> None:
    with pytest.raises(ValueError) as error:
        check("shape", (1, 28, 28), (3, 32, 32), "cifar10")
    expected = "data.shape=[1,28,28] but cifar10 has [3,32,32]: write data.shape=[3,32,32]"
    assert str(error.value) == expected
    assert written(None) == "null"


def test_looks_take_all_classes_in_turn() -> None:
    cond, given = digits().looks(12)
    assert cond.tolist() == [*range(10), 0, 1] and given is None
    assert digits(num_classes=None).looks(12) == (None, None)


class Told(Examples):
    """Examples of a new kind, which knows nothing of processes; it tells what was asked of it."""

    draws = 2

    def __init__(self) -> None:
        self.asked: list[torch.Tensor] = []

    def __len__(self) -> int:
        return 100

    def batch(self, ids, draws=None):
        self.asked.append(ids)
        return {"x": ids.float() + (0 if draws is None else draws.sum(1))}


class ToldData(DataModule):
    kind = "told"

    def read(self):
        return {"train": Told(), "val": Told()}

    def decode(self, x):
        return x.numpy()

    def digest(self):
        return "0" * 64


def told(**given) -> ToldData:
    data = ToldData(shape=[1], batch_size=24, seed=0, **given)
    data.load()
    data.train.asked.clear()
    return data


def test_a_new_kind_is_shared_out_by_the_base_and_reads_its_share_alone() -> None:
    whole = told().train_batch(3)["x"]
    data = told()
    parts = [data.train_batch(3, rank=r, world=3, micro=m, accumulate=2)["x"]
             for m in range(2) for r in range(3)]  # fmt: skip
    assert torch.equal(torch.cat(parts), whole)
    assert [len(ids) for ids in data.train.asked] == [4] * 6  # 24 examples, each read once


def test_workers_make_the_batches_of_any_kind() -> None:
    data = told()
    data.num_workers = 2
    ahead = data.train_dataloader()
    assert isinstance(ahead, DecodedBatches)
    for batch, k in zip(islice(ahead, 5), range(5), strict=True):
        assert torch.equal(batch["x"], data.train_batch(k)["x"])


def test_a_kind_that_takes_no_words_says_so_in_one_line() -> None:
    for words, says in (
        ({"cond": 1}, "cond=1: this model was trained without classes"),
        ({"prompt": "a"}, "prompt='a': told data take no prompt"),
        ({"given": "a.png"}, "given=a.png: told data take none"),
    ):
        with pytest.raises(ValueError) as error:
            told().asked(4, **words)
        assert str(error.value).startswith(says) and "\n" not in str(error.value)
    assert told().asked(4) == (None, None)
