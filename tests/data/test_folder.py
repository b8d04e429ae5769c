"""A folder of images: classes, splits, sizes, modes, strangers' files, decoding on demand."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from data_of import image_folder
from PIL import Image

from genlab.data.decode import opened
from genlab.data.images import Images


def save(path: Path, size=(8, 8), colour=(255, 0, 0), mode="RGB", **how) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **how)
    return path


def make(root, **given) -> Images:
    data = image_folder(root, **given)
    data.prepare()
    data.load()
    return data


@pytest.fixture
def classes(tmp_path) -> Path:
    for c, name in enumerate(["ants", "bees", "cats"]):
        for i in range(20):
            save(tmp_path / name / f"{i:02d}.png", colour=(80 * c, 10 * i, 7))
    return tmp_path


def test_folders_are_classes_and_every_file_is_in_one_split(classes) -> None:
    data = make(classes, num_classes=3, val_fraction=0.2)
    assert data.class_names == ["ants", "bees", "cats"]
    assert data.train.labels.bincount().tolist() == [16] * 3
    assert data.val.labels.bincount().tolist() == [4] * 3
    images = torch.cat([data.train.images, data.val.images])
    labels = torch.cat([data.train.labels, data.val.labels])
    assert torch.equal(images[:, 0, 0, 0], (80 * labels).byte())
    assert len(images[:, :2, 0, 0].unique(dim=0)) == 60
    assert torch.equal(make(classes, val_fraction=0.2, seed=5).val.images, data.val.images)
    fresh = image_folder("gone", num_classes=3)
    fresh.load_state(data.state())
    assert fresh.class_names == data.class_names
    assert fresh.decode(data.train_batch(0)["x"])[0].shape == (8, 8, 3)


def test_without_stated_classes_there_are_no_labels(classes) -> None:
    assert "cond" not in make(classes).train_batch(0)


def test_images_side_by_side_have_no_classes(tmp_path) -> None:
    for i in range(10):
        save(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("left out")
    save(tmp_path / ".hidden.png")
    data = make(tmp_path)
    assert (len(data.train), len(data.val), data.class_names) == (9, 1, None)
    with pytest.raises(ValueError, match=r"data.num_classes=2 but .* write data.num_classes=null"):
        make(tmp_path, num_classes=2)


def test_folders_named_as_splits_are_the_splits(tmp_path) -> None:
    for split, num in (("train", 6), ("test", 3)):
        for name in "ab":
            for i in range(num):
                save(tmp_path / split / name / f"{i}.png")
    data = make(tmp_path, num_classes=2)
    assert (len(data.train), len(data.val)) == (12, 6) and data.class_names == ["a", "b"]
    assert set(data.train.labels[:4].tolist()) == {0, 1}  # mixed: `limit` keeps some of each
    save(tmp_path / "test" / "c" / "0.png")
    with pytest.raises(ValueError, match=r"train has the classes \['a', 'b'\]"):
        make(tmp_path, num_classes=2)


def test_images_are_scaled_to_the_shorter_side_and_cut_evenly(tmp_path) -> None:
    wide = np.zeros((10, 40), np.uint8)
    wide[:, 15:25] = 200
    path = tmp_path / "wide.png"
    Image.fromarray(wide).save(path)
    found = opened(path, (1, 5, 5)).astype(int)  # the middle; Lanczos overshoots at its edges
    assert abs(found - 200).max() < 15 and abs(found[0, :, 2] - 200).max() < 3
    assert opened(path, (3, 6, 9)).shape == (3, 6, 9)
    exact = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(exact).save(path)
    assert (opened(path, (3, 8, 8)) == exact.transpose(2, 0, 1)).all()


@pytest.mark.parametrize(
    "mode, colour, expected",
    [
        ("L", 90, [90, 90, 90]),
        ("1", 1, [255, 255, 255]),
        ("P", 0, [0, 0, 0]),
        ("RGBA", (10, 20, 30, 0), [255, 255, 255]),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("LA", (10, 0), [255, 255, 255]),
        ("I;16", 51400, [200, 200, 200]),
    ],
)
def test_every_mode_becomes_colour(tmp_path, mode, colour, expected) -> None:
    path = save(tmp_path / "a.png", mode=mode, colour=colour)
    assert opened(path, (3, 8, 8))[:, 0, 0].tolist() == expected


def test_a_turned_photograph_is_turned_back(tmp_path) -> None:
    image = Image.new("RGB", (16, 8), "black")
    image.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    found = opened(tmp_path / "a.jpg", (1, 16, 8))
    assert found[0, :7].min() > 200 and found[0, 9:].max() < 50


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp"])
def test_formats(tmp_path, ending) -> None:
    assert opened(save(tmp_path / f"a.{ending}"), (3, 8, 8))[0].min() > 240


def truncated(folder: Path) -> None:
    path = folder / "broken.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])


BROKEN = {
    "empty": lambda f: (f / "broken.png").write_bytes(b""),
    "text": lambda f: (f / "broken.jpg").write_text("#!/bin/sh\necho hello\n"),
    "gif": lambda f: Image.new("P", (4, 4)).save(f / "broken.png", format="GIF"),
    "tiff": lambda f: Image.new("L", (4, 4)).save(f / "broken.bmp", format="TIFF"),
    "postscript": lambda f: (f / "broken.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    "bomb": lambda f: Image.new("1", (20000, 20000)).save(f / "broken.png"),
    "truncated": truncated,
}


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_no_image_is_named(tmp_path, kind, num_workers) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.png")
    BROKEN[kind](tmp_path)
    with pytest.raises(ValueError) as error:
        data = make(tmp_path, num_workers=num_workers)
        list(islice(data.train_dataloader(), 2))  # a header may be sound and the rest missing
        list(data.val_batches())
    message = str(error.value)
    assert "broken" in message and "allowed are PNG, JPEG, WEBP, BMP" in message
    assert "\n" not in message


@pytest.mark.parametrize("num_workers", [0, 1])
def test_all_that_are_broken_are_named_together(tmp_path, num_workers) -> None:
    for i in range(12):
        save(tmp_path / f"{i}.png")
    for i in range(0, 24, 2):
        (tmp_path / f"{i}.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match="mend them or take them out") as error:
        make(tmp_path, num_workers=num_workers)
    # in train or in val, whichever is read first, all of its own
    assert "files are no images" in str(error.value) and str(error.value).count(".png") > 8
    assert "\n" not in str(error.value)


def test_decoding_on_demand_gives_the_same_batches(classes) -> None:
    whole = make(classes, num_classes=3, flip=True)
    lazy = make(classes, num_classes=3, flip=True, num_workers=2)
    for mine, k in zip(islice(lazy.train_dataloader(), 5), range(5), strict=True):
        theirs = whole.train_batch(k)
        assert torch.equal(mine["x"], theirs["x"]) and torch.equal(mine["cond"], theirs["cond"])
    part = lazy.train_batch(3, rank=1, world=2)
    assert torch.equal(part["x"], whole.train_batch(3)["x"][2:])
    assert torch.equal(lazy.val_batches()[0]["x"], whole.val_batches()[0]["x"])
    assert len(lazy.fingerprint()) == 64


@pytest.mark.parametrize(
    "given, says",
    [
        (
            {"shape": [2, 8, 8]},
            "data.shape=[2, 8, 8]: image files become data.shape=[1,HEIGHT,WIDTH]",
        ),
        ({"shape": [64]}, "data.shape=[64]: an image has [CHANNELS,HEIGHT,WIDTH]: write"),
        ({"levels": 17}, "data.levels=17 but ImageFolder has 256: write data.levels=256"),
        ({"val_fraction": 0}, "data.val_fraction=0"),
        ({"num_workers": -1}, "data.num_workers=-1"),
        ({"num_classes": 4}, "data.num_classes=4 but ImageFolder has 3: write data.num_classes=3"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(classes, given, says) -> None:
    with pytest.raises(ValueError) as error:
        make(classes, **given)
    assert str(error.value).startswith(says) and "\n" not in str(error.value)


def test_folders_that_will_not_do(tmp_path, classes) -> None:
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"empty has no images: files ending in .png"):
        make(tmp_path / "empty")
    save(tmp_path / "one" / "a.png")
    with pytest.raises(ValueError, match="has too few images"):
        make(tmp_path / "one")
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        make(tmp_path / "none")
    with pytest.raises(ValueError, match=r"write data\.root=FOLDER"):
        image_folder(None).load()
    save(classes / "stray.png")
    with pytest.raises(ValueError, match="images both in itself and in the folder ants"):
        make(classes)


def test_more_than_half_of_memory_is_refused_before_decoding(classes) -> None:
    with pytest.raises(ValueError, match=r"write data\.num_workers=8 to decode them on demand"):
        make(classes, shape=[3, 100_000, 100_000])
