"""Clips: every kind of file, frames by rate and place; the same batch for all; moving digits."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from data_of import video_folder
from films import coded, known, save, smooth

from genlab.data.films import placed
from genlab.data.moving import opened
from genlab.data.sources.moving_digits import FAST, SLOW, MovingDigits, path

av = pytest.importorskip("av")


def as_shown(frames: np.ndarray) -> np.ndarray:
    return frames.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a", "a.mkv", "a.avi"])
def test_known_frames_come_back_exactly(name: str, tmp_path: Path) -> None:
    frames = known(6, side=32)
    found = opened(save(tmp_path / name, frames), [3, 32, 32])
    assert np.array_equal(found, as_shown(frames))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.webm"])
def test_a_codec_with_loss_gives_nearly_the_frames(name: str, tmp_path: Path) -> None:
    frames = smooth(6)
    found = opened(save(tmp_path / name, frames), [3, 32, 32])
    assert len(found) == 6 and np.abs(found.astype(int) - as_shown(frames).astype(int)).max() <= 8


def test_frames_of_a_folder_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    frames = known(12)
    found = opened(save(tmp_path / "a", frames), [3, 8, 8])
    assert (tmp_path / "a" / "10.png").is_file() and np.array_equal(found, as_shown(frames))


def test_a_strip_is_cut_into_its_frames(tmp_path: Path) -> None:
    from PIL import Image

    frames = known(5)
    Image.fromarray(np.concatenate(list(frames), 1)).save(tmp_path / "a.png")
    assert np.array_equal(opened(tmp_path / "a.png", [3, 8, 8], strip=5), as_shown(frames))
    with pytest.raises(ValueError, match="40 pixels across are not 3 frames"):
        opened(tmp_path / "a.png", [3, 8, 8], strip=3)


def test_every_so_manieth_frame_and_so_many_a_second(tmp_path: Path) -> None:
    frames = known(9)
    gif = save(tmp_path / "a.gif", frames, ms=100)
    assert np.array_equal(opened(gif, [3, 8, 8], stride=3), as_shown(frames[::3]))
    assert np.array_equal(opened(gif, [3, 8, 8], fps=5), as_shown(frames[::2]))
    assert np.array_equal(opened(gif, [3, 8, 8], fps=20), as_shown(frames.repeat(2, 0)))
    uneven = save(tmp_path / "b.gif", frames[:3], ms=[100, 300, 100])
    assert np.array_equal(opened(uneven, [3, 8, 8], fps=10), as_shown(frames[[0, 1, 1, 1, 2]]))
    film = coded(tmp_path / "a.mkv", known(8, side=32), rate=8)
    assert np.array_equal(opened(film, [3, 32, 32], fps=4), as_shown(known(8, side=32)[::2]))
    with pytest.raises(ValueError, match=r"have no times: write data\.fps=null"):
        opened(save(tmp_path / "c", frames), [3, 8, 8], fps=4)


def test_a_longer_clip_is_cut_and_a_shorter_one_holds_or_loops() -> None:
    frames = torch.arange(7)
    assert placed(frames, 3, 0.5, "hold").tolist() == [2, 3, 4], "the middle"
    assert [placed(frames, 3, p, "hold").tolist()[0] for p in (0, 0.19, 0.21, 0.99, 1)] == [
        0,
        0,
        1,
        4,
        4,
    ]
    assert placed(frames[:3], 5, 0.9, "hold").tolist() == [0, 1, 2, 2, 2]
    assert placed(frames[:3], 7, 0.9, "loop").tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten clips: GIFs of six frames, folders of three."""
    for i in range(10):
        save(tmp_path / "fly" / f"{i}.gif", known(6, seed=i))
        save(tmp_path / "walk" / f"{i}", known(3, seed=100 + i))
    (tmp_path / "fly" / "notes.txt").write_text("mine")
    return tmp_path


