"""The spectrogram against closed forms: a sine's band and level, the exact inverse with phases."""

from __future__ import annotations

import math

import pytest
import torch

from genlab.data import mel as module
from genlab.data.mel import QUIET, Mel, hertz, triangles

RATE = 8000


def small(**given) -> Mel:
    return Mel(**{"rate": RATE, "hop": 128, "window": 512, "mels": 32, "frames": 16, **given})


def sine(f: float, num: int, amplitude: float = 1.0) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * f * torch.arange(num, dtype=torch.float64) / RATE)


@pytest.mark.parametrize("k", [16, 64, 200])
def test_a_full_scale_sine_on_a_bin_has_magnitude_1_there(k: int) -> None:
    m = small()
    level = m.stft(sine(k * RATE / m.window, m.length)[None]).abs()[0, :, 4:-4]  # no silent ends
    torch.testing.assert_close(level[k], torch.ones_like(level[k]), rtol=0, atol=1e-6)
    assert (level[: k - 2] < 1e-3).all() and (level[k + 3 :] < 1e-3).all()
    neighbours = level[[k - 1, k + 1]]  # of a Hann window: half
    torch.testing.assert_close(neighbours, torch.full_like(neighbours, 0.5), rtol=0, atol=1e-4)


@pytest.mark.parametrize("f", [200.0, 700.0, 1500.0, 3300.0])
def test_a_sine_is_loudest_in_the_band_whose_peak_is_nearest_in_mel(f: float) -> None:
    m = small()
    centres = torch.linspace(0, float(module.mel(RATE / 2)), 34, dtype=torch.float64)[1:-1]
    nearest = int((centres - module.mel(f)).abs().argmin())
    x = m(sine(f, m.length)[None])[0, 0]
    assert x.shape == (32, 16) and (x[:, 4:-4].argmax(0) == nearest).all()
    assert abs(float(hertz(module.mel(f))) - f) < 1e-9


def test_ten_decibels_more_are_a_quarter_of_forty() -> None:
    m = small()
    wave = sine(700, m.length, 0.1)[None]
    loud, quiet = m(wave), m(wave / 10**0.5)
    both = (quiet > -0.9) & (loud < 1)
    torch.testing.assert_close((loud - quiet)[both], torch.full_like(loud[both], 20 / -QUIET))
    silence = m(torch.zeros(1, m.length))
    assert (silence == -1).all() and not m.inverse(silence).any(), "silence is silence again"


@pytest.mark.parametrize(("hop", "window"), [(128, 512), (100, 300), (125, 251), (64, 128)])
def test_the_stft_with_its_phases_is_inverted_exactly(hop: int, window: int) -> None:
    m = small(hop=hop, window=window, mels=8)
    waves = torch.randn(3, m.length, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(m.istft(m.stft(waves)), waves, rtol=0, atol=1e-12)


def test_each_filter_is_a_mean_and_together_they_leave_no_gap() -> None:
    rows = triangles(RATE, 512, 32)
    torch.testing.assert_close(rows.sum(1), torch.ones(32, dtype=torch.float64))
    assert (rows.sum(0)[1:-1] > 0).all() and (rows >= 0).all()


def test_the_way_back_keeps_the_spectrogram_and_is_always_the_same() -> None:
    m = small()
    waves = torch.stack([sine(f, m.length, 0.3) for f in (300.0, 1000.0, 2500.0)]).float()
    x = m(waves)
    back = m.inverse(x)
    assert torch.equal(back, m.inverse(x)) and back.dtype == torch.float32
    for i in range(3):  # alone, or with others
        assert torch.equal(m.inverse(x[i : i + 1])[0], back[i])
    again = m(back)
    heard = x > -0.5
    assert float((40 * (again - x)[heard]).abs().mean()) < 1.5, "decibels"
    found = back[:, 512:-512].double()
    peaks = torch.fft.rfft(found * torch.hann_window(found.shape[1], dtype=torch.float64)).abs()
    pitch = peaks.argmax(1) * RATE / found.shape[1]
    for f, p in zip((300.0, 1000.0, 2500.0), pitch.tolist()):
        band = (hertz(module.mel(f) + 70) - f).item()  # a band is 64 mel wide here
        assert abs(p - f) < band, (f, p)


def test_griffin_lim_comes_closer_with_more_rounds() -> None:
    m = small()
    waves = torch.randn(2, m.length, generator=torch.Generator().manual_seed(1)) * 0.1
    s = m.stft(waves).abs()

    def error(rounds: int) -> float:
        found = m.stft(module.griffin_lim(m, s, rounds=rounds)).abs()
        return float((found - s).square().sum() / s.square().sum())

    errors = [error(r) for r in (0, 8, 32)]
    assert errors[0] > 2 * errors[1] > 2 * errors[2], errors


def test_magnitudes_have_the_averages_that_are_asked_for() -> None:
    m = small()
    x = m(torch.randn(2, m.length, generator=torch.Generator().manual_seed(2)) * 0.1)
    s = m.magnitudes(x)
    assert (s >= 0).all()
    dB = 20 * (m.filters.float() @ s).log10()
    assert float((dB - (1 - x[:, 0]) * QUIET / 2).abs().mean()) < 0.5


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.window=200: at least two hops, which are 256 here"):
        small(window=200)
    with pytest.raises(ValueError, match="of 128 mel bands lie between two frequencies"):
        small(mels=128, window=256)
