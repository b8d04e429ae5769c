"""A run's folder: found by name, its own files alone, sealed, and written by one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from genlab.runs.folder import layout
from genlab.runs.folder.layout import (
    check_own,
    check_room,
    claim,
    find_run,
    read_settings,
    write_json,
    write_settings,
    write_text,
    write_yaml,
)
from genlab.runs.say.errors import UserError


def run(folder: Path, started: float = 0.0) -> Path:
    write_settings(folder, {"name": "x", "model": {"a": 1}})
    write_json(folder / "provenance.json", {"started": started})
    return folder


def test_the_last_run_is_the_one_that_was_started_last(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    for name, started in (("a", 2.0), ("b", 9.0), ("c", 3.0)):
        run(tmp_path / "x" / name, started)
    assert find_run("last").name == "b"
    with pytest.raises(UserError, match=r"the newest in it: .*/b"):
        find_run(tmp_path / "x")


def test_links_and_pipes_in_a_run_are_refused_but_wandbs_own(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    (folder / "wandb" / "logs").mkdir(parents=True)
    (folder / "wandb" / "latest").symlink_to("logs")
    (folder / "wandb" / "logs" / "debug-core.log").symlink_to(tmp_path / "log")
    check_own(folder)
    for name in ("wandb/out", "metrics.jsonl"):
        (folder / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(UserError, match=rf"{name} is a link"):
            check_own(folder)
        (folder / name).unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        find_run(folder)


def test_settings_that_were_changed_or_are_no_plain_data_are_refused(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    assert read_settings(folder)["model"] == {"a": 1}
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("a: 1", "a: 2"))
    with pytest.raises(UserError, match="changed or damaged"):
        read_settings(folder)
    (folder / "config.yaml.sha256").unlink()
    assert read_settings(folder)["model"] == {"a": 2}
    config.write_text("model: {a: '${oc.env:HOME}'}\n")
    with pytest.raises(UserError, match="not allowed in a settled value"):
        read_settings(folder)


def test_a_small_file_is_whole_or_as_before(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    inode = path.stat().st_ino
    write_text(path, "after")
    assert path.read_text() == "after" and path.stat().st_ino != inode, "another file, put there"

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "never")
    assert path.read_text() == "after" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", ["a\x85b", "a\u2028b", "a\u2029b", "é 日本\n x"])
def test_what_yaml_takes_for_line_ends_comes_back(text: str, tmp_path: Path) -> None:
    write_yaml(tmp_path / "a.yaml", {"name": text})
    assert yaml.safe_load((tmp_path / "a.yaml").read_text()) == {"name": text}


def test_too_little_room_is_refused(tmp_path: Path, monkeypatch) -> None:
    usage = layout.shutil._ntuple_diskusage(10**9, 10**9 - 10**5, 10**5)
    monkeypatch.setattr(layout.shutil, "disk_usage", lambda path: usage)
    check_room(tmp_path, 10**5)
    with pytest.raises(UserError, match="MiB needed"):
        check_room(tmp_path, 10**5 + 1)


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    with claim(folder), pytest.raises(UserError, match=f"written by process {os.getpid()}"):
        claim(folder)
    claim(folder)
