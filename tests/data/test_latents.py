"""Latents that are kept: those of each example, made once, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from genlab.batch import Batch
from genlab.data.base import Examples
from genlab.data.latents import AT_ONCE, HEAD, WithLatents, kept, refusal

NUM = 2 * AT_ONCE + 7


class Numbers(Examples):
    """Example i is [i, i + 0.5]; its class i % 3."""

    def __len__(self) -> int:
        return NUM

    def batch(self, ids: Tensor, draws: Tensor | None = None) -> Batch:
        x = ids[:, None] + torch.tensor([0, 0.5])
        return Batch(x=x, cond=ids % 3)


class Counted:
    """A codec that counts what it encodes."""

    seen = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return x.flip(1)[:, :, None] * 2


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    return tmp_path / "latents"


def quiet(what: str, share: float) -> None:
    assert 0 < share <= 1 and what


def made(encode, made_of="a", vocab=None) -> Tensor:
    return kept(Numbers(), encode, {"of": made_of}, vocab=vocab, tell=quiet)


def test_each_example_has_its_own_beside_what_else_it_has(folder):
    examples = WithLatents(Numbers(), made(Counted()))
    ids = torch.tensor([NUM - 1, 0, 3, AT_ONCE, AT_ONCE - 1])
    batch = examples.batch(ids)
    assert torch.equal(batch["z"], Counted()(batch["x"])) and batch["z"].dtype == torch.float32
    assert torch.equal(batch["cond"], ids % 3)
    assert torch.equal(batch["x"], Numbers().batch(ids)["x"])
    assert len(examples) == NUM and examples.name_of(5) == "example 5"


def test_they_are_made_once_of_the_same_and_anew_of_another(folder):
    encode = Counted()
    first = made(encode)
    assert encode.seen == NUM
    assert torch.equal(made(encode), first) and encode.seen == NUM
    made(encode, "b")
    assert encode.seen == 2 * NUM
    assert len(list(folder.glob("*.latents"))) == 2


@pytest.mark.parametrize("harm", ["cut", "changed", "no head", "empty"])
def test_a_damaged_file_is_made_anew(harm, folder):
    first, encode = made(Counted()).clone(), Counted()
    (path,) = folder.glob("*.latents")
    data = path.read_bytes()
    if harm == "cut":
        path.write_bytes(data[:-5])
    elif harm == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "no head":
        path.write_bytes(data[HEAD:])
    else:
        path.write_bytes(b"")
    assert torch.equal(made(encode), first) and encode.seen == NUM


def test_one_that_fails_leaves_nothing(folder):
    def fails(x: Tensor) -> Tensor:
        if x[0, 0] > 0:
            raise RuntimeError("no")
        return x

    with pytest.raises(RuntimeError, match="no"):
        made(fails)
    assert [p.suffix for p in folder.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    "vocab, held", [(200, torch.uint8), (512, torch.int16), (10**5, torch.int32)]
)
def test_codes_are_small_on_disk_and_whole_numbers_in_a_batch(vocab, held, folder):
    last = vocab - 1

    def codes(x: Tensor) -> Tensor:
        return torch.full((len(x), 4), last)

    table = made(codes, vocab=vocab)
    z = WithLatents(Numbers(), table).batch(torch.tensor([1, 2]))["z"]
    assert table.dtype == held and z.dtype == torch.int64 and (z == last).all()


def test_what_cannot_be_kept_is_said():
    examples = Numbers()
    assert refusal(examples) is None
    examples.draws = 1
    assert "data.flip" in refusal(examples)
    examples.draws, examples.ragged = 0, True
    assert "lengths" in refusal(examples)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "latents").write_text("")
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=r"model\.keep=false"):
        made(Counted())
