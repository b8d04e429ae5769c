"""Tunes to look at and to hear: bars in picture and MIDI file, and their sound as measured."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from made_midi import tune
from PIL import Image

from genlab.views.midi import Note
from genlab.views.page import read_named
from genlab.views.score import HEARD, lines
from genlab.views.synth import PEAK, RATE, SECONDS, played, tone
from genlab.views.tunes import Played, Tunes
from genlab.views.wav import regions


def cents(sound: np.ndarray, f0: float) -> float:
    """How far the strongest partial within a tone of f0 is from it."""
    num = 1 << 20
    level = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), num))
    f = np.arange(len(level)) * RATE / num
    near = (f > f0 * 0.9) & (f < f0 * 1.1)
    return float(1200 * np.log2(f[near][level[near].argmax()] / f0))


@pytest.mark.parametrize("pitch", [33, 60, 69, 81, 105])
def test_a_note_sounds_at_its_pitch(pitch: int) -> None:
    f0 = 440 * 2 ** ((pitch - 69) / 12)
    sound = played([Note(0, 3, pitch)], tempo=100)
    assert abs(cents(sound, f0)) < 2
    level = np.abs(np.fft.rfft(sound))
    assert abs(level.argmax() * RATE / len(sound) / f0 - 1) < 0.02, "its first partial is loudest"


def test_a_piece_is_neither_silent_nor_clipped_and_ends() -> None:
    sound = played(tune(0), tempo=100)
    assert len(sound) == SECONDS * RATE and sound.dtype == np.float32
    assert abs(np.abs(sound).max() - PEAK) < 1e-6 and np.sqrt((sound**2).mean()) > 0.05
    assert abs(sound[-1]) < 1e-3 and abs(sound[0]) < 1e-3, "no click at its ends"
    # a note is heard when it begins: a quarter at 120 a minute is half a second
    late = played([Note(0, 1, 60), Note(2, 1, 72)], tempo=120)
    start = round(0.98 * RATE)
    assert (
        np.abs(late[start - 2000 : start]).max() < 0.05 < np.abs(late[start : start + 2000]).max()
    )
    assert len(played([], tempo=100)) == 0 or not played([], tempo=100).any()


def test_what_no_sample_rate_can_hold_is_left_out() -> None:
    assert not tone(127, 1000).any() and tone(108, 1000).any()
    sound = tone(105, RATE)
    level = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    f = np.arange(len(level)) * RATE / len(sound)
    assert level[f < 3000].max() < 0.01 * level.max(), "no partial is folded down"


def test_the_files_of_a_few_tunes(tmp_path: Path) -> None:
    items = [Played(tune(i), [8] * 12) for i in range(6)] + [Played([], [])]
    view = Tunes(tempo=120)
    view.save(items, tmp_path / "a", ["asked"] * 7)
    found = regions((tmp_path / "a.wav").read_bytes())
    assert len(found) == HEARD and all(name == "asked" for name, _ in found)
    with wave.open(str(tmp_path / "a.wav")) as f:
        sound = np.frombuffer(f.readframes(f.getnframes()), "<i2")
        assert f.getframerate() == RATE and 0.7 < np.abs(sound).max() / 32767 < 0.9
    assert (tmp_path / "a.wav").stat().st_size < 2**20, "a page holds several of them"
    drawn = read_named(tmp_path, "a", width=400)
    assert [drawn.macro, drawn.beside.macro, drawn.beside.beside.macro] == [
        "picture", "midi", "sound",
    ]  # fmt: skip
    assert drawn.beside.beside.beside is None
    assert len(drawn.beside.beside.value) == HEARD


def test_lines_stand_where_bars_begin(tmp_path: Path) -> None:
    assert lines([6, 6, 4], 12) == [0, 3, 6, 8, 10, 12]
    assert lines([], 8) == [0, 4, 8]
    view, columns = Tunes(), {}
    for name, bars in (("waltz", [6] * 4), ("march", [8] * 3)):
        path = view.save([Played([Note(0, 12, 60)], bars)], tmp_path / name)
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))[20]  # above the note
        columns[name] = np.flatnonzero((pixels == (0xD9, 0xD9, 0xDD)).all(1)) - 26
    assert columns["waltz"][:4].tolist() == [0, 18, 36, 54]
    assert columns["march"][:4].tolist() == [0, 24, 48, 72]


def test_the_midi_file_says_the_metres(tmp_path: Path) -> None:
    mido = pytest.importorskip("mido")
    Tunes().save([Played([Note(0, 1, 60), Note(7, 1, 60)], [6, 6, 7])], tmp_path / "a")
    track = mido.MidiFile(tmp_path / "a.mid").tracks[0]
    now, found = 0, []
    for message in track:
        now += message.time
        if message.type == "time_signature":
            found.append((now / 480, message.numerator, message.denominator))
    assert found == [(0, 3, 4), (6, 7, 8)]
