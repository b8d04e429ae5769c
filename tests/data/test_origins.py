"""Licence, source and consent of training examples, as counts: of files, rows and known sets."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genlab.curation.licences import licence_of
from genlab.data.edits.forget import Forget
from genlab.data.images import Images
from genlab.data.origins import LONG, MOST, OTHERS, UNKNOWN, Origin, Origins, origin_of
from genlab.data.sources import captioned, debd, images, points, rolls, sounds, tables, text
from genlab.data.sources.folder import ImageFolder
from genlab.data.sources.tables import CsvFile
from genlab.data.sources.text import TextFile
from genlab.data.sources.text_folder import TextFolder
from genlab.data.table import Table
from genlab.data.text import Text
from genlab.data.tokenizers import Bytes
from genlab.data.toy import Ring, Toy2D

LICENCES = ("CC0-1.0", "CC-BY-NC-4.0", None)


def counts(found: Origins) -> dict[str, int]:
    """By licence."""
    whole: Counter = Counter()
    for origin, num in found.counts.items():
        whole[origin.licence] += num
    return dict(whole)


def rows(num: int) -> list[dict]:
    return [
        {"licence": LICENCES[i % 3], "source": f"site{i % 2}", "consent": "asked" if i % 2 else ""}
        for i in range(num)
    ]


def write(path: Path, lines: list[dict]) -> None:
    path.write_text("".join(json.dumps(r) + "\n" for r in lines))


def test_columns_of_a_folder_are_counted_over_train_alone(tmp_path) -> None:
    lines = []
    for i, row in enumerate(rows(30)):
        Image.new("RGB", (4, 4), (i, i, i)).save(tmp_path / f"{i}.png")
        split = "val" if i < 6 else "train"
        lines.append({"file_name": f"{i}.png", "split": split, **row})
    write(tmp_path / "metadata.jsonl", lines)
    options = {"shape": [3, 4, 4], "num_classes": None, "levels": 256, "batch_size": 2, "seed": 0}
    data = Images(source=ImageFolder(root=str(tmp_path)), **options)
    found = data.origins()
    assert counts(found) == {"CC0-1.0": 8, "CC-BY-NC-4.0": 8, UNKNOWN: 8}
    assert found.counts[Origin("CC-BY-NC-4.0", "site1", "asked")] == 4
    named = int(found.examples[Origin("CC-BY-NC-4.0", "site1", "asked")].removesuffix(".png"))
    assert named % 6 == 1 and named >= 6, "a training example of that origin, by its file"
    few = Images(source=ImageFolder(root=str(tmp_path)), limit=5, **options)
    assert sum(counts(few.origins()).values()) == 5


def document(i: int) -> str:
    return f"{i} is a number that is told of here at some length"


@pytest.mark.parametrize("held", [True, False])
def test_rows_of_text_are_counted_while_they_are_read(held, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "rows.jsonl"
    split = [{"split": "val" if i % 5 == 0 else "train"} for i in range(30)]
    write(path, [{"text": document(i), **split[i], **r} for i, r in enumerate(rows(30))])
    options = {"tokenizer": Bytes(), "block": 8, "batch_size": 2, "seed": 0}
    data = Text(source=TextFile(path=str(path)), in_memory=10**6 if held else 10, **options)
    data.load()
    path.unlink()  # no second pass
    found = data.origins()
    assert found.noun == "documents" and sum(found.counts.values()) == 24
    assert counts(found) == {"CC0-1.0": 8, "CC-BY-NC-4.0": 8, UNKNOWN: 8}


def test_a_folder_of_texts_has_its_metadata_heard(tmp_path) -> None:
    for i in range(20):
        (tmp_path / f"{i}.txt").write_text(document(i))
    lines = [{"file_name": f"{i}.txt", "license": "mit"} for i in range(0, 20, 2)]
    write(tmp_path / "metadata.jsonl", lines)
    source = TextFolder(root=str(tmp_path), patterns=["*.txt"], val_fraction=0.2)
    data = Text(source=source, tokenizer=Bytes(), block=8, batch_size=2, seed=0)
    found = data.origins()
    train = [int(t.split()[0]) for t in source.documents()[0]]
    even = sum(i % 2 == 0 for i in train)
    assert counts(found) == {"mit": even, UNKNOWN: len(train) - even}


def test_a_table_is_counted_by_its_own_column_of_licences(tmp_path) -> None:
    head, cells = "age,licence,source\n", [f"{i},{LICENCES[i % 2]},s\n" for i in range(20)]
    (tmp_path / "a.csv").write_text(head + "".join(cells))
    (tmp_path / "b.csv").write_text("age,source\n" + "".join(f"{i},s{i}\n" for i in range(20)))
    found = []
    for name in ("a.csv", "b.csv"):
        data = Table(source=CsvFile(path=str(tmp_path / name)), batch_size=2, seed=0, shape=None,
                     widths=None, val_fraction=0.2, drop=["source"])  # fmt: skip
        found.append(data.origins())
    assert sum(counts(found[0]).values()) == 16 and set(counts(found[0])) == {*LICENCES[:2]}
    assert counts(found[1]) == {UNKNOWN: 16}, "without licences, `source` is a column like others"
    data = Table(source=CsvFile(path=str(tmp_path / "a.csv")), batch_size=2, seed=0, shape=None,
                 widths=None, val_fraction=0.2, drop=["source"])  # fmt: skip
    data.edits = [Forget(ids=[0, 1, 2])]
    assert sum(counts(data.origins()).values()) == 13


def test_what_is_drawn_from_a_law_is_nobodys_work() -> None:
    data = Toy2D(law=Ring(), batch_size=4, seed=0)
    assert counts(data.origins()) == {"Public domain": len(data.train)}


KNOWN = [
    images.Digits, images.MNIST, images.FashionMNIST, images.CIFAR10, sounds.FSDD, sounds.ESC10,
    rolls.JSBChorales, rolls.Nottingham, tables.Adult, debd.DEBD, captioned.OpenMoji,
    captioned.OpenClipart, text.Shakespeare, text.StdlibCode, text.KJV, text.WikiText2,
]  # fmt: skip


@pytest.mark.parametrize("source", KNOWN, ids=lambda s: s.__name__)
def test_a_known_set_says_whose_it_is(source) -> None:
    """One that states no licence says where one might look; MNIST's is not its child's."""
    origin = source.__dict__["origin"]
    assert origin.source
    assert origin.licence == UNKNOWN or licence_of(origin.licence), origin.licence


def test_a_file_of_ones_own_is_unknown() -> None:
    for source in (images.ImageSource, sounds.SoundFolder, CsvFile, TextFile, points.PointsFile):
        assert source.origin == Origin() and source.origin.licence == UNKNOWN


def test_both_styles_of_emoji_have_their_own_licence() -> None:
    assert captioned.Emoji(style="google").origin.licence == "Apache-2.0"
    assert captioned.Emoji(style="twitter").origin.licence == "CC-BY-4.0"


def test_origins_are_bounded_and_no_example_is_lost() -> None:
    found = Origins()
    for i in range(5 * MOST):
        found.add(Origin("MIT", f"site{i}"), str(i))
    assert len(found.counts) == MOST + 1 and sum(found.counts.values()) == 5 * MOST
    assert found.counts[Origin("MIT", OTHERS)] == 4 * MOST
    for i in range(5 * MOST):
        found.add(Origin(f"own {i}", ""), str(i))
    assert len(found.counts) <= 2 * MOST + 1 and sum(found.counts.values()) == 10 * MOST
    assert found.counts[Origin(UNKNOWN, OTHERS)] > 0


CELLS = st.one_of(st.none(), st.text(max_size=400), st.integers(), st.floats(), st.lists(st.text()))


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(["licence", "license", "source", "consent", "x"]), CELLS))
def test_any_cell_becomes_one_line(row) -> None:
    origin = origin_of(row)
    assert all("\n" not in part and len(part) <= LONG for part in origin) and origin.licence


def test_the_first_of_both_spellings_counts() -> None:
    assert origin_of({"licence": "MIT", "license": "x"}).licence == "MIT"
    assert origin_of({"licence": " ", "license": "x"}).licence == "x"
    default = Origin("PSF-2.0", "s", "c")
    assert origin_of({"licence": "MIT"}, default) == Origin("MIT", "s", "c")


def test_the_fingerprint_stays_as_it_was(tmp_path) -> None:
    """What is known of a set's licences is no part of what is learned."""
    (tmp_path / "a.csv").write_text("x\n" + "".join(f"{i}\n" for i in range(20)))
    data = Table(source=CsvFile(path=str(tmp_path / "a.csv")), batch_size=2, seed=0, shape=None,
                 widths=None, val_fraction=0.2)  # fmt: skip
    before = data.fingerprint()
    data.origins()
    assert data.fingerprint() == before and torch.is_tensor(data.train.batch(torch.arange(2))["x"])
