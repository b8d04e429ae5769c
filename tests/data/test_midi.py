"""The gate for MIDI files: what is read of honest ones, and what hostile ones are refused for."""

from __future__ import annotations

import random
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from made_midi import END, HOSTILE, NOTE, PROGRAMS, SOUND, file_of, off, on, tune

from genlab.data import midi
from genlab.data.midi import bars_of, library, opened
from genlab.views.midi import Note, write_midi

pytest.importorskip("symusic")
SCORE = library()


def read(data: bytes, folder: Path) -> midi.Tune:
    (folder / "x.mid").write_bytes(data)
    return opened(folder / "x.mid")


def test_notes_of_all_tracks_are_one_piece(tmp_path: Path) -> None:
    metre = b"\0\xff\x58\4\6\3\x18\x08"  # 6/8
    bass = on(240, 40, 100, channel=1) + off(240, 40, channel=1)
    drums = on(0, 36, channel=9) + off(240, 36, channel=9)
    found = read(file_of(metre + NOTE + END, bass + END, drums + END), tmp_path)
    assert found.notes.tolist() == [[0, 1, 60, 64], [0.5, 0.5, 40, 100]]
    assert found.metres == ((0.0, 6),) and found.drums == 1 and found.name == "x"


def test_running_status_and_notes_off_by_velocity(tmp_path: Path) -> None:
    track = on(0, 60) + b"\x60\x3c\0" + b"\0\x3e\x40" + b"\x60\x3e\0" + END
    found = read(file_of(track, division=96), tmp_path)
    assert found.notes.tolist() == [[0, 1, 60, 64], [1, 1, 62, 64]]


def test_what_a_view_writes_is_read(tmp_path: Path) -> None:
    notes = tune(3)
    write_midi([notes], tmp_path / "a.mid", bars=[[6] * 4 + [8] * 10])
    found = opened(tmp_path / "a.mid")
    mine = np.array([[n.start, n.length, n.pitch, n.velocity] for n in notes])
    order = np.lexsort((mine[:, 2], mine[:, 0]))
    np.testing.assert_allclose(found.notes, mine[order], atol=1 / 480)
    assert found.metres == ((0.0, 6), (12.0, 8))


def test_bars_follow_the_metres() -> None:
    assert bars_of(((0.0, 8),), 7.9) == [8, 8] and bars_of(((0.0, 8),), 8.0) == [8, 8, 8]
    # a metre that changes within a bar holds from the next one on
    assert bars_of(((0.0, 8), (5.0, 6)), 12.0) == [8, 8, 6, 6]
    for said, eighths in (((6, 8), 6), ((2, 2), 8), ((15, 16), 8), ((99, 1), 8), ((1, 0), 8)):
        assert midi._eighths(*said) == eighths


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_for_what_it_is(name: str, tmp_path: Path) -> None:
    data, said = HOSTILE[name]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ValueError, match=said) as error:
        read(data, tmp_path)
    assert "\n" not in str(error.value)
    assert time.process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_the_library_is_handed_nothing_that_was_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(midi, "library", lambda: pytest.fail("it was read") or None)
    for data, said in HOSTILE.values():
        if said in ("it has no notes", "but drums"):
            continue
        with pytest.raises(ValueError):
            midi.check(data)
    midi.check(SOUND)
    assert midi.TRACKS < 2048, "what the bomb of programs has in one track"
    assert len(PROGRAMS) < midi.BYTES


def test_an_endless_file_is_read_to_its_bound(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(midi, "BYTES", 100)
    with pytest.raises(ValueError, match="over 100 bytes"):
        read(SOUND + bytes(100), tmp_path)


def test_odd_bytes_are_refused_or_read_and_nothing_else(tmp_path: Path) -> None:
    """2,000 damaged files: a ValueError, or notes within bounds."""
    draws = random.Random(0)
    write_midi([tune(i) for i in range(2)], tmp_path / "a.mid")
    honest, read_ones = (tmp_path / "a.mid").read_bytes(), 0
    for _ in range(2000):
        data = bytearray(honest[: draws.choice([len(honest), draws.randrange(len(honest))])])
        for _ in range(draws.randrange(1, 5)):
            if data:
                at = draws.randrange(len(data))
                data[at] = draws.choice([0, 255, 127, 128, 0x90, 0xF0, draws.randrange(256)])
        try:
            midi.check(bytes(data))
            found = midi._tune(SCORE.from_midi(bytes(data)), "x")
        except (ValueError, RuntimeError):
            continue
        read_ones += 1
        assert np.isfinite(found.notes).all() and found.notes[:, 2].max() < 128
        assert found.notes[:, :2].min() >= 0
    assert read_ones > 50, "some damage is none"


def test_a_missing_library_is_one_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "symusic", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'genlab\[music\]'"):
        read(SOUND, tmp_path)


def test_a_note_is_no_negative_time(tmp_path: Path) -> None:
    write_midi([[Note(0, 1, 60)]], tmp_path / "a.mid")
    assert opened(tmp_path / "a.mid").notes.tolist() == [[0, 1, 60, 80]]
