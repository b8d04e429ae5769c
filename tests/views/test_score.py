"""Pieces to look at and to hear: notes of frames, the MIDI file read back, picture and page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.views.midi import TICKS, Note, length_of, write_midi
from genlab.views.page import read_drawn, read_named
from genlab.views.score import Score, name_of, notes_of


def piece(seed: int = 0, frames: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).random((frames, 88)) < 0.05


def read_midi(data: bytes) -> tuple[int, list[tuple[int, bytes]]]:
    """(ticks of a quarter, events as (tick, message)) of a file of one track, by the standard."""
    assert data[:8] == b"MThd\0\0\0\6" and data[8:12] == b"\0\0\0\1" and data[14:18] == b"MTrk"
    track = data[22:]
    assert int.from_bytes(data[18:22], "big") == len(track)
    at, now, events = 0, 0, []

    def number() -> int:
        nonlocal at
        found = 0
        while True:
            byte, at = track[at], at + 1
            found = found << 7 | byte & 0x7F
            if byte < 0x80:
                return found

    while at < len(track):
        now += number()
        first = at
        if track[at] == 0xFF:
            at += 2
            size = number()
            at += size
        else:
            at += 3
        events.append((now, track[first:at]))
    assert events[-1][1] == b"\xff\x2f\0"
    return int.from_bytes(data[12:14], "big"), events


def sounding(events: list[tuple[int, bytes]]) -> list[tuple[int, int, int]]:
    """(start, length, pitch) of each note, in ticks."""
    open_, found = {}, []
    for tick, message in events:
        if message[0] == 0x90:
            assert message[1] not in open_, "a note begins before the one of its key has ended"
            open_[message[1]] = tick
        elif message[0] == 0x80:
            start = open_.pop(message[1])
            found.append((start, tick - start, message[1]))
    assert not open_
    return sorted(found)


def test_notes_are_runs_of_a_key() -> None:
    roll = np.zeros((6, 88), bool)
    roll[[0, 1, 3], 5] = True
    roll[2:, 87] = True
    assert notes_of(roll) == [(0, 2, 5), (2, 4, 87), (3, 1, 5)]
    assert notes_of(np.zeros((0, 88), bool)) == []


def test_a_midi_file_read_back_has_the_frames(tmp_path: Path) -> None:
    """Two pieces, one after another with a bar's rest: every key of every frame."""
    rolls = [piece(0), np.zeros((0, 88), bool), piece(1)]
    view = Score(frames_per_quarter=2)
    view.save(rolls, tmp_path / "two")
    ticks, events = read_midi((tmp_path / "two.mid").read_bytes())
    starts = [t for t, m in events if m[:2] == b"\xff\x06"]
    assert [m[3:] for _, m in events if m[:2] == b"\xff\x06"] == [b"0", b"1", b"2"]
    assert [m for t, m in events if m[:2] == b"\xff\x51"] == [
        b"\xff\x51\3" + (600_000).to_bytes(3, "big")
    ]
    per_frame = ticks // 2
    found = [np.zeros_like(r) for r in rolls]
    for start, length, pitch in sounding(events):
        which = max(i for i, s in enumerate(starts) if s <= start)
        first = (start - starts[which]) // per_frame
        found[which][first : first + length // per_frame, pitch - 21] = True
    assert all(np.array_equal(a, b) for a, b in zip(found, rolls))
    last = max(n[0] + n[1] for n in notes_of_ticks(rolls[0], per_frame))
    assert starts[1] == last + 4 * TICKS, "a rest of four quarters"


def notes_of_ticks(roll: np.ndarray, per_frame: int) -> list[tuple[int, int]]:
    return [(start * per_frame, length * per_frame) for start, length, _ in notes_of(roll)]


def test_a_note_ends_before_the_next_of_its_key_begins(tmp_path: Path) -> None:
    write_midi([[Note(0, 1, 60), Note(1, 1, 60)]], tmp_path / "a.mid")
    _, events = read_midi((tmp_path / "a.mid").read_bytes())
    assert sounding(events) == [(0, TICKS, 60), (TICKS, TICKS, 60)]


def test_mido_reads_it_too(tmp_path: Path) -> None:
    mido = pytest.importorskip("mido")
    notes = [Note(0, 1.5, 60), Note(1.5, 0.25, 60), Note(0, 4, 43, velocity=33)]
    write_midi([notes], tmp_path / "a.mid", tempo=90)
    file = mido.MidiFile(tmp_path / "a.mid")
    assert file.ticks_per_beat == TICKS and abs(file.length - 4 * 60 / 90) < 1e-4
    on = [(m.note, m.velocity) for m in file.tracks[0] if m.type == "note_on"]
    assert sorted(on) == [(43, 33), (60, 80), (60, 80)]


def test_numbers_of_variable_length() -> None:
    """The examples of the standard."""
    for number, expected in (
        (0, "00"), (0x40, "40"), (0x7F, "7f"), (0x80, "8100"), (0x2000, "c000"),
        (0x3FFF, "ff7f"), (0x4000, "818000"), (0xFFFFFFF, "ffffff7f"),
    ):  # fmt: skip
        assert length_of(number).hex() == expected


def test_names_of_pitches() -> None:
    assert [name_of(p) for p in (21, 60, 61, 108)] == ["A0", "C4", "C♯4", "C8"]


@pytest.mark.parametrize("num", [1, 5, 40])
def test_the_picture_shows_each_note(num: int, tmp_path: Path) -> None:
    view = Score()
    path = view.save([piece(i) for i in range(num)], tmp_path / "many", ["asked <&>"] * num)
    with Image.open(path) as image:
        blue = (np.asarray(image.convert("RGB")) == (0x1F, 0x6F, 0xEB)).all(2)
    assert blue.any(1).sum() > 20
    one = np.zeros((4, 88), bool)
    one[1:3, 39] = True
    with Image.open(view.save([one], tmp_path / "one")) as image:
        rows, columns = np.nonzero((np.asarray(image.convert("RGB")) == (0x1F, 0x6F, 0xEB)).all(2))
    assert np.ptp(rows) + 1 == 4 and np.ptp(columns) + 1 == 2 * 6 - 1, "two quarters, less the gap"
    view.save([np.zeros((0, 88), bool)], tmp_path / "silence")


def test_pairs_stand_side_by_side(tmp_path: Path) -> None:
    assert Score().pairs([piece(0)] * 9, [piece(1)] * 9, tmp_path / "pairs.png")
    with Image.open(tmp_path / "pairs.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    half = pixels.shape[1] // 2
    blue, orange = ((pixels == c).all(2) for c in ((0x1F, 0x6F, 0xEB), (0xD0, 0x70, 0x2A)))
    assert blue[:, :half].any() and not blue[:, half:].any()
    assert orange[:, half:].any() and not orange[:, :half].any()


def test_a_page_shows_the_picture_and_hands_out_the_midi(tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    Score().save([piece()], tmp_path / "evaluation" / "samples")
    drawn = read_named(tmp_path, "evaluation/samples", width=400)
    assert drawn.macro == "picture" and drawn.beside.macro == "midi"
    assert drawn.beside.value[0] == "samples.mid"
    assert drawn.beside.value[1].startswith("data:audio/midi;base64,TVRoZA")
    alone = read_drawn(tmp_path, tmp_path / "evaluation" / "samples.mid", width=400)
    assert alone.macro == "midi" and alone.beside.macro == "sound"
    assert alone.beside.beside is None


def test_what_is_no_midi_file_is_not_handed_out(tmp_path: Path) -> None:
    for name, data in (("a.mid", b"<script>"), ("b.mid", b"MThd" + bytes(2**20))):
        (tmp_path / name).write_bytes(data)
        drawn = read_drawn(tmp_path, tmp_path / name, width=400)
        assert "could not be shown" in drawn.problem and not drawn.value
    (tmp_path / "c.png").write_bytes(b"no picture")
    outside = tmp_path.parent / "outside.mid"
    outside.write_bytes(b"MThd")
    (tmp_path / "c.mid").symlink_to(outside)
    assert read_drawn(tmp_path, tmp_path / "c.png", width=400).beside is None
