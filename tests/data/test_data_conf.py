"""Every conf/data file: its head, the keys that others interpolate, and that it builds."""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path

import data_of
import pytest
import torch
import yaml
from conftest import CONF
from running import settled

from genlab.data.base import DataModule
from genlab.runs.gate import classes
from genlab.runs.settings.plan import Plan

FILES = sorted((CONF / "data").glob("*.yaml"))
NAMES = {
    "digits", "digits_pixels", "mnist", "fashion_mnist", "cifar10", "image_folder", "ring", "grid",
    "moons", "spirals", "checkerboard", "stdlib_code", "shakespeare", "text_file", "adult", "table",
    "table_tokens", "adult_tokens", "table_by_value", "adult_by_value",
    "debd", "jsb_chorales", "nottingham", "sums", "binary_mnist", "binary_mnist_pixels",
    "text_folder", "html_folder", "kjv", "wikitext2", "captioned_folder", "emoji", "openmoji",
    "openclipart", "points_file", "tiny_circle", "tiny_dino", "tiny_line", "tiny_moons",
    "audio_folder", "fsdd", "esc10", "audio_waves", "fsdd_waves", "esc10_waves",
    "midi_folder", "midi_frames", "jsb_events",
    "nottingham_events",
    "video_folder", "captioned_videos", "lpc_sprites",
    "lpc_actions", "moving_digits",
}  # fmt: skip
files = pytest.mark.parametrize("file", FILES, ids=lambda p: p.stem)


# what fits a kind of data, so that the settings compose
FITS = {"points": ["net=mlp"], "table": ["net=mlp"], "text": ["model=autoregressive"],
        "rolls": ["model=frames"], "music": ["model=autoregressive"],
        "music_frames": ["model=frames"], "image": [], "sound": [], "video": []}  # fmt: skip


def made(file: Path, *words: str) -> DataModule:
    """A data set, as `genlab train data=NAME` composes and builds it."""
    node = yaml.safe_load(file.read_text())
    key = "override /metric@_global_.metric"
    kind = next(d[key] for d in node["defaults"] if key in d)
    tokens = node["vocab"] is not None or "slots" in node
    more = ["model=autoregressive"] if tokens else FITS.get(kind, [])
    if file.stem == "text_file":
        more = [*more, f"data.path={__file__}"]
    if file.stem in ("table", "table_tokens", "table_by_value"):
        folder = Path(tempfile.mkdtemp())
        more = [*more, f"data.path={data_of.people(folder / 'people.csv')}"]
    if file.stem in (
        "captioned_folder",
        "emoji",
        "openmoji",
        "openclipart",
        "captioned_videos",
        "lpc_sprites",
    ):
        more = [*more, "data.caption_vocab=1024", "data.caption_length=26"]
    if file.stem.endswith("_waves"):
        more = ["model=vqgan"]
    if file.stem == "points_file":
        more = [*more, "data.shape=[2]"]
    if file.stem == "debd":  # found in its files, else
        more = [*more, "data.shape=[4]", "data.widths=[2,2]"]
    return Plan(settled([f"data={file.stem}", *more, *words])).build("data")


def test_the_sets_are_there() -> None:
    assert {f.stem for f in FILES} >= NAMES


@files
def test_the_head_and_the_keys(file) -> None:
    node = yaml.safe_load(file.read_text())
    assert file.read_text().startswith("# ")
    data = made(file)
    key = "override /metric@_global_.metric"
    metric = next(d[key] for d in node["defaults"] if key in d)
    measured = yaml.safe_load((CONF / "metric" / f"{metric}.yaml").read_text())["_target_"]
    assert classes.find(measured, [], "metric").kind == data.kind
    assert node["defaults"][-1] == "_self_" and node["seed"] == "${seed}"
    assert {"shape", "num_classes", "vocab", "levels", "batch_size"} <= set(node)
    assert ("std" in node) == (data.kind not in ("text", "music"))


