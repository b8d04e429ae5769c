"""How much an archive may hold, and that a refused one leaves nothing."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from genlab.data import archives
from genlab.data.archives import unpack


def make(path: Path, num: int) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as pack:
            for i in range(num):
                pack.writestr(f"a/{i}.txt", "x")
        return path
    with tarfile.open(path, "w") as pack:
        for i in range(num):
            info = tarfile.TarInfo(f"a/{i}.txt")
            info.size = 1
            pack.addfile(info, io.BytesIO(b"x"))
    return path


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
def test_no_more_files_than_may_be(name: str, tmp_path: Path) -> None:
    unpack(make(tmp_path / name, 3), tmp_path / "out", files=3)
    assert len(list((tmp_path / "out" / "a").iterdir())) == 3
    with pytest.raises(ValueError, match="more than 3 files"):
        unpack(make(tmp_path / name, 4), tmp_path / "more", files=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", name], "nothing half-written"


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("/".join("a" * 32), True), ("/".join("a" * 33), False), ("/".join(["b" * 110] * 9), True),
        ("/".join(["b" * 124] * 8 + ["c" * 9]), False), ("a" * 255, True), ("a" * 256, False),
    ],
)  # fmt: skip
def test_how_deep_and_long_a_name_may_be(name: str, may: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr(name, "x" * 4096)
    if may:
        unpack(path, tmp_path / "out")
        assert (tmp_path / "out" / name).is_file()
        return
    with pytest.raises(ValueError, match="it may not"):
        unpack(path, tmp_path / "out")


def test_a_zips_members_are_counted_before_its_directory_is_read(tmp_path, monkeypatch) -> None:
    path = make(tmp_path / "x.zip", 4)

    def read(*args):
        raise AssertionError("the directory was read")

    monkeypatch.setattr(archives.zipfile, "ZipFile", read)
    with pytest.raises(ValueError, match="more than 3 files"):
        unpack(path, tmp_path / "out", files=3)
