"""No hostile file takes effect: refused within 10 s and 1 GB, and nothing is written by it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import strange_files
import torch
from data_of import image_folder
from strange_files import FILES, File, contents, export, tensors

import genlab
from genlab.data.archives import unpack
from genlab.runs.folder.load import read_run
from genlab.runs.say.errors import UserError


def meet(file: File, path: Path) -> None:
    """What genlab does with a file of this kind."""
    if file.kind == "checkpoint":
        genlab.load(path)
        return
    image_folder(path, batch_size=2).load()


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
    assert file.says in text, "refused for another reason than what is hostile in it"
    written = [p for p in (folder / "cache").rglob("*") if p.suffix != ".lock" and p.is_file()]
    assert not written, "what is refused leaves nothing"


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: p.touch() or os.truncate(p, 10**12)])
def test_a_hash_that_is_a_pipe_or_a_terabyte_is_not_read(make, tmp_path: Path) -> None:
    path = strange_files.saved(lambda m: contents())(tmp_path, "")
    make(path.with_name(path.name + ".sha256"))
    before = peak()
    with pytest.raises(UserError, match=r"has (no readable|a damaged) x\.ckpt\.sha256"):
        genlab.load(path)
    assert peak() - before < 2**28


def test_an_honest_checkpoint_is_let_in(tmp_path: Path) -> None:
    """The negative control: the same files without what is hostile in them."""
    path = strange_files.saved(lambda m: contents())(tmp_path, "")
    assert torch.equal(read_run(path)["state_dict"]["w"], torch.zeros(3))
    good = tensors({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}, bytes(12))
    assert read_run(export(good)(tmp_path, ""))["clock"]["examples"] == 1


TAKES = """
import resource, sys, torch
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
try:
    torch.load(sys.argv[1], weights_only=True)
except (MemoryError, RuntimeError) as error:
    print("no memory" if "memory" in str(error) or not str(error) else error)
"""


@pytest.mark.parametrize("name", ["bytearray of 10 GB", "torch.Tensor of 10 GB"])
def test_what_torchs_safe_loading_lets_take_memory(name: str, tmp_path: Path) -> None:
    """The files are what they say: without the gate's own list of names they would take it."""
    path = next(f for f in FILES if f.name.endswith(name)).make(tmp_path, "")
    done = subprocess.run(
        [sys.executable, "-c", TAKES, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "no memory", done.stdout


def test_two_readers_of_one_file_see_two_contents(tmp_path: Path) -> None:
    """What the corpus' file is: Python's reader, which looks, sees ones, and torch loads zeros."""
    path = tmp_path / "x.ckpt"
    path.write_bytes(strange_files.two_readers({"w": torch.zeros(3)}, {"w": torch.ones(3)}))
    assert torch.load(path, weights_only=True)["w"].sum() == 0
    with zipfile.ZipFile(path) as pack:
        (name,) = (n for n in pack.namelist() if n.endswith("/data/0"))
        assert np.frombuffer(pack.read(name), np.float32).sum() == 3


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
