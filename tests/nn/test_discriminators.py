"""Discriminators of parts: what a logit sees, and what is refused."""

from __future__ import annotations

import pytest
import torch

from genlab.nn.discriminators import PatchDiscriminator, WaveDiscriminator


def seen(net, x: torch.Tensor, scale: int, at: tuple[int, ...]) -> torch.Tensor:
    """Which values of x the logit at a place depends on."""
    x = x.requires_grad_()
    (slope,) = torch.autograd.grad(net(x)[scale][-1][(0, 0, *at)], x)
    return slope[0, 0] != 0


@pytest.mark.parametrize(("layers", "across"), [(1, 8), (2, 18), (3, 38)])
def test_a_logit_sees_a_patch(layers: int, across: int) -> None:
    net = PatchDiscriminator([3, 64, 64], width=4, layers=layers).eval()
    [outputs] = net(x := torch.randn(2, 3, 64, 64))
    side = 64 >> layers
    assert len(outputs) == layers + 1 and outputs[-1].shape == (2, 1, side, side)
    patch = seen(net, x, 0, (side // 2, side // 2))
    assert patch.any(0).sum() == patch.any(1).sum() == across


def test_each_scale_of_a_waveform_sees_twice_as_far() -> None:
    net = WaveDiscriminator([1, 1024], width=4, layers=2, scales=2).eval()
    scales = net(x := torch.randn(2, 1, 1024))
    assert [s[-1].shape for s in scales] == [(2, 1, 64), (2, 1, 32)]
    assert [len(s) for s in scales] == [3, 3]
    spans = [int(seen(net, x, i, (n,)).sum()) for i, n in ((0, 32), (1, 16))]
    assert spans == [103, 206]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PatchDiscriminator([1, 8, 8], layers=3), "net.discriminator.layers=3"),
        (lambda: PatchDiscriminator([1, 8, 8], width=0), "net.width=0"),
        (lambda: WaveDiscriminator([1, 100], layers=3, scales=2), "takes 128 samples and more"),
        (lambda: WaveDiscriminator([1, 8, 8]), r"data.shape=\[1, 8, 8\]"),
    ],
)
def test_errors_name_the_key(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
