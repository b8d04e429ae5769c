"""Digits against scikit-learn, the scale, tokens, flips, user errors, and the real sets."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest
import torch
from data_of import DIGITS

from genlab.data.images import Images, shuffled
from genlab.data.sources.images import CIFAR10, MNIST, Digits, FashionMNIST, read_idx

MNIST_LIKE = {**DIGITS, "shape": [1, 28, 28], "levels": 256}
PIXELS = {**DIGITS, "shape": [64], "vocab": 17, "form": "pixels"}


def loaded(cls=Digits, **given):
    source = cls(root=given.pop("root", None)) if cls is not Digits else cls()
    data = Images(source=source, **{**DIGITS, **given})
    data.prepare()
    data.load()
    return data


def everything(examples):
    return examples.batch(torch.arange(len(examples)))


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    table, labels = load_digits(return_X_y=True)
    data = loaded()
    train, val = everything(data.train), everything(data.val)
    assert (len(data.train), len(data.val)) == (1437, 360)
    x = torch.cat([train["x"], val["x"]])
    cond = torch.cat([train["cond"], val["cond"]])
    ours = {(r.tobytes(), c) for r, c in zip((x.flatten(1).numpy() + 1) * 8, cond.tolist())}
    theirs = {(r.astype(np.float32).tobytes(), c) for r, c in zip(table, labels.tolist())}
    assert ours == theirs


def test_digits_classes_are_spread_evenly_over_the_splits() -> None:
    data = loaded()
    whole = torch.cat([data.train.labels, data.val.labels]).bincount() / 1797
    for part in (data.val.labels, data.train.labels[:300]):
        assert (part.bincount() / len(part) - whole).abs().max() < 0.006


def test_the_split_is_the_same_whatever_the_seed() -> None:
    assert loaded(seed=0).fingerprint() == loaded(seed=1).fingerprint()


def test_images_reach_from_minus_one_to_one_exactly() -> None:
    batch = everything(loaded().train)
    assert batch["x"].dtype == torch.float32 and batch["cond"].dtype == torch.int64
    assert batch["x"].min() == -1 and batch["x"].max() == 1
    assert len(batch["x"].unique()) == 17


def test_pixels_are_the_same_images_as_tokens() -> None:
    image, pixels = loaded(), loaded(**PIXELS)
    assert (pixels.vocab, pixels.shape, pixels.kind) == (17, (64,), "image")
    x, tokens = image.train_batch(0)["x"], pixels.train_batch(0)["x"]
    assert tokens.dtype == torch.int64 and tokens.max() < 17
    assert torch.equal(x.flatten(1), tokens.float() / 8 - 1)
    for a, b in zip(image.decode(x), pixels.decode(tokens), strict=True):
        assert a.shape == (8, 8, 1) and a.dtype == np.uint8 and (a == b).all()


def test_decode_stretches_the_levels_over_black_to_white() -> None:
    data = loaded()
    levels = torch.tensor([-1.0, 0.0, 1.0, 7.0]).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    assert [int(a.max()) for a in data.decode(levels)] == [0, 128, 255, 255]


def test_shuffled_pixels_are_the_same_ones_in_one_random_order() -> None:
    pixels, mixed = loaded(**PIXELS), loaded(**{**PIXELS, "form": "shuffled"})
    rows, tokens = pixels.train_batch(0)["x"], mixed.train_batch(0)["x"]
    order = shuffled(64)
    assert order.tolist() != sorted(order) and sorted(order) == list(range(64))
    assert torch.equal(tokens, rows[:, order])
    for a, b in zip(pixels.decode(rows), mixed.decode(tokens), strict=True):
        assert np.array_equal(a, b)


def test_a_given_half_is_the_half_of_shuffled_pixels(tmp_path) -> None:
    from PIL import Image

    mixed, file = loaded(**{**PIXELS, "form": "shuffled"}), tmp_path / "x.png"
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    Image.fromarray(grey).save(file)
    given = mixed.asked_given(2, None, str(file), "top")
    assert given["x"].shape == given["mask"].shape == (2, 64)
    kept = given["mask"][0][shuffled(64).argsort()].view(8, 8)
    assert kept[:4].all() and not kept[4:].any()
    levels = given["x"][0][shuffled(64).argsort()].view(8, 8)
    assert torch.equal(levels, (torch.from_numpy(grey).float() / 255 * 16).round().long())


def test_pixels_can_be_decoded_without_the_files() -> None:
    state = loaded(**PIXELS).state()
    fresh = Images(source=Digits(), **PIXELS)
    with pytest.raises(ValueError, match="load"):
        fresh.decode(torch.zeros(1, 64).long())
    fresh.load_state(state)
    assert fresh.decode(torch.full((1, 64), 16))[0].min() == 255


def test_flips_mirror_half_of_train_and_none_of_val() -> None:
    plain, flipped = loaded(batch_size=1000), loaded(batch_size=1000, flip=True)
    x, y = plain.train_batch(0)["x"], flipped.train_batch(0)["x"]
    kept, mirrored = (x == y).flatten(1).all(1), (x.flip(-1) == y).flatten(1).all(1)
    assert (kept | mirrored).all() and 440 < mirrored.sum() < 560
    assert torch.equal(everything(plain.val)["x"], everything(flipped.val)["x"])


def test_limit_keeps_the_first_examples_of_train() -> None:
    data = loaded(limit=50)
    assert len(data.train) == 50 and len(data.val) == 360
    assert torch.equal(data.train.images, loaded().train.images[:50])


def test_without_classes_there_is_no_cond() -> None:
    assert "cond" not in loaded(num_classes=None).train_batch(0)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"shape": [3, 8, 8]}, "data.shape=[3,8,8] but Digits has [1,8,8]: write data.shape="),
        ({**PIXELS, "shape": [1, 8, 8]}, "data.shape=[1,8,8] but Digits has [64]"),
        ({"num_classes": 5}, "data.num_classes=5 but Digits has 10: write data.num_classes=10"),
        ({"levels": 256}, "data.levels=256 but Digits has 17: write data.levels=17"),
        ({"levels": None}, "data.levels=None"),
        ({"vocab": 17}, "data.vocab=17 does not fit data.form=image: write data.vocab=null"),
        ({"form": "pixels"}, "data.vocab=None does not fit data.form=pixels: write data.vocab=17"),
        ({"form": "wavelets"}, "data.form='wavelets': allowed are image, pixels, shuffled"),
        ({"limit": 0}, "data.limit=0"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(given, says) -> None:
    with pytest.raises(ValueError) as error:
        loaded(**given)
    assert str(error.value).startswith(says) and "\n" not in str(error.value)


def test_idx_is_read_as_written() -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    assert (read_idx(header + values.tobytes()).numpy() == values).all()
    with pytest.raises(ValueError, match="IDX"):
        read_idx(b"\x00\x00\x0d\x01" + bytes(8))


def test_cifar10_is_read_from_its_archive(tmp_path, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    tables = {f"data_batch_{i}": rng.integers(0, 256, (4, 3073), np.uint8) for i in range(1, 6)}
    tables["test_batch"] = rng.integers(0, 256, (2, 3073), np.uint8)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, table in reversed(tables.items()):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            table[:, 0] %= 10
            info.size = table.nbytes
            tar.addfile(info, io.BytesIO(table.tobytes()))
    contents = packed.getvalue()
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(contents)
    digest = hashlib.sha256(contents).hexdigest()
    stated = {"cifar-10-binary.tar.gz": (len(contents), digest)}
    monkeypatch.setattr(CIFAR10, "contents", stated)
    monkeypatch.setattr(CIFAR10, "held_out", 4)
    given = {"shape": [3, 32, 32], "root": str(tmp_path), "batch_size": 16}
    data = loaded(CIFAR10, **{**MNIST_LIKE, **given})
    train = np.concatenate([tables[f"data_batch_{i}"] for i in range(1, 5)])
    assert (data.val.images.flatten(1).numpy() == tables["data_batch_5"][:, 1:]).all()
    assert (data.train.images.flatten(1).numpy() == train[:, 1:]).all()
    assert data.train.labels.tolist() == train[:, 0].tolist()
    assert (data.test.images.flatten(1).numpy() == tables["test_batch"][:, 1:]).all()
    assert data.decode(data.train_batch(0)["x"])[0].shape == (32, 32, 3)


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST])
def test_the_real_sets(cls, data_root) -> None:
    data = loaded(cls, **MNIST_LIKE)
    assert (len(data.train), len(data.val), len(data.test)) == (50000, 10000, 10000)
    assert len(data.class_names) == 10 and data.val.labels.bincount().min() > 800
    batch = data.train_batch(0)
    assert batch["x"].shape == (32, 1, 28, 28) and batch["x"].min() == -1
    if cls is MNIST:  # the well-known mean and deviation of its pixels
        grey = torch.cat([data.train.images, data.val.images]).float() / 255
        assert grey.mean().item() == pytest.approx(0.1307, abs=1e-4)
        assert grey.std().item() == pytest.approx(0.3081, abs=1e-4)
        assert data.train.labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    else:
        labels = torch.cat([data.train.labels, data.val.labels])
        assert labels.bincount().tolist() == [6000] * 10


def test_a_root_may_be_the_folder_of_folders(data_root) -> None:
    inside = MNIST(root=str(data_root / "mnist"))
    above = MNIST(root=str(data_root))
    inside.prepare()
    above.prepare()
    with pytest.raises(FileNotFoundError, match=r"^data\.root=.* there is no train-images"):
        FashionMNIST(root=str(data_root / "mnist" / "none")).prepare()


def test_a_damaged_file_is_named(tmp_path) -> None:
    for file in MNIST.contents:
        (tmp_path / file).write_bytes(gzip.compress(b"\x00" * 100))
    with pytest.raises(ValueError, match=r"train-images.* is damaged or another file .*delete it"):
        loaded(MNIST, **MNIST_LIKE, root=str(tmp_path))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"train-images.* is damaged"):
        loaded(MNIST, **MNIST_LIKE, root=str(tmp_path))
