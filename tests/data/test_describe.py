"""What a start says of the data; mistakes with data: one line with what, where and the remedy."""

from __future__ import annotations

import time
from pathlib import Path

import data_of
import numpy as np
import pytest
import torch
from PIL import Image
from running import genlab_here, settled

from genlab.data.asking import class_captions, class_number
from genlab.data.sources.images import FashionMNIST
from genlab.data.toy import Grid, Ring, Toy2D
from genlab.runs.say.errors import UserError
from genlab.runs.settings.flags import readable
from genlab.runs.settings.overrides import changed


@pytest.fixture
def pets(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(20):
            image = rng.integers(60, 196, (8, 8, 3), np.uint8)
            Image.fromarray(image).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"


def test_images_are_described_by_counts_classes_and_what_is_held_out(pets) -> None:
    data = data_of.image_folder(pets, num_classes=3)
    assert data.describe() == "54 images, 3 classes (cat, dog, owl), 6 held out"
    assert data_of.digits().describe().startswith("1,437 images, 10 classes (0, 1, 2,")


def test_class_folders_without_classes_say_what_to_write(pets) -> None:
    assert data_of.image_folder(pets).describe() == (
        "54 images, 6 held out; 3 folders with images:"
        " write data.num_classes=3 to train with classes"
    )


def test_files_that_were_skipped_are_counted_and_named(pets) -> None:
    (pets / "notes.txt").write_text("left out")
    (pets / "cat" / ".hidden.png").write_bytes((pets / "cat" / "0.png").read_bytes())
    (pets / "dog" / "film.gif").write_bytes(b"GIF89a")
    said = data_of.image_folder(pets, num_classes=3).describe()
    assert said.endswith("; 3 files skipped: notes.txt, .hidden.png, film.gif")


def test_a_stated_deviation_that_is_far_off_is_told(pets) -> None:
    measured = data_of.image_folder(pets)
    measured.load()
    x = measured.train.batch(torch.arange(54))["x"]
    assert measured.std == pytest.approx(float(x.std(correction=0)))
    said = data_of.image_folder(pets, std=0.5).describe()
    assert f"standard deviation {measured.std:.3g}, but data.std=0.5: write data.std=" in said
    assert "deviation" not in data_of.image_folder(pets, std=measured.std * 1.15).describe()
    with pytest.raises(ValueError, match=r"^data\.std=0: write a number above 0, or null"):
        data_of.image_folder(pets, std=0)


def test_points_and_text_are_described(tmp_path) -> None:
    points = Toy2D(law=Ring(), num_classes=8, batch_size=16, seed=0)
    said = points.describe()
    assert said.startswith("points drawn without end from Ring, 8 classes (0, 1,")
    assert said.endswith("4,096 held out") and points.std == pytest.approx(1.005, abs=0.02)
    (tmp_path / "a.txt").write_text("abc " * 1000)
    said = data_of.text_file(tmp_path / "a.txt").describe()
    assert said == "3,600 tokens of text, 400 held out; vocabulary 257 (Bytes)"


def test_the_official_test_split_is_for_split_test_alone(data_root) -> None:
    given = {"shape": [1, 28, 28], "levels": 256}
    data = data_of.digits(source=FashionMNIST(), **given)
    assert "50,000 images" in data.describe() and "10,000 for split=test" in data.describe()
    val = data.val.labels
    data.hold_out("test")
    assert torch.equal(data.val.images, data.test.images) and not torch.equal(data.val.labels, val)
    with pytest.raises(ValueError, match=r"^split=test: Digits has no test split, only train and"):
        data_of.digits().hold_out("test")


def test_captions_are_the_names_of_the_classes() -> None:
    assert class_captions(torch.tensor([1, 0]), ["cat", "owl"]) == ["owl", "cat"]
    assert class_captions(torch.tensor([1, 0]), None) == ["1", "0"]
    assert class_captions(None, None) is None and class_captions(torch.zeros(2, 3), None) is None


def test_where_names_are_numbers_they_alone_are_heard() -> None:
    names = ["10", "2", "30"]
    assert [class_number(word, names, 3) for word in ("10", 2, "30")] == [0, 1, 2]
    for word in (7, 0, "1"):  # 0 and 1 would be places in the list, which nobody sees
        with pytest.raises(ValueError, match="no such class") as caught:
            class_number(word, names, 3)
        assert "a number from" not in str(caught.value)
    assert class_number("1", ["0", "1", "2"], 3) == class_number(1, ["cat", "owl"], 2) == 1
    with pytest.raises(ValueError, match="they go from 0 to 1"):
        class_number(7, ["cat", "owl"], 2)


def test_a_batch_larger_than_the_data_is_refused_at_once() -> None:
    began = time.perf_counter()
    with pytest.raises(ValueError) as error:
        data_of.digits(batch_size=1_000_000).load()
    assert str(error.value) == (
        "data.batch_size=1000000 but train has 1,437 examples: write data.batch_size=1437 or less"
    )
    assert time.perf_counter() - began < 2
    Toy2D(law=Grid(), batch_size=10_000, seed=0).load()  # drawn without end: no batch is too large


def one_line(error: pytest.ExceptionInfo, *parts: str) -> None:
    said = str(error.value)
    assert "\n" not in said and all(part in said for part in parts), said


def test_a_file_given_as_a_folder_and_the_other_way_round(pets, tmp_path) -> None:
    with pytest.raises(ValueError) as error:
        data_of.image_folder(pets / "cat" / "0.png").load()
    one_line(error, "0.png is a file, where a folder of images", f"write data.root={pets / 'cat'}")
    (tmp_path / "book.txt").write_text("words")
    with pytest.raises(ValueError) as error:
        data_of.image_folder(tmp_path / "book.txt").load()
    one_line(error, "text is data=text_file data.path=")
    with pytest.raises(ValueError) as error:
        data_of.text_file(tmp_path).load()
    one_line(error, "is a folder, where one text file", f"write data.path={tmp_path / 'book.txt'}")


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_an_empty_text_is_said_to_be_empty(tmp_path, text) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ValueError) as error:
        data_of.text_file(tmp_path / "a.txt").load()
    one_line(error, f"data.path={tmp_path / 'a.txt'} is empty: name a file with text in it")


