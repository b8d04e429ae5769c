"""The codec of waveforms: lengths, how far a vector sees, what is refused."""

from __future__ import annotations

import pytest
import torch

from genlab.nn.wave_codec import WaveDecoder, WaveEncoder


@pytest.mark.parametrize(("strides", "length"), [((4, 4), 32), ((2, 8, 4), 8), ((6,), 32)])
def test_strides_divide_the_rate_and_the_decoder_mirrors_them(strides, length: int) -> None:
    whole = length * torch.tensor(strides).prod().item()
    shape, latent = [1, whole], [3, length]
    nets = (
        net(shape, latent=latent, strides=strides, width=4) for net in (WaveEncoder, WaveDecoder)
    )
    encoder, decoder = nets
    z = encoder(torch.randn(2, *shape))
    ups = [up.stride[0] for up in (*decoder.ups, decoder.last)]
    assert ups == [down.stride[0] for down in encoder.downs][::-1]
    assert z.shape == (2, *latent) and decoder(z, None).shape == (2, *shape)


def test_a_vector_sees_the_samples_around_its_own_place() -> None:
    encoder = WaveEncoder([1, 1024], latent=[2, 64], strides=[4, 4], width=4, blocks=2)
    decoder = WaveDecoder([1, 1024], latent=[2, 64], strides=[4, 4], width=4, blocks=2)
    x = torch.randn(1, 1, 1024, requires_grad=True)
    (slope,) = torch.autograd.grad(encoder(x)[0, :, 32].sum(), x)
    at = slope[0, 0].nonzero()[:, 0]
    middle = 32 * 16 + 8
    assert abs((at.min() + at.max()) / 2 - middle) < 4 and 64 < len(at) < 400
    z = torch.randn(1, 2, 64, requires_grad=True)
    (slope,) = torch.autograd.grad(decoder(z)[0, 0, middle], z)
    at = slope[0].abs().sum(0).nonzero()[:, 0]
    assert at.min() < 32 < at.max() and abs((at.min() + at.max()) / 2 - 32) <= 1


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ([1, 1024], {"latent": [2, 60]}, r"write net.latent_map=\[2,64\]"),
        ([1, 1024], {"latent": [2, 64], "strides": [3, 4]}, r"net.strides=\[3, 4\]"),
        ([1, 8, 8], {"latent": [2, 64]}, "data=fsdd_waves"),
        ([1, 1024], {"latent": [2, 64], "width": 0}, "net.width=0"),
    ],
)
def test_errors_name_the_key(shape, options, message: str) -> None:
    for net in (WaveEncoder, WaveDecoder):
        with pytest.raises(ValueError, match=message):
            net(shape, **{"strides": [4, 4], **options})
