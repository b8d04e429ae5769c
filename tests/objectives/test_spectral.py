"""The spectral distance against scipy's STFT, a sine's closed form, and a louder copy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genlab.data.mel import triangles
from genlab.objectives import spectral
from genlab.objectives.quantisation import ResidualVQ
from genlab.objectives.spectral import SpectralVQ, magnitudes, mel_bands, spectral_distance
from genlab.objectives.variational import Gaussian


def waves(num: int = 3, length: int = 256) -> torch.Tensor:
    return 0.3 * torch.randn(num, 1, length, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("window", [16, 64])
def test_magnitudes_are_scipys(window: int) -> None:
    signal = pytest.importorskip("scipy.signal")
    x = waves()
    hann = signal.get_window("hann", window)
    _, _, theirs = signal.stft(
        x[:, 0].numpy(), window=hann, nperseg=window, noverlap=window * 3 // 4, boundary="zeros",
        padded=False, scaling="spectrum",
    )  # fmt: skip
    mine = magnitudes(x, window)[:, 0].mT.numpy()
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(mine, np.abs(theirs) * hann.sum(), atol=2e-5)


def test_a_sine_has_a_quarter_of_the_window() -> None:
    x = torch.sin(2 * math.pi * 8 / 64 * torch.arange(512))[None, None]
    found = magnitudes(x, 64)[0, 0, 8:-8]
    assert found[:, 8].tolist() == pytest.approx([16.0] * len(found), abs=1e-3)
    assert found[:, 11:].max() < 1e-3


def test_a_louder_copy_is_as_far_as_it_is_louder() -> None:
    """S' = e S: |S - S'| is 1.718 S, and the logarithms are 1 apart where no floor says more."""
    x = 1e4 * waves()
    y = math.e * x
    level = torch.stack([magnitudes(x, w).flatten(1).mean(1) for w in (16, 64)]).mean(0)
    found = spectral_distance(x, y, (16, 64))
    torch.testing.assert_close(found, 1 + (math.e - 1) * level, rtol=1e-4, atol=0)
    assert spectral_distance(x, x, (16,)).tolist() == [0, 0, 0]
    shifted = spectral_distance(waves(), waves().roll(1, -1), (64,))
    assert (shifted < 0.5 * spectral_distance(waves(), waves().flip(0), (64,)))[[0, 2]].all()
    quiet = spectral_distance(1e-6 * waves(), 0 * waves(), (64,))
    assert quiet.max() < 1e-2, "what is below the floor is silence"
    assert spectral.FLOOR == 1e-2


def test_the_loss_adds_it_for_each_sample_and_has_gradients_in_silence() -> None:
    vq = ResidualVQ(stages=2, vocab=4, dim=3).eval()
    objective = SpectralVQ(Gaussian(sigma=0.1), vq, beta=0.25, weight=0.5, windows=(16, 64))
    x, params = waves(), torch.zeros(3, 1, 256, requires_grad=True)
    codes, distance = torch.zeros(3, 8, 2, dtype=torch.long), torch.rand(3)
    terms = objective.loss(x, params, codes, distance)
    far = spectral_distance(x, params, (16, 64))
    normal = torch.distributions.Normal(params, 0.1)
    nll = -normal.log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(terms["loss"], nll + 0.25 * distance + 0.5 * 256 * far)
    terms["loss"].mean().backward()
    assert torch.isfinite(params.grad).all()


def test_with_a_rate_the_spectra_are_means_over_mel_bands() -> None:
    x, y, far = waves(), 0.5 * waves().flip(0), []
    for window in (64, 256):
        bands = triangles(8000, window, window // 8).float().T
        torch.testing.assert_close(mel_bands(window, 8000), bands, rtol=1e-4, atol=1e-6)
        s, t = magnitudes(x, window) @ bands, magnitudes(y, window) @ bands
        log = ((s + 1e-2).log() - (t + 1e-2).log()).abs()
        far.append(((s - t).abs() + log).flatten(1).mean(1))
    found = spectral_distance(x, y, (64, 256), 8000)
    torch.testing.assert_close(found, torch.stack(far).mean(0), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, spectral_distance(x, y, (64, 256)), rtol=1e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = spectral_distance(x, y, (64, 256), 8000)
    torch.testing.assert_close(narrow, found, rtol=1e-2, atol=0)  # of the same type too
    vq = ResidualVQ(stages=2, vocab=4, dim=3).eval()
    mel_bands.cache_clear()
    with torch.device("meta"):  # as a checkpoint's model is built before it is filled
        SpectralVQ(Gaussian(), ResidualVQ(), windows=(64, 256), rate=8000)
    objective = SpectralVQ(Gaussian(), vq, windows=(64, 256), rate=8000)
    terms = objective.loss(x, y, torch.zeros(3, 8, 2, dtype=torch.long), torch.zeros(3))
    torch.testing.assert_close(terms["spectral"], found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "objective.weight=-1.0"),
        ({"windows": []}, r"objective.windows=\[\]"),
        ({"windows": [30]}, r"objective.windows=\[30\]"),
        ({"windows": [2048], "rate": 44_100}, "a window of 2048 samples at objective.rate=44100"),
    ],
)
def test_errors_name_the_key(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        SpectralVQ(Gaussian(), ResidualVQ(), **options)
