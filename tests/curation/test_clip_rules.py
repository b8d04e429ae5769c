"""Clips curated: what stands still and what is there again is left out; the rest trains."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from films import save

from genlab.curation.base import Example, Leave
from genlab.curation.kinds.clips import Clip, Clips
from genlab.curation.rules.clips import Moving, Stills
from genlab.curation.rules.duplicates import Near
from genlab.runs.prepare import prepare_command
from genlab.runs.settings.prepared import chosen


def film(seed: int, num: int = 10) -> np.ndarray:
    """A block of colour that goes over a scene [num, 64, 64, 3]."""
    draws = np.random.default_rng(seed)
    scene = draws.integers(0, 255, (8, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.repeat(scene[None], num, 0).copy()
    colour, y = draws.integers(0, 255, 3), draws.integers(0, 48)
    for t in range(num):
        frames[t, y : y + 16, 4 * t : 4 * t + 20] = colour
    return frames


def says(frames: np.ndarray, **given):
    return Moving(**given)(Example("a", Clip(None, frames)))


def test_what_does_not_move_is_left_out() -> None:
    whole = film(0)
    assert says(whole) is None and says(whole[:7]) == Leave("under 8", 7)
    assert says(whole, most=9) == Leave("over 9", 10)
    still = np.repeat(whole[:1], 10, 0)
    assert says(still) == Leave("nothing moves", 0.0)
    dimmer = still.clip(1) - (np.arange(10) // 5).astype(np.uint8)[:, None, None, None]
    assert says(dimmer) == Leave("nothing moves", 0.111)
    with pytest.raises(ValueError, match="least=1"):
        Moving(least=1)


def test_a_clip_again_is_found_and_one_of_the_same_scene_is_not() -> None:
    rule, kind = Near(Stills()), Clips()
    first = [film(i) for i in range(12)]
    noise = np.random.default_rng(0).normal(0, 4, first[0].shape)
    later = [np.clip(0.9 * f + 10 + noise, 0, 255).astype(np.uint8) for f in first]
    held = [rule.sketch(Example("", Clip(None, f)), kind) for f in [*first, *later]]
    found = {i: said.value.place for i, said in rule.decide(held).items()}
    assert found == {12 + i: i for i in range(12)}
    back = first[0][::-1].copy()  # the same scene, and other moments of it in other places
    mixed = np.concatenate([first[0][:1], first[5][1:]])  # begins as another does
    held = [rule.sketch(Example("", Clip(None, f)), kind) for f in (first[0], back, mixed)]
    assert not rule.decide(held)


def test_a_folder_of_clips_from_raw_to_prepared(tmp_path) -> None:
    raw, to = tmp_path / "raw", tmp_path / "set"
    for i in range(12):
        save(
            raw / ("walk", "jump")[i % 2] / f"{i}.{('gif', 'webp')[i % 3 == 0]}",
            film(i)[:, ::2, ::2],
        )
    save(raw / "walk" / "again.webp", film(3)[:, ::2, ::2])
    save(raw / "walk" / "still.webp", np.repeat(film(5)[:1, ::2, ::2], 10, 0) + (
        np.arange(10) % 2).astype(np.uint8)[:, None, None, None] // 2)  # fmt: skip
    (raw / "jump" / "bad.gif").write_bytes(b"GIF89a" + bytes(40))
    prepare_command(["kind=video", f"from={raw}", f"to={to}", "processes=1"])
    dataset = json.loads((to / "dataset.json").read_text())
    left = dataset["left_out"]
    assert left["readable"] >= 1 and left["near"] + left["exact"] >= 1
    assert dataset["raws"] == 15 and dataset["kept"] == 12, left
    rows = [json.loads(x) for x in (to / "train" / "metadata.jsonl").read_text().splitlines()]
    for row in rows:
        assert (to / "train" / row["file_name"]).read_bytes() == (raw / row["id"]).read_bytes()
    assert "data:image/png" in (to / "report.html").read_text()
    assert "data=video_folder" in chosen(["data=prepared", f"data.root={to}"])


def test_folders_of_frames_are_clips_too(tmp_path) -> None:
    """A folder with pictures is a clip, its parent its class; what is written is a folder again."""
    raw, to = tmp_path / "raw", tmp_path / "set"
    for i in range(12):
        save(raw / ("walk", "jump")[i % 2] / (f"{i}" if i % 2 else f"{i}.webp"), film(i))
    shutil.copytree(raw / "jump" / "3", raw / "walk" / "again")  # the same frames
    save(raw / "walk" / "as_film.webp", film(5))  # those of raw/jump/5
    shutil.copytree(raw / "jump" / "7", raw / "walk" / "torn")
    torn = raw / "walk" / "torn" / "4.png"
    torn.write_bytes(torn.read_bytes()[:99])
    prepare_command(["kind=video", f"from={raw}", f"to={to}", "processes=1", "rules.split.val=0.4"])
    dataset = json.loads((to / "dataset.json").read_text())
    left = dataset["left_out"]
    assert (dataset["raws"], dataset["kept"]) == (15, 12), left
    assert (left["readable"], left["exact"]) == (1, 2)
    rows = [json.loads(x) for s in ("train", "val")
            for x in (to / s / "metadata.jsonl").read_text().splitlines()]  # fmt: skip
    assert {row["id"]: row["label"] for row in rows}["jump/1"] == "jump"
    folders = [p for p in to.glob("*/*") if p.is_dir()]
    assert len(folders) == 6
    for folder in folders:
        number = folder.name.split("_")[1]
        for i in range(10):
            mine, theirs = folder / f"{i}.png", raw / "jump" / number / f"{i}.png"
            assert mine.read_bytes() == theirs.read_bytes()
    from genlab.data.sources.videos import VideoFolder

    splits = VideoFolder(root=str(to)).read((3, 8, 64, 64), stride=1, fps=None)
    assert sum(len(s) for s in splits.values()) == 12
