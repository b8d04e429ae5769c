"""Tunes as events and as frames: own files, splits, windows, units, beginnings, known sets."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_midi import END as TRACK_END
from made_midi import HOSTILE, NOTE, file_of, folder, off, on, tune

from genlab.data.events import END
from genlab.data.music import Music, loudness
from genlab.data.rolls import Rolls
from genlab.data.sources.tunes import JSBTunes, MidiFolder, MidiFrames, NottinghamTunes
from genlab.views.midi import write_midi

pytest.importorskip("symusic")


def music(root: Path | str | None, **given) -> Music:
    names = {"val_fraction", "group"} & set(given)
    source = MidiFolder(
        root=None if root is None else str(root), **{n: given.pop(n) for n in names}
    )
    return Music(source=source, **{"block": 64, "batch_size": 4, "seed": 0, **given})


def frames(root: Path, **given) -> Rolls:
    source = MidiFrames(root=str(root), grid=given.pop("grid", 4))
    return Rolls(source=source, **{"frames": 32, "batch_size": 4, "seed": 0, **given})


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    return folder(tmp_path_factory.mktemp("tunes"))


def test_own_files_in_three_lines(own: Path) -> None:
    data = music(own)
    data.load()
    assert len(data.train.lengths) == 22 and len(data.val.lengths) == 2
    said = data.describe()
    assert said.startswith("22 pieces, 2 held out (") and f"vocabulary {data.vocab}" in said
    # what is held are the files' own notes
    piece = data.remi.decode(data.train.events(0))
    theirs = {tuple(map(tuple, data.remi.quantised(t).notes)) for t in data.source.tunes()["train"]}
    assert tuple(map(tuple, piece.notes)) in theirs


def test_what_cannot_be_read_is_named_counted_and_left_out(own: Path, tmp_path: Path) -> None:
    root = tmp_path / "tunes"
    shutil.copytree(own, root)
    for i, (data, _) in enumerate(HOSTILE.values()):
        (root / f"hostile{i}.mid").write_bytes(data)
    (root / "book.abc").write_text("X:1\nK:C\nCDE|\n")
    (root / "notes.txt").write_text("x")
    drums = on(0, 36, channel=9) + off(240, 36, channel=9)
    (root / "drums.midi").write_bytes(file_of(NOTE + drums + TRACK_END))
    data = music(root, val_fraction=0.2)
    data.load()
    assert len(data.train.lengths) + len(data.val.lengths) == 25
    said = data.describe()
    assert f"{len(HOSTILE)} files cannot be read (hostile" in said
    assert "1 file of ABC not read (book.abc): `abc2midi FILE` makes a .mid" in said
    assert "1 file skipped: notes.txt" in said and "1 notes of drums left out" in said


def test_nothing_to_read_is_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for i in range(4):
        (tmp_path / f"{i}.mid").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"none of 4 files is a tune .*begins as no MIDI"):
        music(tmp_path).load()
    with pytest.raises(ValueError, match=r"has no tunes: files ending in .mid, .midi"):
        music(empty).load()
    with pytest.raises(ValueError, match=r"data.root=null: which folder"):
        music(None).load()


def test_an_archive_is_the_folder_and_a_climbing_one_is_refused(
    own: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    packed = Path(shutil.make_archive(str(tmp_path / "a"), "zip", own))
    data, same = music(packed), music(own)
    assert data.fingerprint() == same.fingerprint()
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as pack:
        pack.writestr("../out.mid", b"x")
    with pytest.raises(ValueError, match="it may not"):
        music(tmp_path / "b.zip").load()
    assert not (tmp_path / "out.mid").exists() and not (tmp_path.parent / "out.mid").exists()


def test_classes_by_folder_and_groups_by_metadata(tmp_path: Path) -> None:
    folder(tmp_path / "a", 24, name="{}.mid")
    for i in range(24):
        place = tmp_path / "classes" / ("jig" if i % 2 else "reel")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "a" / f"{i}.mid", place)
    data = music(tmp_path / "classes", num_classes=2, val_fraction=0.25)
    assert data.train_batch(0)["cond"].shape == (4,) and data.class_names == ["jig", "reel"]
    assert data.asked(2, cond="reel")[0].tolist() == [1, 1]
    own = torch.tensor([t.label for t in data.source.tunes()["val"]])
    ids = torch.arange(len(data.val)).flip(0)  # windows, several a piece
    assert (data.val.slot > 0).any() and len(own.unique()) == 2
    assert torch.equal(data.val.batch(ids)["cond"], own[data.val.piece[ids]])
    assert torch.equal(data.keep(ids).val.labels, own[data.val.piece[ids]])
    other = music(None, num_classes=2)
    other.load_state(data.state())
    assert other.class_names == ["jig", "reel"]
    with pytest.raises(ValueError, match=r"class_names: texts"):
        other.load_state({"class_names": [1]})
    with pytest.raises(ValueError, match=r"write data.num_classes=2"):
        music(tmp_path / "classes", num_classes=3).load()
    rows = [{"file_name": f"{i}.mid", "composer": f"c{i % 6}"} for i in range(24)]
    (tmp_path / "a" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = MidiFolder(root=str(tmp_path / "a"), val_fraction=0.3, group="composer")
    found = source.tunes()
    sides = [{int(t.name) % 6 for t in found[s]} for s in ("train", "val")]
    assert not sides[0] & sides[1] and len(found["val"]) >= 7


def test_copies_on_both_sides_are_told(own: Path, tmp_path: Path) -> None:
    for side, num in (("train", 8), ("val", 3)):
        folder(tmp_path / side, num)
    assert "3 of 3 held-out pieces stand in train note for note" in music(tmp_path).describe()
    assert "note for note" not in music(own).describe()


def test_held_out_windows_hold_every_event_once(own: Path) -> None:
    data = music(own, block=50)
    batch = data.val.batch(torch.arange(len(data.val)))
    told = batch["x"][batch["mask"]]
    whole = [np.append(data.val.events(i), END) for i in range(len(data.val.lengths))]
    assert np.array_equal(told.numpy(), np.concatenate(whole))
    assert (batch["x"][~batch["mask"]] == END).all()
    firsts = batch["start"][data.val.slot == 0]
    assert (firsts == END).all(), "before a piece stands <|end|>"
    second = (data.val.slot == 1).nonzero()[0, 0]
    assert batch["start"][second] == batch["x"][second - 1, -1]
    weights = data.val.weights(torch.arange(len(data.val)))
    assert abs(float(weights.mean()) - 1) < 1e-9


def test_some_held_out_windows_are_pieces_and_units_of_their_own(own: Path) -> None:
    """What `evaluate` measures without near copies of train."""
    data = music(own, block=50)
    data.load()
    assert len(data.val.lengths) == 2 and (data.val.slot > 0).any()
    ids = (data.val.piece == 1).nonzero()[:, 0]
    for some in (ids, torch.cat([torch.tensor([1]), ids])):  # the first piece's second window
        part = data.keep(some)
        assert np.array_equal(*(t[0] for t in (part.tunes(part.val), data.tunes(data.val, [1]))))
        assert len(part.tunes(part.val)) == 1 and len(part.val) == len(some)
        batch = data.val.batch(some)
        assert torch.equal(part.val.tokens.long(), batch["x"][batch["mask"]])


def test_training_windows_lie_within_their_piece_and_see_its_ends(own: Path) -> None:
    data = music(own, block=50)
    train = data.train
    ids = torch.arange(8)
    for u in (0.0, 0.3, 0.7, 0.9999):
        batch = train.batch(ids, torch.full((8, 2), u))
        for row, i in enumerate(train.piece[ids].tolist()):
            piece = np.append(train.events(i), END)
            x = batch["x"][row][batch["mask"][row]].numpy()
            at = next(k for k in range(len(piece)) if np.array_equal(piece[k : k + len(x)], x))
            if u == 0.0:
                assert at == 0 and batch["start"][row] == END
            if u == 0.9999:
                assert x[-1] == END
    # a quarter of the places is before the piece's first token or so: the beginning is seen often
    draws = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0))
    batch = train.batch(torch.zeros(4000, dtype=torch.long), draws)
    length = int(train.lengths[0])
    share = float((batch["start"] == END).double().mean())
    assert abs(share - 26 / (length + 1)) < 0.03


def test_training_is_transposed_and_held_out_is_not(own: Path) -> None:
    plain, moved = music(own), music(own, transpose=3)
    remi, ids = plain.remi, torch.tensor([0])
    shifts = set()
    for u in np.linspace(0, 0.999, 30):
        draws = torch.tensor([[0.0, u]])
        a, b = (d.train.batch(ids, draws)["x"].numpy() for d in (plain, moved))
        at = (a >= remi.pitch) & (a < remi.duration)
        assert np.array_equal(a[~at], b[~at])
        shifts |= set((b - a)[at].tolist())
    assert shifts == set(range(-3, 4))
    assert torch.equal(plain.val.batch(ids)["x"], moved.val.batch(ids)["x"])


def test_a_batch_is_weighted_by_its_tokens_however_it_is_shared(tmp_path: Path) -> None:
    data = music(folder(tmp_path, 24, lambda i: tune(i, bars=1 + 4 * (i % 5))), block=256)
    whole = data.train_batch(3)
    assert len(set(whole["mask"].sum(1).tolist())) > 1, "of other lengths"
    assert abs(float(whole["weight"].mean()) - 1) < 1e-6
    counts = whole["mask"].sum(1)
    torch.testing.assert_close(whole["weight"], (counts / counts.double().mean()).float())
    halves = [data.train_batch(3, rank=r, world=2) for r in range(2)]
    for key in ("x", "mask", "start", "weight"):
        assert torch.equal(torch.cat([h[key] for h in halves]), whole[key])


def test_the_units_are_of_events_and_of_notes(own: Path) -> None:
    data = music(own)
    data.load()
    totals = SimpleNamespace(log_prob=-200 * math.log(2), values=100)
    found = data.units(totals, discrete=True)
    notes = sum(len(n) for n in data.tunes(data.val))
    assert abs(found["bits_per_event"] - 2) < 1e-9
    assert abs(found["nats_per_event"] - 2 * math.log(2)) < 1e-9
    assert abs(found["bits_per_note"] - 2 * len(data.val.tokens) / notes) < 1e-9


def test_samples_are_what_is_heard_and_read_back(own: Path, tmp_path: Path) -> None:
    """What a view writes of held-out pieces is, read as own files, the same piece."""
    data = music(own, block=4000)
    x = torch.stack([data.beginning(data.val, i) for i in range(2)])
    items = data.decode(x)
    assert [len(i.notes) for i in items] == [len(n) for n in data.tunes(data.val)]
    for heard, whole in zip(data.heard(x), data.tunes(data.val)):
        assert np.array_equal(heard, whole)
    for i, item in enumerate(items):
        data.view.save([item], tmp_path / f"{i}")
    again = music(tmp_path, val_fraction=0.5)
    again.load()
    theirs = {again.train.events(0).tobytes(), again.val.events(0).tobytes()}
    mine = {data.remi.encode(data.remi.decode(row)).tobytes() for row in x.numpy()}
    assert theirs == mine
    assert data.slips(x) == (0, int((x != END).sum()))


def test_velocities_come_back(tmp_path: Path) -> None:
    for levels in range(2, 33):
        for v in range(levels):
            assert loudness(v, levels) * levels // 128 == v


def test_samples_go_on_from_bars_that_are_given(own: Path) -> None:
    data = music(own)
    given = data.asked(3, given="1", mask="2")[1]
    bars = (given["x"][0] < data.remi.position).sum()
    assert given["x"].shape[0] == 3 and bars == 2 and given["mask"].all()
    events = data.val.events(1)
    assert np.array_equal(given["x"][2].numpy(), events[: given["x"].shape[1]])
    assert events[given["x"].shape[1]] < data.remi.position, "the third bar is what is asked for"
    assert data.asked(3)[1] is None
    for words, said in (
        ({"given": "9"}, "held-out piece, 0 to 1"), ({"prompt": "x"}, "no prompt"),
        ({"mask": "3"}, "mask=3"), ({"given": "0", "mask": "99"}, "bars, 0 to"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            data.asked(1, **words)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"block": 1}, "data.block=1"), ({"transpose": 13}, "data.transpose=13"),
     ({"tempo": 0}, "data.tempo=0"), ({"levels": 2}, "data.levels=2"),
     ({"shape": [9]}, r"data.shape=\[9\]: events have \[data.block\], here \[64\]"),
     ({"vocab": 5}, "write data.vocab=337"), ({"start_token": 1}, "data.start_token=1")],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_line(given: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        music(None, **given)


# --- as frames ------------------------------------------------------------------------------------


def test_frames_of_own_files_have_their_notes(tmp_path: Path) -> None:
    folder(tmp_path, 8)
    outside = file_of(NOTE + on(0, 5) + off(480, 5) + TRACK_END)
    (tmp_path / "low.mid").write_bytes(outside)
    (tmp_path / "broken.mid").write_bytes(b"x")
    data = frames(tmp_path, window=16)
    data.load()
    said = data.describe()
    assert "1 notes outside of a piano's keys left out" in said and "1 file cannot be read" in said
    assert data.train_batch(0)["x"].shape == (4, 16, 88)
    write_midi([tune(0)], tmp_path / "one.mid")
    roll = data.source._roll(next(t for t in data.source.source.tunes()["train"] if t.drums == 0))
    assert roll.dtype == bool and roll.shape[1] == 88 and roll[0].any()
    heard = data.tunes(data.train)[0]
    assert (heard[:, 1] > 0).all() and heard[:, 2].min() >= 21
    x = torch.stack([data.beginning(data.val, 0)])
    assert x.shape == (1, 32, 88)
    cut = data.tunes(data.val, whole=False)[0]
    assert np.array_equal(data.heard(x)[0], cut)


def test_a_grid_of_frames_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data.grid=0"):
        MidiFrames(root=str(tmp_path), grid=0)
    track = NOTE + on(480 * 16000, 60) + off(480, 60) + TRACK_END
    for i in range(3):
        (tmp_path / f"{i}.mid").write_bytes(file_of(track))
    with pytest.raises(ValueError, match=r"data.grid=96: .* has 1,536,\d+ frames, 262,144 at most"):
        frames(tmp_path, grid=96).load()


# --- known sets -----------------------------------------------------------------------------------


def test_the_chorales_as_notes_are_their_frames(data_root: Path) -> None:
    if not (data_root / "jsb-chorales").is_dir():
        pytest.skip("GENLAB_DATA has no jsb-chorales")
    source = JSBTunes()
    source.prepare()
    found = source.tunes()
    assert [len(found[s]) for s in ("train", "val", "test")] == [229, 76, 77]
    rolls = source.frames.pieces()["val"]
    data = Music(source=source, block=64, batch_size=4, seed=0, grid=4)
    data.load()
    for piece, roll in zip(data.tunes(data.val), rolls):
        back = np.zeros_like(roll)
        first = int(np.flatnonzero(roll.any(1))[0]) // 16 * 16  # empty bars are left out
        for start, length, pitch in piece:
            at = round(4 * start) + first
            back[at : at + round(4 * length), int(pitch) - 21] = True
        longest = data.remi.longest
        if max(length for _, length, _ in piece) * 4 < longest:
            assert np.array_equal(back, roll)


def test_nottingham_is_read_whole(data_root: Path, tmp_path: Path, monkeypatch) -> None:
    if not (data_root / "nottingham" / "nottingham.zip").is_file():
        pytest.skip("GENLAB_DATA has no nottingham/nottingham.zip")
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    source = NottinghamTunes(part="melody")
    source.prepare()
    found = source.tunes()
    assert [len(found[s]) for s in ("train", "val")] == [931, 103] and not source.notes()
    with pytest.raises(
        FileNotFoundError, match=r"no nottingham.zip .*git clone https://github.com"
    ):
        NottinghamTunes(root=str(tmp_path)).prepare()
    with pytest.raises(ValueError, match=r"data.part=all: allowed are both, melody and chords"):
        NottinghamTunes(part="all")
