"""Rules of sounds against known answers: loudness, silence, clipping, rate; and curated folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genlab.curation.base import Change, Example, Leave
from genlab.curation.kinds.sounds import Sound, Sounds
from genlab.curation.rules.sounds import (
    Clipping,
    Loudness,
    Rate,
    Seconds,
    Silence,
    clipped,
    loudness,
    weighted,
)

soundfile = pytest.importorskip("soundfile")


def tone(hertz: float, peak: float, seconds: float, rate: int = 48_000) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (peak * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def says(rule, wave: np.ndarray, rate: int = 48_000):
    return rule(Example("a", Sound(wave.astype(np.float32), rate)))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_loudness_of_a_tone_is_the_standards(rate: int) -> None:
    """BS.1770: a tone of 997 Hz at full scale in one channel is -3.01 LUFS."""
    assert loudness(tone(997, 1.0, 3, rate), rate) == pytest.approx(-3.01, abs=0.02)
    assert loudness(tone(997, 0.1, 3, rate), rate) == pytest.approx(-23.01, abs=0.02)
    assert loudness(tone(997, 0.1, 0.2, rate), rate) == pytest.approx(-23.01, abs=0.1), "one block"


def test_what_is_quiet_does_not_count_in_the_loudness() -> None:
    """EBU Tech 3341, case 3: 10 s at -36, 60 s at -23, 10 s at -36 dB are -23 LUFS (+-0.1).

    There of two channels, which add up to twice the power of one.
    """
    two = 2**0.5
    parts = [tone(1000, two * 10 ** (dB / 20), s) for dB, s in ((-36, 3), (-23, 18), (-36, 3))]
    assert loudness(np.concatenate(parts), 48_000) == pytest.approx(-23.0, abs=0.1)
    assert loudness(np.zeros(48_000, np.float32), 48_000) == -np.inf


def test_the_weighting_is_what_the_standards_filters_do() -> None:
    """The recursion of tables 1 and 2, sample by sample."""
    from genlab.curation.rules.sounds import HIGH_PASS, SHELF

    wave = np.random.default_rng(0).normal(0, 0.1, 2400)
    mine, theirs = weighted(wave, 48_000), wave.copy()
    for b, a in (SHELF, HIGH_PASS):
        out = np.zeros_like(theirs)
        for i in range(len(theirs)):
            out[i] = sum(b[k] * theirs[i - k] for k in range(3) if i >= k)
            out[i] -= sum(a[k] * out[i - k] for k in (1, 2) if i >= k)
        theirs = out
    assert np.abs(mine[600:] - theirs[600:]).max() < 1e-3 * np.abs(theirs).max()


def test_loudness_is_brought_to_what_is_asked_and_no_sample_over_the_peak() -> None:
    found = says(Loudness(), tone(997, 0.01, 2))
    assert isinstance(found, Change) and found.value == pytest.approx(-43.0, abs=0.1)
    assert loudness(found.data.wave, 48_000) == pytest.approx(-23, abs=0.05)
    click = np.zeros(96_000)
    click[::24_000] = 0.5
    click += tone(997, 0.01, 2)
    found = says(Loudness(peak=-3.0), click)
    assert np.abs(found.data.wave).max() == pytest.approx(10 ** (-3 / 20), rel=1e-4)
    assert says(Loudness(), tone(997, 0.1, 2)) is None, "within the slack"
    assert says(Loudness(), np.zeros(4800)) is None


def test_silence_is_left_out_and_cut_off_at_the_ends_alone() -> None:
    loud, still = tone(440, 0.5, 0.5), np.zeros(24_000, np.float32)
    assert isinstance(says(Silence(), still), Leave)
    noise = np.random.default_rng(0).normal(0, 2e-4, 48_000)
    assert says(Silence(), noise).value == pytest.approx(-74, abs=2)
    found = says(Silence(), np.concatenate([still, loud, still, loud, noise[:12_000]]))
    assert isinstance(found, Change)
    assert found.value == pytest.approx(0.5 + 0.25 - 2 * 0.05, abs=0.021)
    assert len(found.data.wave) == pytest.approx(48_000 * (1.5 + 0.1), abs=1000)
    assert says(Silence(), np.concatenate([loud, still[:4000]])) is None, "under 0.1 s"


def test_clipping_is_samples_at_full_scale_in_runs() -> None:
    assert clipped(np.array([0, 1, 1, 1, 0, -1, -1, 0.5, -1, -1, -1, -1])) == pytest.approx(7 / 12)
    assert says(Clipping(), tone(440, 1.0, 1)) is None, "a tone at full scale is none"
    found = says(Clipping(), tone(440, 2.0, 1).clip(-1, 1))
    assert found.value == pytest.approx(2 / 3, abs=0.01)  # |sin| > 1/2 in two thirds of a period
    sixteen = (tone(440, 2.0, 1).clip(-1, 32767 / 32768)).astype(np.float32)
    assert says(Clipping(), sixteen) is not None, "the last step of 16 bits is full scale"


def test_rates_and_lengths() -> None:
    pytest.importorskip("soxr")
    assert says(Rate(), tone(100, 0.5, 1, 4000), 4000).value == 4000
    assert says(Rate(), tone(100, 0.5, 1)) is None
    found = says(Rate(to=16_000), tone(440, 0.5, 1))
    assert found.data.rate == 16_000 and len(found.data.wave) == 16_000
    assert np.abs(found.data.wave[500:-500] - tone(440, 0.5, 1, 16_000)[500:-500]).max() < 1e-3
    assert says(Seconds(), tone(440, 0.5, 0.05)).why == "under 0.1 s"
    assert says(Seconds(most=1), tone(440, 0.5, 2)).value == 2.0


def test_a_sound_is_parsed_as_it_was_dumped_and_written_sample_by_sample(tmp_path) -> None:
    kind = Sounds()
    whole = np.random.default_rng(0).integers(-(2**15), 2**15, 5000, dtype=np.int16)
    whole[:4] = [-32768, 32767, -1, 1]
    soundfile.write(tmp_path / "a.wav", whole, 22_050)
    from genlab.curation.base import Raw

    sound = kind.open(Raw("a.wav", tmp_path / "a.wav"))
    again = kind.parse(kind.dump(sound))
    assert again.rate == 22_050 and np.array_equal(again.wave, sound.wave)
    (tmp_path / "b.flac").write_bytes(kind.packed(sound))
    written, rate = soundfile.read(tmp_path / "b.flac", dtype="int16")
    assert rate == 22_050 and np.array_equal(written, whole)


def near(items) -> dict[int, int]:
    from genlab.curation.rules.duplicates import Near
    from genlab.curation.rules.fingerprints import Fingerprint

    rule, kind = Near(Fingerprint()), Sounds()
    said = rule.decide([rule.sketch(Example("", s), kind) for s in items])
    return {i: s.value.place for i, s in said.items()}


def spoken(draw: np.random.Generator, seconds: float, rate: int = 16_000) -> Sound:
    """Something like speech: noise whose bands swell and fade."""
    num = round(seconds * rate)
    spectrum = np.fft.rfft(draw.normal(0, 1, num))
    freqs, wave = np.fft.rfftfreq(num, 1 / rate), np.zeros(num)
    for low, high in ((200, 500), (500, 1100), (1100, 2000), (2000, 3400), (3400, 7000)):
        band = np.fft.irfft(np.where((freqs >= low) & (freqs < high), spectrum, 0), num)
        swell = np.interp(np.arange(num), np.linspace(0, num, 24), draw.random(24))
        wave += band * swell**2
    return Sound((0.3 * wave / np.abs(wave).max()).astype(np.float32), rate)


def test_near_copies_of_sounds_are_found_and_others_are_not() -> None:
    pytest.importorskip("soxr")
    import io

    from genlab.data.audio import resampled

    draw = np.random.default_rng(0)
    base = [spoken(draw, s) for s in (0.5, 1, 2, 5, 9) for _ in range(8)]

    def coded(s: Sound, form: str, kind: str) -> Sound:
        file = io.BytesIO()
        soundfile.write(file, s.wave, s.rate, kind, format=form)
        file.seek(0)
        return Sound(*soundfile.read(file, dtype="float32"))

    plants = [
        lambda s: coded(s, "OGG", "VORBIS"),
        lambda s: coded(s, "MP3", "MPEG_LAYER_III"),
        lambda s: Sound(s.wave * np.float32(0.2), s.rate),
        lambda s: Sound(resampled(s.wave, s.rate, 8000), 8000),
        lambda s: Sound(np.concatenate([np.zeros(800, np.float32), s.wave]), s.rate),
        lambda s: Sound(s.wave[800:], s.rate),
    ]
    found = near([*base, *(plant(s) for plant in plants for s in base)])
    num = len(base)
    assert not [i for i in found if i < num], "no two of the first are alike"
    right = [found.get(num + k) == k % num for k in range(num * len(plants))]
    assert np.mean(right) >= 0.97
    assert all(at == i % num for i, at in found.items() if i >= num), "none points to another"


def test_two_that_share_their_silence_alone_are_not_alike() -> None:
    draw = np.random.default_rng(1)
    still = np.zeros(48_000, np.float32)
    a, b = (Sound(np.concatenate([spoken(draw, 0.5).wave, still]), 16_000) for _ in range(2))
    assert near([a, b, a]) == {2: 0}
    silent = Sound(still, 16_000)
    assert near([silent, a, silent]) == {}, "silence has no fingerprint: the rules before see it"


def test_a_folder_of_sounds_is_curated_and_trained_on(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("soxr")
    from genlab.runs.prepare import prepare_command
    from genlab.runs.settings.prepared import chosen

    draw, raw = np.random.default_rng(0), tmp_path / "raw"
    for label in ("a", "b"):
        (raw / label).mkdir(parents=True)
        for i in range(10):
            sound = spoken(draw, 0.5)
            soundfile.write(raw / label / f"{i}.wav", sound.wave, sound.rate)
    wave, rate = soundfile.read(raw / "a" / "0.wav", dtype="float32")
    soundfile.write(raw / "b" / "copy.flac", wave, rate)
    soundfile.write(raw / "b" / "coded.ogg", wave * 0.5, rate)
    soundfile.write(raw / "b" / "loud.wav", (wave * 9).clip(-1, 1), rate)
    soundfile.write(raw / "b" / "still.wav", wave * 0, rate)
    (raw / "b" / "torn.wav").write_bytes((raw / "a" / "0.wav").read_bytes()[:2000])
    prepare_command(["kind=sound", f"from={raw}", f"to={tmp_path / 'set'}", "processes=1"])
    dataset = json.loads((tmp_path / "set" / "dataset.json").read_text())
    left = {k: v for k, v in dataset["left_out"].items() if v}
    assert left == {"readable": 1, "clipping": 1, "silence": 1, "exact": 1, "near": 1}
    assert (dataset["raws"], dataset["kept"]) == (25, 20)
    lines = (tmp_path / "set" / "train" / "metadata.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    written, _ = soundfile.read(tmp_path / "set" / "train" / row["file_name"], dtype="float32")
    assert loudness(written, rate) == pytest.approx(-23, abs=0.1)
    assert chosen(["data=prepared", f"data.root={tmp_path / 'set'}"])[0] == "data=audio_folder"
    from data_of import sound_folder

    data = sound_folder(tmp_path / "set", num_classes=2)
    data.load()
    assert len(data.train) + len(data.val) == 20 and data.class_names == ["a", "b"]
