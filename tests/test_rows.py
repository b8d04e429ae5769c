"""The ledger's file: damage is found, mending cuts what comes after, and it is the run's own."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from genlab.own import open_to_append, own_folder
from genlab.rows import append, damaged_rows, line_of, mend, parse, read_rows


def row(batches: int, kind: str = "train") -> dict:
    return {"kind": kind, "batches": batches, "loss": 0.5}


def ledger(folder: Path, *rows: dict, torn: bytes = b"") -> Path:
    path = folder / "metrics.jsonl"
    path.write_bytes(b"".join(map(line_of, rows)) + torn)
    return path


def test_every_flipped_bit_of_a_row_is_found() -> None:
    line = line_of(row(3)).rstrip(b"\n")
    assert parse(line) == row(3)
    for at in range(len(line)):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[at] ^= 1 << bit
            assert parse(bytes(flipped)) is None, (at, bit)
    assert parse(json.dumps(row(4)).encode()) == row(4), "a row of an older run"


def test_mending_ends_where_the_checkpoint_does(tmp_path: Path) -> None:
    path = ledger(tmp_path, row(1), row(2, "look"), row(2), row(2, "end"), row(3))
    assert mend(path, 2, rows=3) == []
    assert read_rows(path) == [row(1), row(2, "look"), row(2)]
    assert mend(path, 2, rows=5) == ["metrics.jsonl holds 3 of the 5 rows up to the checkpoint"]


def test_damaged_rows_are_told_and_kept_aside(tmp_path: Path) -> None:
    bad = line_of(row(1)).replace(b"0.5", b"0.6")
    path = ledger(tmp_path, row(0), torn=bad + line_of(row(2)))
    assert damaged_rows(path) == ["metrics.jsonl line 2 is torn or damaged"]
    assert mend(path, 2) == ["metrics.jsonl line 2 is torn or damaged"]
    assert (tmp_path / "metrics.damaged.jsonl").read_bytes() == bad
    assert read_rows(path) == [row(0), row(2)] and not damaged_rows(path)


def test_a_last_row_that_a_kill_cut_short_is_nothing_to_tell(tmp_path: Path) -> None:
    path = ledger(tmp_path, row(1), torn=line_of(row(2))[:20])
    assert mend(path, 5, rows=1) == []
    assert read_rows(path) == [row(1)]


def test_rows_are_added_and_never_written_over(tmp_path: Path) -> None:
    path = ledger(tmp_path, row(1))
    append(path, row(2))
    assert read_rows(path) == [row(1), row(2)]


@pytest.mark.parametrize("kind", ["link", "pipe", "device"])
def test_only_a_file_of_the_runs_own_is_written(kind: str, tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "metrics.jsonl", tmp_path / "elsewhere"
    if kind == "link":
        elsewhere.touch()
        path.symlink_to(elsewhere)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/null")
    told = []

    def attempt() -> None:
        try:
            open_to_append(path)
        except ValueError as error:
            told.append(str(error))

    thread = threading.Thread(target=attempt, daemon=True)  # a pipe could be waited for
    thread.start()
    thread.join(5)
    assert told and "remove it" in told[0]
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ValueError, match="is a link to"):
        own_folder(tmp_path / "folder")
