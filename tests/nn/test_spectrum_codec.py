"""The codec of spectra: the transform has an inverse, levels are compressed, what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from genlab.nn.spectrum_codec import SpectrumDecoder, SpectrumEncoder, spectra, waveform


@pytest.mark.parametrize("power", [1.0, 0.5, 1 / 3])
def test_a_waveform_comes_back_from_its_spectra_up_to_its_ends(power: float) -> None:
    x = 0.1 * torch.randn(2, 1, 320, generator=torch.Generator().manual_seed(0))
    there = spectra(x, 16, power)
    assert there.shape == (2, 66, 20)
    torch.testing.assert_close(waveform(there, 16, power), x, rtol=1e-4, atol=1e-5)


def test_a_sine_has_its_amplitude_to_the_power_at_its_frequency() -> None:
    t = torch.arange(1024) / 64  # a window of 64 samples, and 8 cycles of it
    x = 0.01 * torch.stack([torch.cos(2 * math.pi * 8 * t), torch.sin(2 * math.pi * 8 * t)])
    both = spectra(x[:, None], 16, 0.5).unflatten(1, (2, 33))[..., 8:-8]  # [2, re or im, 33, T]
    size = both.square().sum(1).sqrt()
    assert (size.mean(2).argmax(1) == 8).all()
    torch.testing.assert_close(size[:, 8], torch.full_like(size[:, 8], 4 * 0.1))
    quarter = both[0] - torch.stack([-both[1, 1], both[1, 0]])  # a sine is a quarter turn behind
    assert quarter.abs().max() < 1e-3


def test_a_frames_window_lies_around_the_middle_of_its_hop() -> None:
    x = torch.zeros(1, 1, 320)
    x[..., 10 * 16 + 8] = 1.0
    size = spectra(x, 16, 1.0).unflatten(1, (2, 33)).square().sum(1).sqrt()[0]  # [33, T]
    torch.testing.assert_close(size[:, 10], torch.full((33,), 4 * 2 / 32))  # the windows sum to 32
    assert size[:, 12].max() < 1e-3 < size[:, 11].max() < size[:, 10].min()


def test_what_is_small_among_spectra_is_raised_to_almost_nothing() -> None:
    y = 0.04 * torch.randn(1, 66, 20, generator=torch.Generator().manual_seed(0))
    loud = waveform(y, 16, 1.0).std()
    assert waveform(y, 16, 0.5).std() < 0.03 * loud
    still = torch.zeros(1, 66, 20, requires_grad=True)
    waveform(still, 16, 0.5).sum().backward()
    assert torch.isfinite(still.grad).all()


def test_a_vector_sees_the_samples_around_its_own_place() -> None:
    nets = dict(latent=[2, 64], width=4, blocks=2)
    x = torch.randn(1, 1, 1024, requires_grad=True)
    (slope,) = torch.autograd.grad(SpectrumEncoder([1, 1024], **nets)(x)[0, :, 32].sum(), x)
    at, middle = slope[0, 0].nonzero()[:, 0], 32 * 16 + 8
    assert abs((at.min() + at.max()) / 2 - middle) < 4 and 64 < len(at) < 400
    z = torch.randn(1, 2, 64, requires_grad=True)
    (slope,) = torch.autograd.grad(SpectrumDecoder([1, 1024], **nets)(z)[0, 0, middle], z)
    at = slope[0].abs().sum(0).nonzero()[:, 0]
    assert abs((at.min() + at.max()) / 2 - 32) <= 1


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ([1, 1024], {"latent": [2, 60]}, r"net.latent_map=\[2, 60\]"),
        ([1, 1024], {"latent": [2, 1024]}, "even numbers"),
        ([1, 8, 8], {"latent": [2, 64]}, "data=fsdd_waves"),
        ([1, 1024], {"latent": [2, 64], "width": 0}, "net.width=0"),
        ([1, 1024], {"latent": [2, 64], "power": 0}, "net.power=0"),
    ],
)
def test_errors_name_the_key(shape, options, message: str) -> None:
    for net in (SpectrumEncoder, SpectrumDecoder):
        with pytest.raises(ValueError, match=message):
            net(shape, **options)
