"""Sounds: every format, resampled and placed; hostile files; the same batch for any workers."""

from __future__ import annotations

import json
import struct
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from data_of import sound_folder, wave_folder

from genlab.data import audio
from genlab.data.audio import opened
from genlab.data.sounds import placed
from genlab.data.sources.sounds import ESC10, FSDD

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
RATE = 8000


def sine(f: float, seconds: float, rate: int = RATE, amplitude: float = 0.4) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * f * np.arange(round(seconds * rate)) / rate)


def save(path: Path, wave: np.ndarray, rate: int = RATE, **form: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, **form)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten sounds: low ones of 0.1 s, high ones of 0.5 s."""
    for i in range(10):
        save(tmp_path / "low" / f"{i}.wav", sine(300 + 10 * i, 0.1))
        save(tmp_path / "high" / f"{i}.flac", sine(2000 + 10 * i, 0.5))
    return tmp_path


def pitch(wave: np.ndarray, rate: int) -> float:
    level = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(level.argmax() * rate / len(wave))


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.wav", {"subtype": "PCM_16"}), ("a.wav", {"subtype": "FLOAT"}),
     ("a.wav", {"subtype": "PCM_24"}), ("a.wav", {"subtype": "ULAW"}), ("a.flac", {}),
     ("a.ogg", {}), ("a.mp3", {})],
)  # fmt: skip
def test_every_format_is_read(name: str, form: dict, tmp_path: Path) -> None:
    rate = 16000
    wave = sine(440, 1.0, rate)
    found = opened(save(tmp_path / name, wave, rate, **form), rate)
    assert found.dtype == np.float32 and abs(len(found) - rate) <= 2304, "an mp3 is padded"
    assert abs(pitch(found[2000:-2000], rate) - 440) < 2
    assert abs(np.abs(found[2000:-2000]).max() - 0.4) < 0.02


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000])
def test_a_file_of_any_rate_and_channels_becomes_one_waveform(rate: int, tmp_path: Path) -> None:
    both = np.stack([sine(440, 1.0, rate), 0.5 * sine(440, 1.0, rate)], 1)
    found = opened(save(tmp_path / "a.wav", both, rate), 16000)
    assert abs(len(found) - 16000) <= 2 and abs(pitch(found, 16000) - 440) < 2
    assert abs(np.abs(found[1000:-1000]).max() - 0.3) < 0.01, "the mean of the channels"


def test_what_a_lower_rate_cannot_hold_is_filtered_out(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", sine(10_000, 1.0, 44100), 44100)
    assert np.abs(opened(path, 8000)[500:-500]).max() < 1e-3, "it would be heard at 2,000 Hz"


def test_each_file_is_scaled_to_its_peak_and_silence_is_left(tmp_path: Path) -> None:
    loud, quiet = sine(440, 0.2), sine(440, 0.2, amplitude=1e-3)
    for i, wave in enumerate((loud, quiet)):
        path = save(tmp_path / f"{i}.wav", wave, subtype="FLOAT")
        assert abs(np.abs(opened(path, RATE, peak=0.5)).max() - 0.5) < 1e-6
        assert abs(np.abs(opened(path, RATE)).max() - np.abs(wave).max()) < 1e-6
    assert not opened(save(tmp_path / "s.wav", np.zeros(100)), RATE, peak=0.5).any()


def test_a_longer_sound_is_cut_and_a_shorter_one_followed_by_silence() -> None:
    wave = torch.arange(1.0, 8.0)
    assert placed(wave, 3, 0.5).tolist() == [3, 4, 5], "the middle"
    places = [placed(wave, 3, p).tolist()[0] for p in (0.0, 0.19, 0.21, 0.99, 1.0)]
    assert places == [1, 1, 2, 5, 5], "evenly, both ends among them"
    assert placed(wave, 9, 0.3).tolist() == [1, 2, 3, 4, 5, 6, 7, 0, 0]
    assert placed(wave, 7, 0.9).tolist() == wave.tolist()


def test_own_files_in_three_lines(folder: Path) -> None:
    data = sound_folder(folder, num_classes=2, val_fraction=0.2)
    assert data.describe() == (
        "16 sounds, 2 classes (high, low), 4 held out; 0.256 s of each: 10 of 20 are longer and"
        " cut, 10 shorter, with silence after them; the longest lasts 0.5 s"
    )
    batch = data.train_batch(0)
    assert batch["x"].shape == (4, 1, 32, 32) and batch["x"].min() == -1 and batch["x"].max() < 1
    top = batch["x"][:, 0, :, :8].mean(2).argmax(1)
    assert torch.equal(top > 16, batch["cond"] == 0), "high sounds are loud in high bands"
    waves = data.decode(batch["x"])
    assert all(w.shape == (2048,) and w.dtype == np.float32 for w in waves)
    for wave, label in zip(waves, batch["cond"].tolist()):
        assert abs(pitch(wave[:700], RATE) - (2050, 350)[label]) < 150
    heard = batch["x"] > -0.3
    assert float((data.encode(waves) - batch["x"])[heard].abs().mean()) < 0.05, "2 dB"


def test_the_same_batch_whatever_the_workers_and_the_ranks(folder: Path) -> None:
    held, demanded = (sound_folder(folder, num_workers=n, num_classes=2) for n in (0, 1))
    for data in (held, demanded):
        data.load()
    loaded = list(islice(demanded.train_dataloader(), 3))
    for k in range(3):
        mine = held.train_batch(k)
        for theirs in (demanded.train_batch(k), loaded[k]):
            assert torch.equal(mine["x"], theirs["x"]) and torch.equal(mine["cond"], theirs["cond"])
    share = held.train_batch(2, rank=1, world=2)
    assert torch.equal(share["x"], held.train_batch(2)["x"][2:])
    assert not torch.equal(held.train_batch(0)["x"], held.train_batch(4)["x"])
    assert torch.equal(held.val.batch(torch.arange(2))["x"], held.val.batch(torch.arange(2))["x"])
    assert len(held.fingerprint()) == len(demanded.fingerprint()) == 64
    assert sound_folder(folder, window=200).fingerprint() != sound_folder(folder).fingerprint()


def test_the_part_of_a_long_sound_is_drawn_in_training_alone(tmp_path: Path) -> None:
    time = np.arange(16000)
    for i in range(4):
        save(tmp_path / f"{i}.wav", np.sin(2 * np.pi * (200 + time / 20) * time / RATE))
    data = sound_folder(tmp_path, limit=1, batch_size=1)
    tops = {int(data.train_batch(k)["x"][0, 0].mean(1).argmax()) for k in range(12)}
    assert len(tops) > 4
    whole = data.val.clips.wave(0)
    middle = data.mel(placed(whole, data.mel.length, 0.5)[None])
    assert torch.equal(data.val.batch(torch.tensor([0]))["x"], middle), "held out: the middle"


def test_files_by_their_metadata_keep_a_group_on_one_side(tmp_path: Path) -> None:
    rows = []
    for i in range(24):
        save(tmp_path / f"{i}.wav", sine(300, 0.1))
        rows.append({"file_name": f"{i}.wav", "label": i % 2, "speaker": f"s{i % 6}"})
        rows[-1]["split"] = "test" if i < 6 else "train"
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plain, grouped = (sound_folder(tmp_path, num_classes=2, group=g) for g in (None, "speaker"))
    assert len(plain.val) == 6, "the metadata's split"
    sides = [{int(p.stem) % 6 for p in grouped.split(s).clips.paths} for s in ("train", "val")]
    assert sides[1] and not sides[0] & sides[1], "what is asked for goes before"


# --- files of strangers -------------------------------------------------------------------------


def wav(path: Path, *, claims: int = 200, channels: int = 1, rate: int = RATE, num: int = 100):
    data = struct.pack("<HHIIHH", 1, channels, rate, 2 * rate & 0xFFFFFFFF, 2 * channels, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + data + b"data" + struct.pack("<I", claims)
    body += bytes(range(1, 101)) * (2 * num // 100)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def truncated(path: Path, of: str) -> Path:
    whole = save(path.with_name(f"whole.{of}"), np.random.default_rng(0).normal(0, 0.1, 40000))
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def float_wav(path: Path, value: float) -> Path:
    wave = sine(300, 0.1)
    wave[77] = value
    return save(path, wave, subtype="FLOAT")


def claiming_flac(path: Path) -> Path:
    """A FLAC whose header claims 2^36 - 1 samples."""
    data = bytearray(save(path, sine(300, 0.5)).read_bytes())
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    path.write_bytes(bytes(data))
    return path


HOSTILE = {
    "longer than it is": (lambda p: wav(p / "x.wav", claims=10**9), "claims 1,000,000,000 bytes"),
    "a gigahertz": (lambda p: wav(p / "x.wav", rate=10**9), "1,000,000,000 samples a second"),
    "slow": (lambda p: wav(p / "x.wav", rate=10), "10 samples a second, where 1,000"),
    "no channels": (lambda p: wav(p / "x.wav", channels=0), "no sound that can be read"),
    "many channels": (lambda p: wav(p / "x.wav", channels=100, num=1000, claims=2000), "channels"),
    "empty": (lambda p: wav(p / "x.wav", claims=0, num=0), "holds no samples"),
    "nan": (lambda p: float_wav(p / "x.wav", np.nan), "a sample is not finite"),
    "infinite": (lambda p: float_wav(p / "x.wav", np.inf), "a sample is not finite"),
    "another scale": (lambda p: float_wav(p / "x.wav", 30000.0), "a sample is 3e.04, where full"),
    "half a flac": (lambda p: truncated(p / "x.flac", "flac"), "no sound that can be read"),
    "half a wav": (lambda p: truncated(p / "x.wav", "wav"), "its header claims 80,000 bytes"),
    "endless flac": (lambda p: claiming_flac(p / "x.flac"), "claims 68,719,476,735 frames"),
    "a page": (lambda p: (p / "x.wav").write_text("<html>"), "it begins as no sound file"),
    "aiff": (
        lambda p: (p / "x.wav").write_bytes(
            save(p / "y.aiff", sine(300, 0.1)).read_bytes()
        ),
        "it begins as no sound file",
    ),
    "nothing": (lambda p: (p / "x.wav").write_bytes(b""), "it begins as no sound file"),
    "riff alone": (lambda p: (p / "x.wav").write_bytes(b"RIFF\0\0\0\0WAVE"), "no samples"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    make, said = HOSTILE[name]
    make(tmp_path)
    path = next(tmp_path.glob("x.*"))
    with pytest.raises(ValueError, match=said) as error:
        opened(path, RATE)
    line = str(error.value)
    assert line.startswith(f"data.root: {path} is no sound that can be read (")
    assert line.endswith("mend it or take it out of the folder") and "\n" not in line


def test_a_header_is_refused_before_anything_is_allocated(tmp_path: Path, monkeypatch) -> None:
    path = claiming_flac(tmp_path / "x.flac")
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *a, **k: pytest.fail("it was read"))
    with pytest.raises(ValueError, match="claims"):
        opened(path, RATE)


def test_a_file_that_is_longer_than_allowed_is_refused(tmp_path: Path, monkeypatch) -> None:
    path = save(tmp_path / "a.wav", sine(300, 2.0))
    monkeypatch.setattr(audio, "SECONDS", 1)
    with pytest.raises(ValueError, match=r"2 s of 1 channels: 1 s and .* at most; cut it"):
        opened(path, RATE)


def test_a_stream_that_does_not_know_its_length_is_read(tmp_path: Path) -> None:
    assert len(opened(wav(tmp_path / "x.wav", claims=0xFFFFFFFF), RATE)) == 100


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_are_named_together(folder: Path, workers: int) -> None:
    for name in ("low/3.wav", "high/5.flac"):
        (folder / name).write_bytes(b"no sound")
    (folder / "low" / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"2 of 16 files are no sounds that can be read: .*3.wav"):
        sound_folder(folder, num_classes=2, num_workers=workers, val_fraction=0.2, seed=1).load()


def test_a_missing_library_is_one_line(folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(ValueError, match=r"pip install 'genlab\[audio\]'"):
        sound_folder(folder).load()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shape": [32, 32]}, r"data.shape=\[32, 32\]: sounds have \[1,MELS,FRAMES\]"),
        ({"shape": [2, 32, 32]}, r"sounds have \[1,MELS,FRAMES\]"),
        ({"seconds": 0.25}, "last 0.248 s: write data.seconds=0.248"),
        ({"seconds": 1e9}, "data.seconds=1000000000.0: allowed is up to 1250 here"),
        ({"rate": 10}, "data.rate=10: allowed is 1000 to 384000"),
        ({"peak": 2.0}, "data.peak=2.0: allowed is above 0, up to 1, or null"),
        ({"window": 60}, "data.window=60: at least two hops, which are 128 here"),
        ({"levels": 256}, "data.levels=256: allowed is null"),
        ({"num_classes": 3}, "data.num_classes=3 but SoundFolder has 2: write data.num_classes=2"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(folder: Path, given: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        sound_folder(folder, **given).load()
    assert "\n" not in str(error.value)


def test_its_state_is_checked(folder: Path) -> None:
    data = sound_folder(folder, num_classes=2)
    data.load()
    other = sound_folder(None, num_classes=2)
    other.load_state(data.state())
    assert (
        other.class_names == ["high", "low"] and len(other.decode(torch.zeros(1, 1, 32, 32))) == 1
    )
    for names in ("text", [1], ["x" * 2000]):
        with pytest.raises(ValueError, match="class_names: texts of at most 1000 letters"):
            other.load_state({"class_names": names})


def test_numbers_that_broke_are_silence(folder: Path) -> None:
    x = torch.full((1, 1, 32, 32), float("nan"))
    (wave,) = sound_folder(None).decode(x)
    assert not wave.any()
    assert np.isfinite(sound_folder(None).decode(x.nan_to_num(1e30))[0]).all()


# --- the known sets -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "archive", "sizes"),
    [(FSDD, "fsdd/fsdd.zip", (2400, 300, 300)), (ESC10, "esc10/esc10-16k.zip", (240, 80, 80))],
)
def test_the_known_sets_have_their_splits(source, archive, sizes, data_root: Path) -> None:
    if not (data_root / archive).is_file():
        pytest.skip(f"GENLAB_DATA has no {archive}")
    made = source()
    made.prepare()
    root, found = made.read()
    assert tuple(len(found[s]) for s in ("train", "val", "test")) == sizes
    assert len(made.class_names) == 10 and all(p.is_relative_to(root) for p in found["val"].paths)
    for listing in found.values():
        counts = np.bincount(listing.labels)
        assert len(counts) == 10 and len(set(counts.tolist())) == 1
    if source is FSDD:
        assert made.class_names[7] == "seven"
        test = found["test"].columns
        assert set(test["split"]) == {"test"} and set(test["index"]) == {0, 1, 2, 3, 4}
        assert found["test"].paths[0].name.split("_")[0] == str(found["test"].labels[0])
    else:
        assert [set(f.columns["fold"]) for f in found.values()] == [{1, 2, 3}, {4}, {5}]
        originals = [{p.name.split("-")[1] for p in f.paths} for f in found.values()]
        assert not originals[0] & originals[1] and not originals[0] & originals[2]


def test_a_clone_is_the_same_set(tmp_path: Path) -> None:
    for digit in range(10):
        for i in (0, 5, 10, 11):
            save(tmp_path / "recordings" / f"{digit}_ann_{i}.wav", sine(300, 0.1))
    _root, found = FSDD(root=str(tmp_path)).read()
    assert [len(found[s]) for s in ("train", "val", "test")] == [20, 10, 10]
    assert all(int(p.name[0]) == c for s in found.values() for p, c in zip(s.paths, s.labels))
    clone = tmp_path / "esc"
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for target, name in enumerate(("dog", "rain", "cat")):
            rows.append(f"{fold}-1-A-{target}.wav,{fold},{target},{name},{name != 'cat'},1,A")
            save(clone / "audio" / f"{fold}-1-A-{target}.wav", sine(300, 0.1))
    (clone / "meta").mkdir()
    (clone / "meta" / "esc50.csv").write_text("\n".join(rows))
    source = ESC10(root=str(clone))
    assert [len(source.read()[1][s]) for s in ("train", "val", "test")] == [6, 2, 2]
    assert source.class_names == ["dog", "rain"]


def test_a_set_that_is_not_there_says_where_to_get_it(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"no fsdd.zip in .*git clone https://github.com/J"):
        FSDD(root=str(tmp_path)).prepare()
    (tmp_path / "fsdd.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"fsdd.zip is damaged or another file"):
        FSDD(root=str(tmp_path)).prepare()


def test_waveforms_are_the_sounds_that_spectrograms_are_of(folder: Path) -> None:
    waves, sounds = wave_folder(folder, num_classes=2), sound_folder(folder, num_classes=2)
    mine, theirs = (data.train_batch(3) for data in (waves, sounds))
    assert mine["x"].shape == (4, 1, 2048) and torch.equal(mine["cond"], theirs["cond"])
    assert torch.equal(waves.spectrogram(mine["x"]), theirs["x"])
    shown = [np.stack(d.pictured(b["x"])) for d, b in ((waves, mine), (sounds, theirs))]
    assert np.array_equal(*shown)
    assert torch.equal(waves.encode(waves.decode(mine["x"])), mine["x"])
    assert waves.fingerprint() != sounds.fingerprint()
    assert waves.shape == (1, 2048) and waves.describe() == sounds.describe()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shape": [2048]}, r"data.shape=\[2048\]: waveforms have \[1,SAMPLES\]"),
        ({"bands": [32, 30]}, r"data.bands=\[32, 30\]"),
        ({"rate": 10}, "data.rate=10"),
    ],
)
def test_waveforms_that_cannot_be_are_refused(given, said: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=said):
        wave_folder(folder, **given)
