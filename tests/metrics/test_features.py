"""The feature network: good enough, always the same, kept whole, and noticed by nobody."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genlab.metrics import features
from genlab.metrics.features import FeatureNet, accuracy, feature_net, train, weights_hash


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from sklearn.datasets import load_digits

    found = load_digits()
    x = torch.from_numpy((found.images * 255 / 16).round()).to(torch.uint8)[:, None]
    y = torch.from_numpy(found.target).long()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    return x[:1437], y[:1437], x[1437:], y[1437:]


def short(monkeypatch, examples=3000):
    monkeypatch.setitem(features.RECIPE, "min_examples", examples)


def test_digits_are_told_apart_and_the_random_state_is_as_before():
    x, y, held_x, held_y = digits()
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    net = train(x, y, num_classes=10)
    assert accuracy(net, held_x, held_y) >= 0.97
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_it_is_the_same_whatever_the_caller_is_doing(monkeypatch):
    short(monkeypatch)
    x, y, *_ = digits()
    first = weights_hash(train(x, y, num_classes=10))
    torch.manual_seed(77)
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            assert weights_hash(train(x.clone(), y.clone(), num_classes=10)) == first
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(precision)


def test_within_it_computes_alike_whatever_was_set():
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_float32_matmul_precision("medium")
    try:
        with features.apart():
            assert torch.get_float32_matmul_precision() == "highest"
            assert torch.get_num_threads() == 1
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before[0])
    assert torch.get_num_threads() == before[1]


def test_accuracy_is_of_all_chunks(monkeypatch):
    monkeypatch.setattr(features, "CHUNK", 3)
    logits = torch.nn.functional.one_hot
    x, y = torch.arange(8), torch.tensor([0, 1, 2, 3, 0, 1, 2, 0])
    assert accuracy(lambda at: (None, logits(at % 4, 4)), x, y) == 7 / 8


def test_the_cache_is_used_repaired_and_keyed_by_the_data(monkeypatch, tmp_path):
    short(monkeypatch)
    x, y, held_x, held_y = digits()
    made = []
    monkeypatch.setattr(features, "train", lambda *a, **k: made.append(1) or train(*a, **k))

    def get(fingerprint="a"):
        return feature_net(
            x, y, (held_x, held_y), num_classes=10, fingerprint=fingerprint, cache=tmp_path
        )

    first = get()
    again = get()
    assert len(made) == 1
    assert first.hash == again.hash
    assert first.accuracy == again.accuracy
    assert all(torch.equal(a, b) for a, b in zip(first(held_x), again(held_x)))
    (file,) = tmp_path.iterdir()  # and no half-written one beside it
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="damaged"):
        assert get().hash == first.hash
    assert len(made) == 2
    get("b")
    assert len(made) == 3
    assert len(list(tmp_path.iterdir())) == 2


def test_a_cache_that_cannot_be_written_costs_a_warning(monkeypatch, tmp_path):
    short(monkeypatch, 500)
    x, y, *held = digits()
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="not kept"):
        feature_net(
            x, y, tuple(held), num_classes=10, fingerprint="a", cache=tmp_path / "file" / "below"
        )


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    assert features.cache_folder() == tmp_path / "features"


def test_without_classes_it_learns_quarter_turns(monkeypatch):
    short(monkeypatch, 15_000)
    x, _, held_x, _ = digits()
    net = train(x, None, num_classes=None)
    assert accuracy(net, held_x, None) > 0.6  # chance: 0.25; some digits look the same turned


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 20), (1, 28, 28), (3, 32, 32), (3, 96, 128)])
def test_any_picture_shape_gives_64_features(shape):
    x = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
    h, logits = FeatureNet(shape, 5).eval()(x)
    assert h.shape == (2, 64)
    assert logits.shape == (2, 5)
    turned, turns = features.turned(x.repeat(2, 1, 1, 1), None)
    assert turned.shape[2] == turned.shape[3]
    assert turns.tolist() == [0, 1, 2, 3]
