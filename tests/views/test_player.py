"""Sounds to look at and to hear: the WAV file read back, its regions, picture and page."""

from __future__ import annotations

import base64
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.views import page
from genlab.views.page import read_drawn, read_named
from genlab.views.sound import COLOURS, HEIGHT, LEFT, TOP, WAVE, WIDTH, Player, spectrogram
from genlab.views.wav import GAP, REGIONS, regions, write_wav

RATE = 8000


def sine(f: float, seconds: float = 0.25, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * f * time)).astype(np.float32)


def samples(data: bytes | Path) -> np.ndarray:
    """As the standard library reads it."""
    import io

    with wave.open(str(data) if isinstance(data, Path) else io.BytesIO(data)) as f:
        assert (f.getframerate(), f.getnchannels(), f.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(f.readframes(f.getnframes()), "<i2") / 32767


def test_a_file_read_back_has_the_sounds_one_after_another(tmp_path: Path) -> None:
    items = [sine(300), sine(900, 0.1), sine(2000, 0.33)]
    write_wav(items, ["low", "ein „Wort“", "c\0d"], tmp_path / "a.wav", rate=RATE)
    whole, gap = samples(tmp_path / "a.wav"), round(GAP * RATE)
    assert len(whole) == sum(map(len, items)) + 2 * gap
    assert not whole[2000 : 2000 + gap].any(), "a pause"
    found = regions((tmp_path / "a.wav").read_bytes())
    assert [name for name, _ in found] == ["low", "ein „Wort“", "c d"]
    for item, (_, alone) in zip(items, found, strict=True):
        assert np.abs(samples(alone) - item).max() <= 0.5 / 32767 + 1e-7


def test_soundfile_reads_it_too(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    write_wav([sine(300), sine(400)], ["a", "b"], tmp_path / "a.wav", rate=RATE)
    found, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == RATE and len(found) == 2 * 2000 + 2000
    info = soundfile.info(tmp_path / "a.wav", verbose=True).extra_info
    assert "cue" in info and "labl" in info and "should be" not in info


def test_what_is_beyond_full_scale_is_cut_and_what_broke_is_silence(tmp_path: Path) -> None:
    write_wav([np.array([2.0, -3.0, np.nan, 0.5])], ["x"], tmp_path / "a.wav", rate=RATE)
    assert np.allclose(samples(tmp_path / "a.wav"), [1, -1, 0, 0.5], atol=1e-4)
    write_wav([], [], tmp_path / "none.wav", rate=RATE)
    assert len(samples(tmp_path / "none.wav")) == 0


def test_a_file_without_regions_is_one_and_a_foreign_one_does_no_harm(tmp_path: Path) -> None:
    write_wav([sine(300), sine(400)], ["a", "b"], tmp_path / "a.wav", rate=RATE)
    whole = (tmp_path / "a.wav").read_bytes()
    cues = whole.index(b"cue ")
    assert regions(whole[:cues]) == [("", whole[:cues])]
    for at in range(12, len(whole), 7 if len(whole) < 2000 else 97):
        cut = whole[:at]
        assert sum(len(d) for _, d in regions(cut)) <= len(cut) + 64 * REGIONS
    both = bytearray(whole)
    struct.pack_into("<I", both, cues + 12 + 24 + 20, 0)  # the second begins where the first does
    assert regions(bytes(both)) == [("", bytes(both))], "overlapping ones would multiply"
    long = bytearray(whole)
    struct.pack_into("<I", long, whole.index(b"ltxt") + 12, 2**31)
    assert regions(bytes(long)) == [("", bytes(long))]


def test_the_picture_shows_pitch_level_and_where_it_is_silent(tmp_path: Path) -> None:
    item = np.concatenate([sine(1000, 0.5, 0.9), np.zeros(4000, np.float32)])
    path = Player(rate=RATE).save([item], tmp_path / "a", ["a class"])
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    wave_part = (pixels[TOP : TOP + WAVE, LEFT : LEFT + WIDTH] == COLOURS[0]).all(2)
    columns = wave_part.sum(0)
    assert (columns[5 : WIDTH // 2 - 5] > 0.8 * WAVE).all()
    assert (columns[WIDTH // 2 + 5 :] <= 1).all()
    below = TOP + WAVE + 2
    dark = 765 - pixels[below : below + HEIGHT, LEFT : LEFT + WIDTH].sum(2)
    assert abs(dark[:, 40].argmax() - (HEIGHT - 1) * 3 / 4) <= 3, "1,000 of 4,000 Hz, from below"
    assert dark[:, WIDTH - 20].max() < 30 < dark[:, 40].max()


@pytest.mark.parametrize("item", [np.zeros(0), np.zeros(5000), np.full(3000, np.nan), sine(50, 3)])
def test_a_spectrogram_of_anything(item: np.ndarray, tmp_path: Path) -> None:
    assert spectrogram(np.nan_to_num(item), RATE).dtype == np.uint8
    Player(rate=RATE).save([item] * 13, tmp_path / "a")


def test_pairs_stand_side_by_side(tmp_path: Path) -> None:
    view = Player(rate=RATE)
    assert view.pairs([sine(300)] * 9, [sine(400)] * 9, tmp_path / "p.png")
    found = regions((tmp_path / "p.wav").read_bytes())
    assert [n for n, _ in found[:3]] == ["1 sample", "1 nearest", "2 sample"] and len(found) == 12
    with Image.open(tmp_path / "p.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    half = pixels.shape[1] // 2
    mine, theirs = ((pixels == c).all(2) for c in COLOURS)
    assert mine[:, :half].any() and not mine[:, half:].any()
    assert theirs[:, half:].any() and not theirs[:, :half].any()


def test_a_page_shows_the_picture_and_a_player_each(tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    items, names = [sine(300 + 20 * i) for i in range(15)], [f"class {i}" for i in range(15)]
    Player(rate=RATE).save(items, tmp_path / "evaluation" / "samples", names)
    drawn = read_named(tmp_path, "evaluation/samples", width=700)
    assert drawn.macro == "picture" and drawn.beside.macro == "sound"
    players = drawn.beside.value
    assert [n for n, _ in players] == [f"{i} · class {i - 1}" for i in range(1, page.PLAYERS + 1)]
    for item, (_, uri) in zip(items, players):
        start = "data:audio/wav;base64,"
        assert uri.startswith(start)
        assert np.abs(samples(base64.b64decode(uri[len(start) :])) - item).max() < 1e-4


def test_what_is_no_wav_is_not_played(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a.wav").write_bytes(b"<script>")
    assert "it is no WAV file" in read_drawn(tmp_path, tmp_path / "a.wav", width=1).problem
    monkeypatch.setattr(page, "SOUND_BYTES", 100)
    Player(rate=RATE).save([sine(300)], tmp_path / "b")
    assert "over" in read_drawn(tmp_path, tmp_path / "b.wav", width=1).problem


def test_a_dashboard_is_given_pictures_and_sounds(tmp_path: Path) -> None:
    class Logger:
        def log_image(self, name, paths, *, step):
            self.image = name, paths

        def log_audio(self, name, audios, *, step, sample_rate, caption):
            self.audio = name, audios, step, sample_rate, caption

    view, logger = Player(rate=RATE), Logger()
    items = [sine(300), 3 * sine(400)]
    path = view.save(items, tmp_path / "a", ["low", "high"])
    view.log(logger, "samples", items, path, step=7)
    assert logger.image == ("samples", [str(path)])
    name, audios, step, rates, captions = logger.audio
    assert (name, step, rates) == ("samples/sound", 7, [RATE, RATE])
    assert captions == ["1 · low", "2 · high"] and np.abs(audios[1]).max() <= 1
    view.log(object(), "samples", items, path, step=7)  # a logger of neither is left alone
