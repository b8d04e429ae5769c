"""Networks of published experiments: plain VAEs, PacGAN's, tiny-diffusion's; what they promise."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from genlab.nn.maxout import BatchNormGenerator, MaxoutDiscriminator
from genlab.nn.plain import PlainDecoder, PlainEncoder
from genlab.nn.sinusoidal import SinusoidalMLP, sinusoids


def test_the_plain_networks_are_linear_relu_linear() -> None:
    encoder = PlainEncoder((1, 28, 28), latent_dim=40)
    decoder = PlainDecoder((1, 28, 28), latent_dim=40)
    count = sum(p.numel() for net in (encoder, decoder) for p in net.parameters())
    assert count == (784 + 1) * 400 + 401 * 80 + 41 * 400 + 401 * 784
    x, z = torch.randn(3, 1, 28, 28), torch.randn(3, 40)
    first, last = encoder.layers[0], encoder.layers[2]
    mean, logvar = encoder(x)
    assert torch.equal(torch.cat([mean, logvar], 1), last(F.relu(first(x.flatten(1)))))
    assert decoder(z).shape == x.shape
    encoder.zero_one = True
    assert torch.equal(encoder(x)[0], last(F.relu(first((x.flatten(1) + 1) / 2)))[:, :40])


def test_a_pack_is_judged_as_a_whole_and_its_judgement_given_to_each() -> None:
    torch.manual_seed(0)
    net, x = MaxoutDiscriminator((2,), pack=2, init_std=0.5), torch.randn(8, 2)
    logit = net(x)
    assert torch.equal(logit[::2], logit[1::2]), "examples 0 and 1 make a pack"
    other = x.clone()
    other[5] += 1  # changes the pack of 4 and 5 alone
    assert (net(other) != logit).nonzero()[:, 0].tolist() == [4, 5]
    seven = net(x[:7])  # the last pack takes the first example again
    assert torch.allclose(seven, net(torch.cat([x[:7], x[:1]]))[:7]) and seven.shape == (7,)


def test_packs_of_one_are_a_discriminator_as_usual() -> None:
    torch.manual_seed(0)
    net, x = MaxoutDiscriminator((2,), init_std=0.5), torch.randn(6, 2)
    alone = torch.cat([net(row[None]) for row in x])
    assert torch.allclose(net(x), alone, atol=1e-6)


def test_a_maxout_unit_is_the_largest_of_its_pieces() -> None:
    torch.manual_seed(0)
    net, x = MaxoutDiscriminator((2,), width=3, depth=1, pieces=4, init_std=1.0), torch.randn(5, 2)
    pieces = net.layers[0](x).view(5, 3, 4)
    assert torch.equal(net(x), net.logit(pieces.max(2).values).squeeze(1))


def test_the_generators_samples_do_not_depend_on_one_another_once_it_is_trained() -> None:
    torch.manual_seed(0)
    net, z = BatchNormGenerator((2,), latent_dim=2), torch.randn(6, 2)
    net(z)  # in training the batch's own means
    net.eval()
    assert torch.allclose(net(z)[2:3], net(z[2:3]), atol=1e-6)


def test_sinusoids_are_those_of_the_transformer() -> None:
    found = sinusoids(torch.tensor([3.0]), 8)[0]
    rates = [10_000 ** (-i / 3) for i in range(4)]
    expected = [math.sin(3 * r) for r in rates] + [math.cos(3 * r) for r in rates]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    net = SinusoidalMLP((2,))
    x, t = torch.randn(4, 2), torch.rand(4)
    assert net(x, t).shape == (4, 2)
    count = sum(p.numel() for p in net.parameters())
    assert count == (3 * 128 + 1) * 256 + 3 * 257 * 256 + 257 * 2