def test_own_files_in_three_lines(folder: Path) -> None:
    data = video_folder(folder, num_classes=2, val_fraction=0.2)
    assert data.describe() == (
        "16 clips, 2 classes (fly, walk), 4 held out; 4 frames of each: 10 of 20 are longer and"
        " cut, 10 shorter and hold their last frame; the longest has 6; 1 file skipped: notes.txt"
    )
    batch = data.train_batch(0)
    assert batch["x"].shape == (4, 3, 4, 8, 8)
    for clip, label in zip(data.decode(batch["x"]), batch["cond"].tolist()):
        held = np.array_equal(clip[2], clip[3])
        seeds = range(10) if label == 0 else range(100, 110)
        assert held == (label == 1)
        where = [
            (s, i)
            for s in seeds
            for i in range(3)
            if np.array_equal(clip[0], known(6 if label == 0 else 3, seed=s)[i])
        ]
        assert len(where) == 1, "its frames are those of one file"


def test_folders_of_frames_side_by_side_are_clips_and_no_classes(tmp_path: Path) -> None:
    for i in range(6):
        save(tmp_path / f"{i}", known(4, seed=i))
    data = video_folder(tmp_path)
    assert data.describe().startswith("5 clips, 1 held out") and data.class_names is None


def test_the_same_batch_whatever_the_workers_and_the_ranks(folder: Path) -> None:
    held, demanded = (video_folder(folder, num_workers=n, num_classes=2) for n in (0, 1))
    for data in (held, demanded):
        data.load()
    loaded = list(islice(demanded.train_dataloader(), 3))
    for k in range(3):
        mine = held.train_batch(k)
        for theirs in (demanded.train_batch(k), loaded[k]):
            assert torch.equal(mine["x"], theirs["x"]) and torch.equal(mine["cond"], theirs["cond"])
    assert torch.equal(held.train_batch(2, rank=1, world=2)["x"], held.train_batch(2)["x"][2:])
    assert not torch.equal(held.train_batch(0)["x"], held.train_batch(4)["x"])
    assert video_folder(folder, short="loop").fingerprint() != video_folder(folder).fingerprint()


def test_the_part_of_a_long_clip_is_drawn_in_training_alone(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / f"{i}.gif", known(16, seed=i))
    data = video_folder(tmp_path, limit=1, batch_size=1)
    whole = data.train.films.frames(0)
    firsts = {
        int((whole == f).flatten(1).all(1).nonzero())
        for k in range(30)
        for f in torch.from_numpy(
            data.decode(data.train_batch(k)["x"])[0][:1].transpose(0, 3, 1, 2)
        )
    }
    assert len(firsts) > 6
    x = data.val.batch(torch.tensor([0]))["x"]
    assert np.array_equal(data.decode(x)[0], data.val.films.frames(0)[6:10].permute(0, 2, 3, 1))


def test_files_by_their_metadata_keep_a_group_on_one_side(tmp_path: Path) -> None:
    rows = []
    for i in range(12):
        name = f"c/{i}" if i % 2 else f"c/{i}.gif"
        save(tmp_path / name, known(4, seed=i))
        rows.append({"file_name": name, "label": "ab"[i % 2], "who": f"w{i // 4}"})
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = video_folder(tmp_path, num_classes=2, group="who")
    data.load()
    sides = [
        {rows[int(p.stem)]["who"] for p in data.split(s).films.listing.paths}
        for s in ("train", "val")
    ]
    assert not sides[0] & sides[1] and len(data.val) == 4
    assert all(
        "ab"[label] == rows[int(p.stem)]["label"]
        for p, label in zip(data.train.films.listing.paths, data.train.labels.tolist())
    )


def test_captions_stay_with_their_clips_where_a_file_is_broken(tmp_path: Path) -> None:
    from genlab.data.captioned_videos import CaptionedVideos
    from genlab.data.sources.videos import CaptionedVideoFolder
    from genlab.data.tokenizers import Characters

    rows = []
    for i in range(10):
        save(tmp_path / f"{i}.gif", known(4, seed=i))
        rows.append({"file_name": f"{i}.gif", "text": "abcdefghij"[i]})
    (tmp_path / "4.gif").write_bytes(b"GIF89a")
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = CaptionedVideos(
        source=CaptionedVideoFolder(root=str(tmp_path), val_fraction=0.3), tokenizer=Characters(),
        shape=[3, 4, 8, 8], batch_size=2, seed=0,
    )  # fmt: skip
    data.load()
    assert len(data.train) + len(data.val) == 9
    for split in (data.train, data.val):
        batch = split.batch(torch.arange(len(split)))
        for clip, said in zip(data.decode(batch["x"]), data.captions(batch["cond"])):
            assert np.array_equal(clip, known(4, seed="abcdefghij".index(said)))
    assert "1 file that cannot be read left out: 4.gif (it ends in the middle)" in data.describe()


