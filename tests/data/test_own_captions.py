"""Pictures with captions of one's own: in three lines, words that are known and unknown, splits."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from running import fit, genlab_here, settled

from genlab.data.captioned import CaptionedPictures, said
from genlab.data.sources.captioned import CaptionedFolder, Emoji, OpenClipart, OpenMoji
from genlab.data.tokenizers import BPE, Bytes

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 230)}
SIDES = ("left", "right", "top", "bottom")


def caption(i: int) -> str:
    return f"A {[*COLOURS][i % 3]}  half on the {SIDES[i // 3 % 4]}"


def picture(i: int) -> Image.Image:
    """Half of it coloured, the rest transparent, which is white then."""
    image = np.zeros((16, 16, 4), np.uint8)
    half = {"left": np.s_[:, :8], "right": np.s_[:, 8:], "top": np.s_[:8], "bottom": np.s_[8:]}
    image[half[SIDES[i // 3 % 4]]] = (*COLOURS[[*COLOURS][i % 3]], 255)
    return Image.fromarray(image)


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "pictures"
    root.mkdir()
    rows = []
    for i in range(60):
        picture(i).save(root / f"{i}.png")
        rows.append({"file_name": f"{i}.png", "text": caption(i), "code": f"c{i // 2}"})
    (root / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return root


def made(root: Path | None, *, source: dict | None = None, **given) -> CaptionedPictures:
    folder = CaptionedFolder(root=None if root is None else str(root), **(source or {}))
    settings = {"tokenizer": BPE(size=300), "shape": [3, 8, 8], "batch_size": 8, "seed": 0, **given}
    return CaptionedPictures(source=folder, **settings)


@pytest.mark.whole
def test_captioned_pictures_of_ones_own_in_three_lines(root, tmp_path) -> None:
    words = [
        "model=diffusion", "data=captioned_folder", f"data.root={root}", "conditions=captions",
        "data.shape=[3,8,8]", "net.width=8", "net.head_dim=8", "conditions.encoder.width=16",
        "tokenizer.size=300", "sampler.num_steps=2",
    ]  # fmt: skip
    run = fit(words, tmp_path / "run")
    shutil.rmtree(root)  # what was trained is asked without the pictures
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        done = genlab_here("sample", f"run={run}", "num=4", "cond=a rde half on the left")
    assert done.returncode == 0, done.stderr
    assert next((run / "samples").rglob("*.png")).is_file()
    heard = done.stderr + done.stdout + "".join(str(w.message) for w in told)
    assert "no training caption has the word 'rde' (near it: red" in heard


def test_captions_come_with_their_pictures_in_small_letters(root) -> None:
    data = made(root)
    batch = data.train_batch(0)
    for image, told in zip(data.decode(batch["x"]), data.captions(batch["cond"]), strict=True):
        _, colour, *_, side = told.split()
        rows = {"left": image[:, :3], "right": image[:, 5:], "top": image[:3], "bottom": image[5:]}
        assert np.abs(rows[side].reshape(-1, 3).mean(0) - COLOURS[colour]).max() < 12
    white = [image for image, t in zip(data.decode(batch["x"]), data.captions(batch["cond"]))
             if t.endswith("left")]  # fmt: skip
    assert all((image[:, 5:] > 240).all() for image in white)
    assert data.describe() == "54 captioned pictures, 6 held out"
    assert data.asked(3, cond="a red half")[0].shape == (3, data.caption_length)


def test_what_is_asked_is_found_or_told(root) -> None:
    data = made(root, caption_length=12)
    data.load()
    with pytest.warns(
        UserWarning, match=r"no training caption has the word 'bleu' \(near it: blue"
    ):
        data.asked(1, cond="a bleu half")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cond = data.asked(5, cond=["a blue half", "A RED  half"])[0]
    assert data.captions(cond) == ["a blue half", "a red half"] * 2 + ["a blue half"]
    with pytest.raises(ValueError, match=r"^cond='a a a.*tokens; a caption has at most 12"):
        data.asked(1, cond="a " * 20)
    with pytest.raises(ValueError, match=r"^cond=\[\]: give a caption"):
        data.asked(1, cond=[])
    assert data.captions(data.looks(2)[0]) == data.captions(data.asked(2)[0])


def test_a_checkpoint_keeps_the_words(root) -> None:
    data = made(root)
    data.load()
    fresh = made(None, **data.found())
    fresh.load_state(data.state())
    assert torch.equal(fresh.looks(4)[0], data.looks(4)[0])
    assert torch.equal(fresh.asked(1, cond="a red half")[0], data.asked(1, cond="a red half")[0])
    for key, value in (("words", "x"), ("words", [1]), ("shown", ["x"] * 1000),
                       ("shown", ["x" * 10_000]), ("tokenizer", {"bpe": "{}"})):  # fmt: skip
        with pytest.raises(ValueError):
            fresh.load_state(data.state() | {key: value})


def test_groups_and_archives(root, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    shutil.make_archive(str(tmp_path / "pictures"), "zip", root)
    data = made(tmp_path / "pictures.zip", source={"group": "code", "val_fraction": 0.2})
    data.load()
    codes = [set(f.columns["code"]) for f in data.source.splits().values()]
    assert not codes[0] & codes[1] and len(data.val) == 12
    found = {"caption_vocab": data.tokenizer.vocab, "caption_length": data.caption_length}
    assert data.found() == found


def test_captions_that_are_cut_or_empty_are_counted(root) -> None:
    rows = (root / "metadata.jsonl").read_text().replace(caption(7), "")
    (root / "metadata.jsonl").write_text(rows)
    said_of_it = made(root, caption_length=2).describe()
    assert "captions of train are cut at 2 tokens" in said_of_it
    assert "captions of train are empty" in said_of_it


@given(st.text(max_size=30))
def test_a_word_is_the_same_wherever_it_stands(text) -> None:
    told = said(text)
    assert said(told) == told and (not told or (told[0] == " " and told[-1] != " "))
    ids = Bytes().encode(told)
    assert Bytes().piece(ids) == told


@pytest.mark.parametrize(
    ("rows", "given", "says"),
    [
        ([{"file_name": "0.png"}], {}, r"^data\.column=text: the folder's metadata\.jsonl says"),
        ([{"file_name": "0.png", "title": "x"}], {}, r"says title of its pictures: write .*NAME$"),
        ([{"file_name": "0.png", "text": 3}] * 1, {}, r"says no text, but '3'"),
        ([{"file_name": "0.png", "text": "x"}], {"caption_vocab": 9}, r"BPE needs 257 or more"),
        ([{"file_name": "0.png", "text": "x"}], {"caption_vocab": 999}, r"data\.caption_vocab"),
        ([{"file_name": "0.png", "text": "x"}], {"caption_length": 0}, r"^data\.caption_length=0"),
        ([{"file_name": "0.png", "text": "x"}], {"num_classes": 3}, r"^data\.num_classes=3 but"),
    ],
)  # fmt: skip
def test_captions_that_cannot_be_had_are_told_in_one_line(root, rows, given, says) -> None:
    more = [{**rows[0], "file_name": f"{i}.png"} for i in range(1, 9)]
    text = "".join(json.dumps(r) + "\n" for r in rows + more)
    (root / "metadata.jsonl").write_text(text)
    with pytest.raises(ValueError, match=says) as error:
        made(root, **given).load()
    assert "\n" not in str(error.value)


def test_a_folder_without_metadata_says_what_to_write(root) -> None:
    (root / "metadata.jsonl").unlink()
    with pytest.raises(ValueError, match=r"says nothing of its pictures: write \{\"file_name\""):
        made(root).load()


def test_vocabulary_and_length_are_found_and_reach_the_encoder(root) -> None:
    words = ["data=captioned_folder", f"data.root={root}", "conditions=captions"]
    encoder = settled([*words, "tokenizer.size=280"])["model"]["conditions"]["encoder"]
    assert encoder["vocab"] == 280 and 5 < encoder["length"] < 64


@pytest.mark.parametrize(
    ("source", "num"),
    [(Emoji, 1911), (lambda: Emoji(style="twitter"), 1911), (OpenMoji, 4495), (OpenClipart, 4621)],
    ids=["google", "twitter", "openmoji", "openclipart"],
)
def test_known_sets(source, num, data_root) -> None:
    source = source()
    if not (data_root / source.folder / source.file).is_file():
        pytest.skip(f"GENLAB_DATA has no {source.folder}/{source.file}")
    found = source.splits()
    assert sum(map(len, found.values())) == num
    assert 0.09 < len(found["val"]) / num < 0.12
    groups = [set(source.files.groups(f)) for f in found.values()]
    assert not groups[0] & groups[1]
    if isinstance(source, Emoji):
        other = Emoji(style="twitter").splits()["val"].columns["hexcode"]
        assert found["val"].columns["hexcode"] == other


def test_another_style_and_a_set_that_is_not_there(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"^data\.style=apple: allowed are google, twitter"):
        Emoji(style="apple")
    with pytest.raises(FileNotFoundError, match=r"there is no emoji-google-64\.zip in"):
        Emoji(root=str(tmp_path)).prepare()
    (tmp_path / "emoji-google-64.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"is damaged or another file"):
        Emoji(root=str(tmp_path)).splits()


def test_captions_that_no_model_hears_are_told(root) -> None:
    """data=captioned_folder alone trains on pictures without their captions, and says so."""
    from genlab.runs.settings.plan import Plan

    words = ["model=diffusion", "data=captioned_folder", f"data.root={root}", "data.shape=[3,8,8]",
             "data.batch_size=8"]  # fmt: skip
    line = "its captions are not used: conditions=captions trains on them"
    for more, told in (([], True), (["conditions=captions"], False), (["conditions=none"], True)):
        data = Plan(settled([*words, *more])).data()
        assert (line in data.describe()) is told, more
    assert line not in made(root).describe(), "where nothing is known of a model"