def test_a_shape_that_is_a_number_is_told_what_to_write() -> None:
    with pytest.raises(UserError) as error:
        settled(["data=image_folder", "data.shape=64"])
    one_line(error, "data.shape=64")
    with pytest.raises(ValueError) as error:
        Toy2D(law=Ring(), shape=[13], batch_size=4, seed=0)
    one_line(error, "data.shape=[13]: points in the plane have data.shape=[2]; a table")


NAMES = ["photos", "my photos", "photos (1)", "a=b", "x,y", "it's", "$HOME", "~x", "a\\b", "100%"]


@pytest.mark.parametrize("name", NAMES)
def test_folders_with_any_name_can_be_typed(name, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / name).mkdir()
    for typed in (f"data.root=~/{name}", f"data.source.root={tmp_path / name}"):
        words = ["data=image_folder", readable(typed)]
        assert settled(words)["data"]["source"]["root"] == str(tmp_path / name)


def test_a_folder_in_ones_home_is_found(pets, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(pets.parent))
    words = ["data=image_folder", "data.root=~/pets", "data.shape=[3,8,8]", "net.width=8"]
    done = genlab_here("check", *words)
    assert done.returncode == 0 and not done.stderr.startswith("genlab: Lexer"), done.stderr


def test_several_folders_are_still_a_sweep() -> None:
    assert readable("data.root=one,two") == "data.root=one,two"
    for typed in ("data.root=null", "data.root='a b'", "init_from={codec: a}"):
        assert readable(typed) == typed


def test_a_knob_of_the_source_is_typed_as_of_the_data() -> None:
    settings = settled(["data=mnist"])
    assert settings["data"]["source"]["root"] is None and "root" not in settings["data"]
    found = changed(settings, [("data.root", "/elsewhere")])
    assert found["data"]["source"]["root"] == "/elsewhere"
    other = changed(settings, [("data", "fashion_mnist")])["data"]
    assert other["source"]["_target_"].endswith("FashionMNIST") and "root" not in other