@files
def test_every_argument_can_be_seen_in_the_file(file) -> None:
    node = yaml.safe_load(file.read_text())
    source = next((d["/source@source"] for d in node["defaults"] if "/source@source" in d), None)
    own = yaml.safe_load((CONF / "source" / f"{source}.yaml").read_text()) if source else {}
    typed_as_data = {k for k, v in own.items() if v == f"${{data.{k}}}"}
    assert typed_as_data == set(own) - {"_target_"} and typed_as_data <= set(node)
    parameters = inspect.signature(type(made(file))).parameters
    seen = set(node) - {"defaults", "_target_"} - typed_as_data | ({"source"} if source else set())
    assert set(parameters) == seen
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())


OPTIONS = sorted([*(CONF / "source").glob("*.yaml"), *(CONF / "tokenizer").glob("*.yaml")])


@pytest.mark.parametrize("file", OPTIONS, ids=lambda p: p.stem)
def test_a_source_and_a_tokenizer_are_one_constructor_call(file) -> None:
    node = yaml.safe_load(file.read_text())
    cls = classes.find(node.pop("_target_"), (), file.parent.name)
    assert set(inspect.signature(cls).parameters) == set(node)


@pytest.mark.parametrize(
    "name",
    ["digits", "digits_pixels", "ring", "grid", "moons", "spirals", "checkerboard", "stdlib_code"],
)
def test_sets_that_need_no_file(name) -> None:
    words = ["data.limit=10"] if name == "stdlib_code" else []
    data = made(CONF / "data" / f"{name}.yaml", *words)
    data.prepare()
    data.load()
    batch = data.train_batch(0)
    assert batch["x"].shape == (data.batch_size, *data.shape)
    assert ("cond" in batch) == (data.num_classes is not None)
    assert len(data.decode(batch["x"])) == data.batch_size
    assert "standard deviation" not in data.describe()  # it is as stated


@pytest.mark.parametrize(
    "name", ["mnist", "fashion_mnist", "shakespeare", "adult", "kjv", "wikitext2"]
)
def test_sets_on_disk(name, data_root) -> None:
    data = made(CONF / "data" / f"{name}.yaml")
    data.prepare()
    data.load()
    assert data.train_batch(0)["x"].shape == (data.batch_size, *data.shape)
    assert "standard deviation" not in data.describe()


def test_debds_rows_are_its_own_splits(data_root) -> None:
    if not (data_root / "debd" / "nltcs.train.data").is_file():
        pytest.skip("GENLAB_DATA has no debd/nltcs.train.data")
    data = Plan(settled(["data=debd", "net=mlp"])).build("data")
    data.prepare()
    data.load()
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [16181, 2157, 3236]
    assert data.shape == (32,) and data.widths == [2] * 16
    x = data.test.batch(torch.arange(3236))["x"].view(-1, 16, 2)
    assert (x.sum(2) == 0).all() and (x.abs() == 1).all()
    lines = (data_root / "debd" / "nltcs.test.data").read_text().split()
    assert ["01"[int(b)] for b in x[9].argmax(1)] == lines[9].split(",")


@pytest.mark.parametrize(
    ("words", "said"),
    [(["data=debd", "data.name=nltc"], "data.name=nltc: allowed are accidents"),
     (["data=debd", "data.val_fraction=0.1"], "has its own val; write data.val_fraction=null"),
     (["data=adult", "data.val_fraction=null"], "of its own; write data.val_fraction=0.1")],
)  # fmt: skip
def test_held_out_rows_are_asked_for_where_a_set_has_none(words, said, data_root) -> None:
    if words[0] == "data=debd" and not (data_root / "debd" / "nltcs.train.data").is_file():
        pytest.skip("GENLAB_DATA has no debd/nltcs.train.data")
    shape = ["data.shape=[32]", f"data.widths={str([2] * 16).replace(' ', '')}"]
    data = Plan(settled([*words, "net=mlp", *(shape if words[0] == "data=debd" else [])]))
    with pytest.raises(ValueError, match=said):
        data.build("data").load()
