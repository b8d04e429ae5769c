"""Checkpoint files: whole or absent, damage found, code refused."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import pytest
import torch

from genlab.runs.folder import checkpoint
from genlab.runs.folder.checkpoint import damage, manifest, newest, read, save
from genlab.runs.say.errors import UserError

STATE = {"w": torch.arange(600.0).reshape(20, 30), "n": 3, "nested": {"a": [1, 2.5, "x"]}}


def test_round_trip_and_no_temporary_left(tmp_path: Path) -> None:
    path = tmp_path / "a" / "examples=000000000001.ckpt"
    save(STATE, path)
    found = read(path)
    assert torch.equal(found["w"], STATE["w"]) and found["nested"] == STATE["nested"]
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, manifest(path).name]


def test_every_bit_flip_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    save(STATE, path)
    whole, dice = path.read_bytes(), random.Random(0)
    for _ in range(200):
        raw = bytearray(whole)
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        path.write_bytes(raw)
        assert damage(path)
        with pytest.raises(UserError, match=r"x\.ckpt is damaged"):
            read(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncation_falls_back_to_the_one_before(tmp_path: Path, share: float) -> None:
    older = tmp_path / "checkpoints" / "examples=000000000100.ckpt"
    newer = tmp_path / "checkpoints" / "examples=000000000200.ckpt"
    save(STATE, older)
    save(STATE, newer)
    os.utime(older, (2e9, 2e9))  # the clock of the file system says nothing
    assert newest(tmp_path) == newer
    whole = newer.read_bytes()
    newer.write_bytes(whole[: int(len(whole) * share)])
    with pytest.warns(UserWarning, match="examples=000000000200"):
        assert newest(tmp_path) == older
    older.write_bytes(b"")
    with pytest.raises(UserError, match=r"no valid checkpoint.*200\.ckpt is dam.*100\.ckpt is dam"):
        newest(tmp_path)


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("form", ["pickle", "torch", "torch_old"])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, form: str, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path, marker = tmp_path / "evil.ckpt", tmp_path / "ran"
    if form == "pickle":
        path.write_bytes(pickle.dumps(Evil(marker)))
    else:
        torch.save(
            {"state_dict": Evil(marker)}, path, _use_new_zipfile_serialization=form == "torch"
        )
    with pytest.raises(UserError, match="not a checkpoint"):
        read(path)
    assert not marker.exists()


def test_no_environment_switches_off_safe_loading(tmp_path: Path, monkeypatch) -> None:
    """By itself: were the file's form not looked at before, nothing would run either. The
    variable is removed, whatever torch makes of it."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr(checkpoint.torchfile, "check", lambda path: None)
    path, marker = tmp_path / "evil.ckpt", tmp_path / "ran"
    torch.save({"state_dict": Evil(marker)}, path)
    with pytest.raises(UserError, match="not a checkpoint"):
        read(path)
    assert not marker.exists() and "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize("more", [b"x", b"0" * 64 + b"  other.ckpt\n"])
def test_a_manifest_holds_the_hash_and_nothing_else(tmp_path: Path, more: bytes) -> None:
    path = tmp_path / "x.ckpt"
    save(STATE, path)
    manifest(path).write_bytes(manifest(path).read_bytes() + more)
    assert damage(path) == "has a damaged x.ckpt.sha256 beside it"


def test_urls_are_refused() -> None:
    with pytest.raises(UserError, match="local files only"):
        read(Path("https://example.org/x.ckpt"))


def test_bytes_that_were_lost_on_the_way_are_missed(tmp_path: Path, monkeypatch) -> None:
    def lossy(self, data) -> int:
        view = memoryview(data).cast("B")
        self.size += len(view)
        self.hash.update(view)
        self.file.write(view[: len(view) // 2])
        return len(view)

    monkeypatch.setattr(checkpoint._Hashing, "write", lossy)
    with pytest.raises(OSError, match=r"\d+ of \d+ bytes are in the file"):
        save(STATE, tmp_path / "x.ckpt")
    assert not list(tmp_path.iterdir())


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch) -> None:
    path, synced, named = tmp_path / "x.ckpt", [], []
    fsync, replace = os.fsync, os.replace

    def rename(a, b) -> None:
        named.append((Path(b).name, os.stat(a).st_ino in synced))
        replace(a, b)

    monkeypatch.setattr(os, "fsync", lambda f: (synced.append(os.fstat(f).st_ino), fsync(f)))
    monkeypatch.setattr(os, "replace", rename)
    save(STATE, path)
    assert named == [("x.ckpt.sha256", True), ("x.ckpt", True)]
    assert synced[-1] == tmp_path.stat().st_ino, "and its name at the end"


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "x.ckpt"
    save(STATE, path)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save({"w": torch.zeros(3)}, path)
    monkeypatch.undo()
    assert damage(path) is None and torch.equal(read(path)["w"], STATE["w"])
    assert len(list(tmp_path.iterdir())) == 2
