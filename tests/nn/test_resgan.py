"""R3GAN's networks: shapes, the start, bilinear resizing, a stage for each size, projection."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from genlab.nn.resgan import Block, ResDiscriminator, ResGenerator, maps, resize

SMALL = {"widths": (4, 8, 8), "blocks": (1, 1, 2), "group": 4}
SHAPES = [(1, 8, 8), (3, 12, 12), (1, 28, 28), (3, 32, 32), (1, 16, 24)]


def moved(net):
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return net


def test_28_has_a_third_stage_below_7():
    assert maps((1, 28, 28), 4) == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert maps((3, 32, 48), 3) == [(32, 48), (16, 24), (8, 12)]


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_ranges(shape):
    cond = torch.tensor([0, 3, 4])
    generator = moved(ResGenerator(shape, latent_dim=5, num_classes=4, **SMALL))
    x = generator(100 * torch.randn(3, 5), cond)
    assert x.shape == (3, *shape) and x.abs().max() <= 1 and x.std() > 0.01
    net = moved(ResDiscriminator(shape, num_classes=4, **SMALL))
    assert net(x, cond).shape == (3,)
    torch.testing.assert_close(net(x, torch.full((3,), 4)), net(x, None))  # no class


def test_halving_is_the_mean_of_2x2_and_doubling_keeps_planes():
    x = torch.randn(2, 3, 6, 10)
    torch.testing.assert_close(resize(x, (3, 5)), F.avg_pool2d(x, 2))
    plane = torch.arange(6.0)[:, None] + 2 * torch.arange(10.0)
    large = resize(plane[None, None], (12, 20))[0, 0, 1:-1, 1:-1]
    i, j = torch.arange(1, 11), torch.arange(1, 19)
    expected = (i / 2 - 0.25)[:, None] + 2 * (j / 2 - 0.25)
    torch.testing.assert_close(large, expected)


@pytest.mark.parametrize(("large", "small"), [(7, 4), (9, 5), (14, 7)])
def test_every_pixel_has_its_weight_when_made_smaller(large, small):
    x = torch.ones(1, 1, large, large, requires_grad=True)
    (weight,) = torch.autograd.grad(resize(x, (small, small)).sum(), x)
    assert weight.min() > 0


def test_a_block_is_the_identity_at_the_start_and_its_paths_have_fixups_scale():
    torch.manual_seed(0)
    block, x = Block(32, expansion=2, group=16, depth=16), torch.randn(2, 32, 7, 7)
    assert torch.equal(block(x), x)
    expected = math.sqrt(2 / 1.04) / math.sqrt(32) * 16**-0.25
    assert block.expand.weight.std().item() == pytest.approx(expected, rel=0.05)
    expected = math.sqrt(2 / 1.04) / math.sqrt(16 * 9) * 16**-0.25
    assert block.mix.weight.std().item() == pytest.approx(expected, rel=0.05)
    assert block.mix.weight.shape == (64, 16, 3, 3)


def test_a_block_is_its_formula():
    block, x = moved(Block(6, expansion=2, group=4, depth=1)), torch.randn(2, 6, 5, 5)
    h = F.leaky_relu(F.conv2d(x, block.expand.weight, block.expand.bias), 0.2)
    parts = [
        F.conv2d(h[:, k : k + 4], block.mix.weight[k : k + 4], block.mix.bias[k : k + 4], padding=1)
        for k in (0, 4, 8)
    ]
    h = F.leaky_relu(torch.cat(parts, 1), 0.2)
    torch.testing.assert_close(block(x), x + F.conv2d(h, block.reduce.weight))


def test_signals_keep_their_size_at_the_start():
    """Neither net's output vanishes or explodes with depth before the first update."""
    torch.manual_seed(0)
    deep = {"widths": (16, 32, 64, 64), "blocks": (3, 3, 3, 3)}
    x = ResGenerator((1, 32, 32), latent_dim=16, **deep)(torch.randn(64, 16)).detach()
    logits = ResDiscriminator((1, 32, 32), **deep)(x)
    assert 0.05 < x.std() < 1
    assert 0.02 < logits.std() < 5


def test_each_example_is_scored_by_itself_and_samples_do_not_mix():
    net = moved(ResDiscriminator((1, 8, 8), **SMALL))
    x = torch.randn(4, 1, 8, 8, requires_grad=True)
    (grad,) = torch.autograd.grad(net(x)[0], x)
    assert grad[0].any() and not grad[1:].any()


def test_projection_is_the_product_with_the_classes_row():
    net = moved(ResDiscriminator((1, 8, 8), num_classes=4, **SMALL))
    x = torch.randn(5, 1, 8, 8)
    rows = net.classes.weight
    differ = net(x, torch.full((5,), 2)) - net(x, torch.full((5,), 1))
    net.classes.weight.data[1] = 0
    alone = net(x, torch.full((5,), 1))
    net.classes.weight.data[1] = rows[2] - rows[1]
    assert not torch.allclose(differ, torch.zeros(5))
    net.classes.weight.data[3] = 2 * rows[2]
    twice, once = (net(x, torch.full((5,), k)) - alone for k in (3, 2))
    torch.testing.assert_close(twice, 2 * once, atol=1e-5, rtol=1e-4)


def test_a_second_derivative_exists():
    """What R1 asks of every layer: bilinear resizing, grouped convolutions, the deviation."""
    net = moved(
        ResDiscriminator((1, 28, 28), minibatch=2, widths=(4, 8, 8, 8), blocks=(1,) * 4, group=4)
    )
    x = torch.randn(4, 1, 28, 28, requires_grad=True)
    (grad,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    grad.square().sum().backward()
    assert net.first.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("net.widths: 4 stages leave 1x1", {"widths": (4,) * 4, "blocks": (1,) * 4}),
        ("one number for each stage", {"blocks": (1, 1)}),
        ("one number for each stage", {"blocks": (1, 1, -1)}),
        ("net.group=3: it must divide", {"group": 3}),
        ("net.widths.1=0: at least 1", {"widths": (4, 0, 8)}),
    ],
)
def test_what_does_not_fit_is_named(message, options):
    with pytest.raises(ValueError, match=message):
        ResDiscriminator((1, 8, 8), **{**SMALL, **options})