def test_the_sprites_are_twelve_classes_and_figures_do_not_leak(data_root: Path) -> None:
    from genlab.data.sources.videos import LPCSprites

    if not (data_root / "lpc-sprites").is_dir():
        pytest.skip("GENLAB_DATA has no lpc-sprites")
    source = LPCSprites()
    found = source.splits()
    assert [len(found[s]) for s in ("train", "val")] == [4320, 480]
    sides = [set(found[s].columns["character"]) for s in ("train", "val")]
    assert not sides[0] & sides[1] and len(source.class_names) == 12
    films = source.read([3, 6, 64, 64], stride=1, fps=None)["val"].first(3)
    for i, path_ in enumerate(films.listing.paths):
        name = source.class_names[films.labels[i]].split()[0]
        assert f"_{name}_" in path_.name
        assert len(films.frames(i)) == {"walking": 8, "casting": 7, "slashing": 6}[name]
        assert source.captions()["val"][i].split(", ")[-2].startswith(name)


# --- moving digits --------------------------------------------------------------------------------


def test_a_path_is_a_straight_line_that_the_ends_reflect() -> None:
    times = torch.arange(9)
    found = path(torch.tensor(6.0), torch.tensor(3.0), times, 8)
    assert found.tolist() == [6, 7, 4, 1, 2, 5, 8, 5, 2]
    down = path(torch.tensor(1.0), torch.tensor(-3.0), times, 8)
    assert down.tolist() == [1, 2, 5, 8, 5, 2, 1, 4, 7]


def test_moving_digits_stand_where_the_law_says_and_are_what_they_are() -> None:
    source = MovingDigits(clips=50)
    for split, flights in source.read([1, 8, 20, 24], stride=1, fps=None).items():
        pictures = flights.pictures
        for i in range(5):
            frames, digit = flights.frames(i), pictures.take(flights.ids[i])[0].float() * 255 / 16
            for t, (down, across) in enumerate(flights.places[i, 0].round().long().tolist()):
                part = frames[t, :, down : down + 8, across : across + 8]
                assert torch.equal(part, digit.round().byte()) and frames[t].sum() == part.sum()
        steps = flights.places.diff(dim=2).square().sum(-1).sqrt()
        assert (steps <= 8 * FAST + 1e-9).all() and (steps.amax((1, 2)) >= 8 * SLOW - 1e-9).all()
        places = flights.places.flatten(0, 2)
        assert (places >= 0).all() and (places <= torch.tensor([12, 16])).all(), split
        assert torch.equal(flights.labels, pictures.labels[flights.ids[:, 0]])
    again = MovingDigits(clips=50).read([1, 8, 20, 24], stride=1, fps=None)["val"]
    assert torch.equal(again.frames(3), flights.frames(3))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"shape": [3, 8, 8]}, r"a clip has \[CHANNELS,FRAMES,HEIGHT,WIDTH\]"),
        ({"shape": [2, 4, 8, 8]}, "1 or 3 channels"),
        ({"stride": 0}, r"data\.stride=0"),
        ({"fps": 10, "stride": 2}, r"data\.stride=2: allowed is 1 where data\.fps"),
        ({"short": "mirror"}, r"data\.short=mirror: allowed is hold, loop"),
        ({"num_classes": 3}, r"data\.num_classes=3.*2"),
    ],
)
def test_mistakes_name_the_key(folder: Path, given: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        video_folder(folder, **given).load()


def test_a_missing_library_is_named_with_its_remedy(tmp_path: Path, monkeypatch) -> None:
    import sys

    film = save(tmp_path / "a.mp4", smooth(3))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"pip install 'genlab\[video\]'"):
        opened(film, [3, 8, 8])
    for i in range(3):
        save(tmp_path / f"{i}.gif", known(3, seed=i))  # needs none
    with pytest.raises(ValueError, match=r"a\.mp4: .*genlab\[video\]"):
        video_folder(tmp_path).load()  # it is not left out as if it were broken
