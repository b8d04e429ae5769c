"""Codecs measured: noise of a known level, swapped classes, a codec that gives back one example."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from data_of import wave_folder

from genlab.metrics import features
from genlab.metrics.reconstruction import SoundReconstruction, si_sdr
from genlab.metrics.report import Report, gather

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
RATE, NUM = 8000, 60


def tone(draws: np.random.Generator, high: bool) -> np.ndarray:
    time = np.arange(2048) / RATE
    f = draws.uniform(1500, 2500) if high else draws.uniform(200, 500)
    level = np.exp(-draws.uniform(5, 30) * time)
    return level * np.sin(2 * np.pi * f * time) * 0.4 + draws.normal(0, 0.003, 2048)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root, draws = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for split, num in (("train", 150), ("val", NUM)):
        for i in range(num):
            (folder := root / split / ("low", "high")[i % 2]).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{i}.wav", tone(draws, bool(i % 2)), RATE)
    made = wave_folder(root, num_classes=2)
    made.load()
    return made


class Codec:
    """Codes are the examples' numbers; what is given back of each is `back`."""

    device, latent_vocab = "cpu", 256

    def __init__(self, x: torch.Tensor, back: torch.Tensor) -> None:
        self.x, self.back = x, back

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        at = torch.cdist(x.flatten(1), self.x.flatten(1)).argmin(1)
        return torch.stack([at, at], 1)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return self.back[codes[:, 0]]


@pytest.fixture(scope="module")
def measure(data, tmp_path_factory):
    before, features.RECIPE["min_examples"] = features.RECIPE["min_examples"], 10_000
    metric = SoundReconstruction(cache=str(tmp_path_factory.mktemp("features")), chunk=7)
    real = gather(data.val, torch.arange(NUM))

    def measured(change) -> Report:
        report = Report()
        metric.compare_back(report, Codec(real["x"], change(real)), data, None)
        return report

    yield measured
    features.RECIPE["min_examples"] = before


def test_noise_of_a_known_level_is_measured(measure) -> None:
    def noisy(real) -> torch.Tensor:
        x, noise = (
            real["x"],
            torch.randn(real["x"].shape, generator=torch.Generator().manual_seed(0)),
        )
        level = x.square().mean(2, keepdim=True).sqrt()
        return 0.5 * (x + 0.1 * level * noise / noise.square().mean(2, keepdim=True).sqrt())

    found = measure(noisy)
    assert found.metrics["si_sdr"] == pytest.approx(20, abs=0.3), "a scale counts for nothing"
    low, high = found.interval["si_sdr"]
    assert low < found.metrics["si_sdr"] < high
    assert found.metrics["bits"] == 16
    assert found.metrics["bits_per_second"] == pytest.approx(16 / 0.256)
    assert found.metrics["codes_used"] == pytest.approx(NUM / 256)


def test_what_is_given_back_whole_keeps_all(measure) -> None:
    found = measure(lambda real: real["x"])
    assert found.metrics["si_sdr"] > 90 and found.metrics["mel_error"] == 0
    assert found.metrics["look_kept"] == 1
    assert found.metrics["class_agreement"] == found.floor["class_agreement"] > 0.97


def test_another_class_and_another_example_are_seen(measure) -> None:
    def other(real) -> torch.Tensor:
        ids = real["cond"].argsort(stable=True)
        back = torch.empty_like(real["x"])
        back[ids] = real["x"][ids.roll(NUM // 2)]
        return back

    swapped = measure(other)
    assert swapped.metrics["class_agreement"] < 0.03 and swapped.metrics["look_kept"] == 0
    one = measure(lambda real: real["x"][:1].expand(NUM, -1, -1))
    assert one.metrics["look_kept"] == pytest.approx(1 / NUM)
    assert one.metrics["class_agreement"] == pytest.approx(0.5)


def test_si_sdr_is_its_formula() -> None:
    x, y = torch.randn(4, 50), torch.randn(4, 50)
    for a, b, found in zip(x, y, si_sdr(x, y).tolist()):
        scale = (a @ b / (a @ a)).item()
        ratio = (scale * a).square().sum() / (scale * a - b).square().sum()
        assert found == pytest.approx(10 * math.log10(ratio.item()), abs=1e-3)
    torch.testing.assert_close(si_sdr(x, 4 * y), si_sdr(x, y), rtol=1e-5, atol=1e-5)


def test_what_is_no_codec_is_refused(data, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only a codec does"):
        SoundReconstruction(cache=str(tmp_path))(object(), data)
