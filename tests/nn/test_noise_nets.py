"""U-Net, DiT, MLP: shapes at every size, zero at the start, time and class have an effect."""

from __future__ import annotations

import pytest
import torch

from genlab.nn.dit import DiT
from genlab.nn.mlp import MLP
from genlab.nn.unet import UNet


def build(name: str, shape, num_classes: int | None = 4, *, perturb: bool = True):
    torch.manual_seed(0)
    if name.startswith("unet"):
        patch = 2 if name == "unet in patches" else 1
        net = UNet(shape, num_classes=num_classes, width=8, patch=patch)
    elif name == "dit":
        net = DiT(shape, num_classes=num_classes, width=32, depth=2)
    else:
        net = MLP(shape, num_classes=num_classes, width=32, depth=2)
    if perturb:
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.1 * torch.randn_like(p))
    return net.eval()


CASES = [
    (net, (c, s, s)) for net in ("unet", "dit") for c, s in ((1, 8), (3, 12), (1, 28), (3, 32))
]
CASES += [
    ("unet", (2, 9, 13)),
    ("unet in patches", (3, 20, 12)),
    ("dit", (1, 8, 12)),
    ("mlp", (2,)),
    ("mlp", (1, 8, 8)),
]
every_case = pytest.mark.parametrize(("name", "shape"), CASES)
every_net = pytest.mark.parametrize(
    ("name", "shape"), [("unet", (1, 8, 8)), ("dit", (1, 8, 8)), ("mlp", (2,))]
)


@every_case
def test_shape_in_is_shape_out_and_the_start_is_zero(name, shape):
    net = build(name, shape, perturb=False)
    x, t, cond = torch.randn(3, *shape), torch.randn(3), torch.tensor([0, 3, 4])
    out = net(x, t, cond)
    assert out.shape == x.shape
    assert torch.equal(out, torch.zeros_like(x))


@every_case
def test_every_parameter_is_used(name, shape):
    net = build(name, shape)
    x, t, cond = torch.randn(3, *shape), torch.randn(3), torch.tensor([0, 3, 4])
    net(x, t, cond).square().sum().backward()
    unused = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unused


@every_net
def test_time_class_and_no_class(name, shape):
    net = build(name, shape)
    x, t = torch.randn(3, *shape), torch.randn(3)
    none = net(x, t)
    torch.testing.assert_close(none, net(x, t, torch.full((3,), 4)))
    assert (none - net(x, t, torch.tensor([0, 1, 2]))).abs().max() > 1e-3
    assert (none - net(x, t + 0.1)).abs().max() > 1e-3


@every_net
def test_without_classes_labels_are_ignored(name, shape):
    net = build(name, shape, num_classes=None)
    x, t = torch.randn(3, *shape), torch.randn(3)
    assert torch.equal(net(x, t), net(x, t, torch.tensor([0, 1, 2])))


@every_net
def test_an_example_does_not_depend_on_its_batch(name, shape):
    net = build(name, shape)
    x, t, cond = torch.randn(5, *shape), torch.randn(5), torch.arange(5)
    alone = net(x[2:3], t[2:3], cond[2:3])
    torch.testing.assert_close(net(x, t, cond)[2:3], alone, atol=1e-4, rtol=1e-4)


@every_net
@pytest.mark.parametrize("t", [-30.0, 0.0, 1000.0])
def test_any_noise_level_is_finite(name, shape, t):
    net = build(name, shape)
    assert net(torch.randn(2, *shape), torch.full((2,), t)).isfinite().all()


@every_net
def test_gradients_are_finite_under_bfloat16(name, shape):
    net = build(name, shape)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(torch.randn(3, *shape), torch.randn(3), torch.arange(3))
    out.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def test_unet_sees_the_whole_image():
    """Every output pixel depends on every input pixel: the levels and the skips are connected."""
    net = build("unet", (1, 8, 8), num_classes=None)
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    net(x, torch.zeros(1))[0, 0, 0, 0].backward()
    assert (x.grad != 0).all()


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("attention", [(), (1,), (1, 2, 4)])
def test_unet_options(blocks, attention):
    net = UNet((1, 7, 7), width=8, blocks=blocks, attention=attention, head_dim=4, dropout=0.1)
    assert net(torch.randn(2, 1, 7, 7), torch.zeros(2)).shape == (2, 1, 7, 7)


@pytest.mark.parametrize("width", [10, 18, 40, 50])
def test_unet_takes_any_width(width):
    net = UNet((1, 8, 8), width=width)
    assert net(torch.randn(2, 1, 8, 8), torch.zeros(2)).shape == (2, 1, 8, 8)


def test_the_default_unet_is_small():
    net = UNet((1, 8, 8), num_classes=10)
    assert 1.3e6 < sum(p.numel() for p in net.parameters()) < 1.5e6


@pytest.mark.parametrize(
    ("message", "make"),
    [
        ("data.shape=.2.: net unet takes images", lambda: UNet((2,))),
        (r"net.patch=3 does not divide.*\[1, 28, 28\]", lambda: UNet((1, 28, 28), patch=3)),
        ("net.patch=0", lambda: UNet((1, 8, 8), patch=0)),
        ("net.multipliers", lambda: UNet((1, 8, 8), multipliers=(1, 1, 1, 1, 1))),
        (r"net.attention=\[8\]: allowed are \[1, 2, 4\]", lambda: UNet((1, 8, 8), attention=(8,))),
        ("data.shape=.2.: net dit takes images", lambda: DiT((2,))),
        ("net.patch=3", lambda: DiT((1, 8, 8), patch=3)),
        ("net.width=130", lambda: DiT((1, 8, 8), width=130)),
    ],
)
def test_what_does_not_fit_is_named(message, make):
    with pytest.raises(ValueError, match=message):
        make()
