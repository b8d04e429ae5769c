"""What the rules of sounds find of planted defects: rows for scripts/bench/curation.py."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from genlab.curation.base import Change, Example, Leave
from genlab.curation.kinds.sounds import Sound, Sounds
from genlab.curation.rules.duplicates import Exact, Near
from genlab.curation.rules.fingerprints import Fingerprint
from genlab.curation.rules.sounds import Clipping, Loudness, Silence, loudness
from genlab.data import audio

DATA = Path(os.environ.get("GENLAB_DATA", "data"))
ARCHIVES = {"fsdd": "fsdd/fsdd.zip", "esc10": "esc10/esc10-16k.zip"}
Row = tuple[str, str, str, str, str]  # rule, what was planted, right, precision, wrongly found


def clips(name: str) -> list[Sound]:
    import soundfile

    with zipfile.ZipFile(DATA / ARCHIVES[name]) as z:
        names = sorted(n for n in z.namelist() if n.lower().endswith(audio.ENDINGS))
        found = [soundfile.read(io.BytesIO(z.read(n)), dtype="float32") for n in names]
    return [Sound(wave, rate) for wave, rate in found]


def packed(sound: Sound, form: str, kind: str, level: float) -> Sound:
    """What a codec of libsndfile makes of it: level 0 the best, 1 the smallest."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, sound.wave, sound.rate, kind, format=form, compression_level=level)
    file.seek(0)
    return Sound(*soundfile.read(file, dtype="float32"))


def resampled(sound: Sound, rate: int) -> Sound:
    return Sound(audio.resampled(sound.wave, sound.rate, rate), rate)


def cut(sound: Sound, seconds: float) -> Sound:
    num = round(abs(seconds) * sound.rate)
    if seconds < 0:
        return Sound(sound.wave[num:], sound.rate)
    return Sound(np.concatenate([np.zeros(num, np.float32), sound.wave]), sound.rate)


PLANTS: dict[str, Callable[[Sound], Sound]] = {
    "Ogg Vorbis, quality 0.5": lambda s: packed(s, "OGG", "VORBIS", 0.5),
    "Ogg Vorbis, quality 0.1": lambda s: packed(s, "OGG", "VORBIS", 0.9),
    "MP3, middle quality": lambda s: packed(s, "MP3", "MPEG_LAYER_III", 0.5),
    "MP3, nearly the least": lambda s: packed(s, "MP3", "MPEG_LAYER_III", 0.9),
    "12 dB quieter": lambda s: Sound(s.wave * 0.25, s.rate),
    "resampled (8 kHz; of 8 kHz 16)": lambda s: resampled(s, 16_000 if s.rate == 8000 else 8000),
    "50 ms of silence before it": lambda s: cut(s, 0.05),
    "its first 50 ms cut off": lambda s: cut(s, -0.05),
    "noise 30 dB under it": lambda s: Sound(
        s.wave + np.random.default_rng(0).normal(0, s.wave.std() / 31.6, len(s.wave)).astype("f4"),
        s.rate,
    ),
}


def sketches(rule: Near, sounds: list[Sound]) -> list[bytes]:
    return [rule.sketch(Example("", s), Sounds()) for s in sounds]


def twins(rule: Near, held: list[bytes]) -> dict[int, int]:
    return {i: s.value.place for i, s in rule.decide(held).items()}


