"""A folder's files with metadata: columns, splits, groups, and rows that name what is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genlab.data.sources.listing import FileFolder, by_group, listed


def folder(root: Path, rows: list[dict], *, also: tuple[str, ...] = ()) -> Path:
    for name in [r["file_name"] for r in rows if "file_name" in r] + list(also):
        path = root / name
        if root.resolve() in path.resolve().parents:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    text = "".join(json.dumps(r) + "\n" for r in rows)
    (root / "metadata.jsonl").write_text(text)
    return root


def many(num: int, **columns) -> list[dict]:
    return [
        {"file_name": f"d{i % 3}/{i}.wav", **{k: v(i) for k, v in columns.items()}}
        for i in range(num)
    ]


def test_columns_come_with_the_files_and_folders_are_no_classes(tmp_path) -> None:
    rows = many(6, text=lambda i: f"number {i}")
    found = listed(folder(tmp_path, rows, also=("d0/extra.wav", "notes.md")), (".wav",))
    assert [p.relative_to(tmp_path).as_posix() for p in found.paths] == [
        r["file_name"] for r in rows
    ]
    assert found.columns == {"text": [f"number {i}" for i in range(6)]}
    assert found.names is None and sorted(found.skipped) == ["d0/extra.wav", "notes.md"]


def test_the_column_label_is_the_class(tmp_path) -> None:
    found = listed(folder(tmp_path, many(6, label=lambda i: i % 2)), (".wav",))
    assert found.names == ["0", "1"] and found.labels == [0, 1] * 3


def test_splits_are_the_same_in_every_run_and_keep_groups_whole(tmp_path) -> None:
    folder(tmp_path, many(60, speaker=lambda i: f"s{i % 6}", label=lambda i: i % 2))
    files = FileFolder(
        str(tmp_path), endings=(".wav",), noun="sounds", val_fraction=0.2, group="speaker"
    )
    first, again = files.splits(), files.splits()
    assert first["val"].paths == again["val"].paths and len(first["val"]) == 20
    sides = [set(first[s].columns["speaker"]) for s in ("train", "val")]
    assert not sides[0] & sides[1]
    with pytest.raises(ValueError, match=r"data.group=who: no such column .*speaker"):
        FileFolder(str(tmp_path), endings=(".wav",), noun="sounds", group="who").splits()


def test_a_column_split_is_the_split(tmp_path) -> None:
    rows = many(10, split=lambda i: "test" if i < 3 else "train")
    found = FileFolder(str(folder(tmp_path, rows)), endings=(".wav",), noun="sounds").splits()
    assert (len(found["train"]), len(found["val"])) == (7, 3)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"text": "x"}], r"row 1: it has no file_name"),
        ([{"file_name": "a.wav"}, {"file_name": "a.wav"}], r"row 2: a.wav is in it twice"),
        ([{"file_name": "../../etc/passwd"}], r"1 of 1 rows name no sound in .*passwd"),
        ([{"file_name": "/etc/passwd"}], r"1 of 1 rows name no sound"),
        ([{"file_name": "a.txt"}], r"name no sound .* ends in .wav"),
        ([{"file_name": 3}], r"row 1: it has no file_name"),
    ],
)
def test_rows_name_files_of_the_folder_alone(tmp_path, rows, says) -> None:
    root = tmp_path / "root"
    root.mkdir()
    named = [r for r in rows if isinstance(r.get("file_name"), str)]
    folder(root, named)
    (root / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(ValueError, match=says):
        listed(root, (".wav",), "sounds")


def test_groups_are_held_out_up_to_the_share() -> None:
    held = by_group(["a"] * 50 + ["b"] * 30 + ["c"] * 20, 0.2)
    assert 20 <= sum(held) <= 50
    assert by_group(["a"] * 3, 0.5) == [True] * 3
