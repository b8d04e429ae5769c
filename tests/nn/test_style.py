"""StyleGAN2's generator: modulation against weights made for each example; what a style is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from genlab.nn.style import GAIN, Mapping, ModulatedConv, StyleGenerator, unit


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulation_is_a_convolution_with_weights_of_ones_own(size, demodulate):
    conv = ModulatedConv(5, 7, size, style=4, demodulate=demodulate)
    torch.nn.init.normal_(conv.bias)
    x, w = torch.randn(3, 5, 6, 6), torch.randn(3, 4)
    out = conv(x, w)
    for i in range(3):
        s = F.linear(w[i], conv.style.weight, conv.style.bias)
        weight = conv.weight * s[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        own = F.conv2d(x[i : i + 1], weight, conv.bias, padding=size // 2)
        torch.testing.assert_close(out[i : i + 1], own, atol=1e-5, rtol=1e-4)


def test_demodulation_keeps_unit_variance_whatever_the_style():
    torch.manual_seed(0)
    conv, x = ModulatedConv(64, 32, 3, style=8), torch.randn(4, 64, 32, 32)
    for size in (0.1, 1, 30):
        out = conv(x, size * torch.randn(4, 8))[:, :, 1:-1, 1:-1]
        assert out.var((0, 2, 3)).mean().item() == pytest.approx(1, rel=0.1)


def test_the_mapping_is_of_zs_direction_and_is_its_formula():
    net, z = Mapping(6, 4, num_classes=3, depth=2), torch.randn(5, 6)
    cond = torch.tensor([0, 1, 2, 0, 1])
    torch.testing.assert_close(net(7 * z, cond), net(z, cond))
    torch.testing.assert_close(unit(z).square().mean(1), torch.ones(5))
    h = torch.cat([unit(z), unit(net.classes(cond, 5))], 1)
    for layer in net.layers:
        h = GAIN * F.leaky_relu(layer(h), 0.2)
    torch.testing.assert_close(net(z, cond), h)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 12), (1, 28, 28), (1, 16, 24)])
def test_an_image_is_a_function_of_its_z_and_class_alone(shape):
    net = StyleGenerator(shape, latent_dim=5, num_classes=4, widths=(4, 8, 8), style_dim=6)
    z, cond = torch.randn(4, 5), torch.tensor([0, 1, 2, 4])
    x = net(z, cond)
    assert x.shape == (4, *shape) and x.abs().max() <= 1 and x.std() > 0.01
    assert torch.equal(net(z, cond), x)  # no noise
    torch.testing.assert_close(net(z[2:], cond[2:]), x[2:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net(z, None)[3], x[3], atol=1e-5, rtol=1e-4)  # no class
    assert (net(z, None) - x)[:3].abs().amax((1, 2, 3)).min() > 1e-4
    x.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_widths_of_a_stage():
    net = StyleGenerator((1, 28, 28), latent_dim=5, widths=(4, 8, 12, 16))
    assert [tuple(c.weight.shape[:2]) for c in net.convs] == [(4, 8), (8, 12), (12, 16), (16, 16)]
    with pytest.raises(ValueError, match=r"net.depth=0: at least 1"):
        StyleGenerator((1, 8, 8), latent_dim=2, widths=(4, 8), depth=0)


def test_a_style_starts_near_the_plain_convolution():
    conv, x = ModulatedConv(5, 7, 3, style=4, demodulate=False), torch.randn(2, 5, 6, 6)
    plain = F.conv2d(x, conv.weight, padding=1)
    torch.testing.assert_close(conv(x, torch.zeros(2, 4)), plain, atol=1e-5, rtol=1e-4)