def duplicates(most: float = 0.19) -> Iterator[Row]:
    """`most` was chosen on fsdd and not changed for esc10."""
    for name in ARCHIVES:
        base = clips(name)[:: 2 if name == "fsdd" else 1]
        copies = range(0, len(base), 3)
        exact, kind = Exact(), Sounds()
        found = twins(exact, [exact.sketch(Example("", s), kind) for s in
                              (*base, *(base[i] for i in copies))])  # fmt: skip
        # a recording that the set has twice is right to be found, and is no planted one
        first = {bytes(s.wave): i for i, s in reversed(list(enumerate(base)))}
        right = sum(found.get(len(base) + k) == first[bytes(base[i].wave)]
                    for k, i in enumerate(copies))  # fmt: skip
        wrong = sum(first[bytes(base[i].wave)] != at for i, at in found.items() if i < len(base))
        what = f"{name}: {len(copies)} of {len(base):,} again"
        yield row("exact (sound)", what, len(copies), right, len(base), wrong)
        rule = Near(Fingerprint(most=most))
        own = sketches(rule, base)
        alone = twins(rule, own)
        told = f"{name}: of {len(base):,} recordings so many are taken for another one's copy"
        yield "near_sound", told, "", "", f"{len(alone)} of {len(base)}"
        planted = [i for i in range(len(base)) if i not in alone]
        planted = planted[:: max(1, len(planted) // 400)][:400]
        for what, plant in PLANTS.items():
            theirs = sketches(rule, [plant(base[i]) for i in planted])
            found = twins(rule, [*own, *theirs])
            places = {len(base) + k: i for k, i in enumerate(planted)}
            right = sum(found.get(k) == i for k, i in places.items())
            wrong = sum(k in found and found[k] != i for k, i in places.items())
            yield row("near_sound", f"{name}: {len(planted)} again, {what}", len(planted), right,
                      len(planted), wrong)  # fmt: skip


def row(rule: str, what: str, planted: int, found: int, clean: int, wrong: int) -> Row:
    recall = f"{found} of {planted} ({found / planted:.3f})"
    return rule, what, recall, f"{found / max(1, found + wrong):.3f}", f"{wrong} of {clean}"


def defects() -> Iterator[Row]:
    """Clipping, silence and loudness planted in ESC-10's recordings."""
    base = [s for s in clips("esc10") if np.abs(s.wave).max() > 0.05]
    rule = Clipping()
    clean = [s for s in base if rule(Example("", s)) is None]
    for times in (2.0, 4.0):
        loud = [Sound((s.wave * (times / np.abs(s.wave).max())).clip(-1, 1), s.rate) for s in clean]
        cut_off = [s for s in loud if (np.abs(s.wave) >= 1).mean() > 0.005]
        found = sum(rule(Example("", s)) is not None for s in cut_off)
        quiet = [Sound(s.wave / np.abs(s.wave).max() * np.float32(0.98), s.rate) for s in clean]
        wrong = sum(rule(Example("", s)) is not None for s in quiet)
        what = f"{len(cut_off)} of esc10, {times:g} times too loud, over 0.5 % of it cut off"
        yield row("clipping", what, len(cut_off), found, len(quiet), wrong)
    silence = Silence()
    noise = np.random.default_rng(0)
    still = [Sound(noise.normal(0, 2e-4, 32_000).astype("f4"), 16_000) for _ in range(200)]
    found = sum(isinstance(silence(Example("", s)), Leave) for s in still)
    wrong = sum(isinstance(silence(Example("", s)), Leave) for s in base)
    yield row("silence", "200 recordings of noise at -74 dB", 200, found, len(base), wrong)
    ends, right = [], 0
    loud = [s for s in base if not isinstance(silence(Example("", s)), Change)]
    for s in loud:
        before, after = (noise.normal(0, 2e-4, n).astype("f4") for n in (8000, 12_000))
        ends.append(Sound(np.concatenate([before, s.wave, after]), s.rate))
        said = silence(Example("", ends[-1]))
        right += isinstance(said, Change) and abs(said.value - (1.25 - 0.1)) < 0.11
    what = f"{len(loud)} of esc10 with 0.5 s before and 0.75 s after them, cut to 50 ms"
    yield row("silence", what, len(loud), right, len(loud), 0)
    rule, off = Loudness(peak=0.0, slack=0.0), []
    for s in base:
        said = rule(Example("", s))
        if said is not None and np.abs(said.data.wave).max() < 0.999:
            off.append(abs(loudness(said.data.wave, s.rate) + 23))
    near = sum(x < 0.1 for x in off)
    yield ("loudness", f"{len(off)} of esc10 brought to -23 LUFS where no peak forbids it",
           f"{near} of {len(off)} within 0.1 dB, all within {max(off):.2f}", "", "")  # fmt: skip


def parts() -> tuple[Callable[[], Iterator[Row]], ...]:
    return duplicates, defects


if __name__ == "__main__":
    for part in parts():
        for found in part():
            print(f"| {' | '.join(found)} |", flush=True)
