"""Sounds measured: planted defects (noise, silence, clipping, swapped classes, copies) are seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_of import sound_folder

from genlab.data.sounds import Sounds
from genlab.metrics import features
from genlab.metrics.figures import better
from genlab.metrics.report import Report
from genlab.metrics.sound import SoundEvaluation, clipped, silent, statistics

from .stand_ins import Handout

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
RATE, NUM = 8000, 100


def tone(draws: np.random.Generator, high: bool) -> np.ndarray:
    """A tone with a little noise that sets in somewhere, and dies away."""
    time = np.arange(2048) / RATE
    f = draws.uniform(1500, 2500) if high else draws.uniform(200, 500)
    start, fall = draws.uniform(0, 0.1), draws.uniform(5, 30)
    level = np.where(time < start, 0, np.exp(-fall * (time - start)))
    return level * np.sin(2 * np.pi * f * time) * 0.4 + draws.normal(0, 0.003, 2048)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Sounds:
    root, draws = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for split, num in (("train", 150), ("val", NUM)):
        for i in range(num):
            name = ("low", "high")[i % 2]
            (root / split / name).mkdir(parents=True, exist_ok=True)
            soundfile.write(root / split / name / f"{i}.wav", tone(draws, bool(i % 2)), RATE)
    made = sound_folder(root, num_classes=2)
    made.load()
    return made


@pytest.fixture(scope="module")
def measure(data, tmp_path_factory):
    """The report on samples x that are handed out, asked for as high, low, high, ..."""
    before, features.RECIPE["min_examples"] = features.RECIPE["min_examples"], 10_000
    cache = str(tmp_path_factory.mktemp("features"))
    metric = SoundEvaluation(num_samples=NUM, cache=cache)
    yield lambda x: metric(Handout(x), data)
    features.RECIPE["min_examples"] = before


@pytest.fixture(scope="module")
def real(data) -> torch.Tensor:
    """New sounds of the same law, classes in turn: high (0), low (1), ..."""
    draws = np.random.default_rng(1)
    waves = [tone(draws, i % 2 == 0) for i in range(NUM)]
    return data.encode([(w * 0.5 / np.abs(w).max()).astype(np.float32) for w in waves])


@pytest.fixture(scope="module")
def good(measure, real) -> Report:
    return measure(real)


def test_real_sounds_score_their_floors(good: Report) -> None:
    names = {"frechet_distance", "kernel_distance", "mel_distance", "class_agreement", "coverage"}
    names |= {"heard_agreement", "silence_share", "clipped_share", "near_copies"}
    assert names <= set(good.metrics) and names <= set(good.floor)
    assert names - {"coverage"} <= set(good.interval)
    assert good.metrics["class_agreement"] > 0.97 < good.metrics["heard_agreement"]
    for name in ("silence_share", "clipped_share"):
        assert good.metrics[name] == good.floor[name] == 0
    assert good.metrics["near_copies"] < 0.1
    assert good.interval["mel_distance"][0] < 0.02 and good.floor["mel_distance"] == 0
    assert good.pictures["samples"].shape[0] == NUM and good.notes["num_heard"] == NUM


def test_noise_is_far_and_is_heard_as_no_class(measure, real, good: Report) -> None:
    draws = torch.Generator().manual_seed(0)
    bad = measure((real + 0.8 * torch.randn(real.shape, generator=draws)).clamp(-1, 1))
    assert bad.metrics["mel_distance"] > good.interval["mel_distance"][1] + 0.05
    assert bad.metrics["frechet_distance"] > 3 * good.metrics["frechet_distance"]


def test_silence_is_seen(measure, real) -> None:
    x = real.clone()
    x[::4] = -1
    found = measure(x)
    assert found.metrics["silence_share"] == 0.25
    low, high = found.interval["silence_share"]
    assert low < 0.25 < high


def test_clipping_is_seen(measure, real) -> None:
    x = real.clone()
    x[: NUM // 2] += 0.6  # 24 dB
    assert measure(x).metrics["clipped_share"] > 0.4


def test_swapped_classes_are_seen(measure, real) -> None:
    found = measure(real.roll(1, 0))
    assert found.metrics["class_agreement"] < 0.03 > found.metrics["heard_agreement"]
    assert abs(found.metrics["mel_distance"]) < 0.05, "the set as a whole is the same"


def test_copies_are_seen_quieter_and_a_frame_later_too(measure, data, good: Report) -> None:
    x = data.train.batch(torch.arange(len(data.train)))["x"]
    labels = data.train.labels
    in_turn = torch.stack([x[labels == c][: NUM // 2] for c in (0, 1)], 1).flatten(0, 1)
    floor = good.floor["near_copies"]
    assert measure(in_turn).metrics["near_copies"] == 1.0
    later = torch.cat([in_turn[..., :1], in_turn[..., :-1]], 3)
    for changed in (in_turn - 0.1, later):
        found = measure(changed)
        assert found.metrics["near_copies"] > 0.6 > 10 * floor
        assert found.metrics["nearest_ratio"] < 0.7


def test_one_class_alone_is_seen(measure, real, good: Report) -> None:
    found = measure(real[::2].repeat(2, 1, 1, 1))
    assert found.metrics["mel_distance"] > good.interval["mel_distance"][1] + 0.02
    assert found.metrics["coverage_worst_class"] < 0.3


def test_statistics_are_each_bands_mean_and_spread() -> None:
    x = torch.zeros(2, 1, 32, 10)
    x[1, 0, 2:4, :1] = 1  # a tenth of the time
    found = statistics(x)
    assert found.shape == (2, 32) and not found[0].any()
    assert torch.allclose(found[1, [1, 17]], torch.tensor([0.1, 0.3]))
    assert torch.isclose(found[1].sum(), torch.tensor(0.4))


def test_levels_by_their_definition() -> None:
    quiet, loud = 10 ** (-51 / 20), 10 ** (-49 / 20)
    assert silent(np.stack([np.full(100, quiet), np.full(100, loud)])).tolist() == [True, False]
    waves = np.full((2, 10_000), 0.9)
    waves[0, :9], waves[1, :11] = -1.1, 1.1
    assert clipped(waves).tolist() == [False, True]


def test_few_samples_are_measured_as_far_as_they_go(data, real, tmp_path: Path, measure) -> None:
    metric = SoundEvaluation(num_samples=10, cache=str(tmp_path))
    features.RECIPE["min_examples"] = 500
    found = metric(Handout(real), data)
    features.RECIPE["min_examples"] = 10_000
    assert "mel_distance" not in found.metrics
    assert found.notes["mel_distance"] == "none: it needs 64 sounds, here 10"
    assert found.metrics["silence_share"] == 0


def test_which_way_is_better() -> None:
    assert better("heard_agreement") == -1
    assert [better(n) for n in ("mel_distance", "silence_share", "clipped_share")] == [1, 1, 1]
