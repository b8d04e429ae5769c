"""No hostile file takes effect: refused within 10 s and 1 GB, and nothing is written by it."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
import strange_files
import torch
from strange_files import FILES, File, contents, export, tensors

import genlab
from genlab.data.archives import unpack
from genlab.data.folder import ImageFolder
from genlab.runs.folder.load import read_run
from genlab.runs.say.errors import UserError


def meet(file: File, path: Path) -> None:
    """What genlab does with a file of this kind."""
    if file.kind == "checkpoint":
        genlab.load(path)
        return
    data = ImageFolder(
        root=str(path), shape=[3, 8, 8], num_classes=None, levels=256, batch_size=2, seed=0
    )
    data.load()


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_the_corpus_is_large_and_its_names_are_distinct() -> None:
    assert len(FILES) >= 60 and len({f.name for f in FILES}) == len(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_a_hostile_file_is_refused(file: File, tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    folder = tmp_path_factory.mktemp("f")
    monkeypatch.setenv("GENLAB_CACHE", str(folder / "cache"))
    marker = folder / "marker"
    path = file.make(folder, str(marker))
    before, began = peak(), time.process_time()
    with pytest.raises((UserError, ValueError, FileNotFoundError)) as refused:
        meet(file, path)
    assert time.process_time() - began < 10
    assert peak() - before < 2**30
    assert not marker.exists()
    text = str(refused.value)
    assert str(path) in text and "\n" not in text, text
    written = [p for p in (folder / "cache").rglob("*") if p.suffix != ".lock" and p.is_file()]
    assert not written, "what is refused leaves nothing"


def test_an_honest_checkpoint_is_let_in(tmp_path: Path) -> None:
    """The negative control: the same files without what is hostile in them."""
    path = strange_files.saved(lambda m: contents())(tmp_path, "")
    assert torch.equal(read_run(path)["state_dict"]["w"], torch.zeros(3))
    good = tensors({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}, bytes(12))
    assert read_run(export(good)(tmp_path, ""))["clock"]["examples"] == 1


def test_an_honest_archive_is_unpacked(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    png = strange_files._png(8, 8, rows=8)
    for make in (strange_files._zip, strange_files._tar):
        path = make(*((f"a/{i}.png", png) for i in range(4)))(tmp_path, "")
        meet(File("", "archive", make), path)
    unpack(path, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out" / "a").iterdir()) == [
        f"{i}.png" for i in range(4)
    ]
