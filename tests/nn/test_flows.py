"""Flows against the truth: undone, autograd's Jacobian, densities that integrate to 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from genlab.batch import Context
from genlab.nn.flow_nets import IAF, MAF, Glow, RealNVP
from genlab.nn.flows import (
    ActNorm,
    Autoregressive,
    Bijection,
    Coupling,
    Flattened,
    Flow,
    Half,
    Invertible1x1,
    Permutation,
    Reversed,
    Squeezed,
)

VECTOR, MAP = (5,), (4, 4, 2)


class Wild(nn.Module):
    """A coupling's net: any smooth function of what stays."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim_out, dim_in))

    def forward(self, x: Tensor, emb: Tensor | None) -> Tensor:
        out = torch.einsum("oi,bi...->bo...", self.weight, x.sin())
        return out if emb is None else out + emb.sum(1).view(-1, *[1] * (x.ndim - 1))


class Sums(nn.Module):
    """An autoregressive layer's net: of the sums of the values before each."""

    def forward(self, x: Tensor, emb: Tensor | None) -> Tensor:
        before = x.cumsum(1) - x
        return torch.cat([before.sin(), before.cos()], 1)


LAYERS: dict[str, tuple[Callable[[], Bijection], tuple[int, ...]]] = {
    "actnorm": (lambda: ActNorm(5), VECTOR),
    "actnorm-map": (lambda: ActNorm(4), MAP),
    "permutation": (lambda: Permutation([3, 0, 4, 1, 2]), VECTOR),
    "1x1": (lambda: Invertible1x1(5), VECTOR),
    "1x1-map": (lambda: Invertible1x1(4), MAP),
    "coupling": (lambda: Coupling(Wild(2, 6)), VECTOR),
    "coupling-map": (lambda: Coupling(Wild(2, 4)), MAP),
    "autoregressive": (lambda: Autoregressive(Sums()), VECTOR),
    "reversed": (lambda: Reversed(Autoregressive(Sums())), VECTOR),
    "flattened": (lambda: Flattened(Invertible1x1(32)), MAP),
    "squeezed": (lambda: Squeezed(Coupling(Wild(8, 16))), MAP),
    "half": (lambda: Half(ActNorm(2)), MAP),
    "flow": (lambda: Flow([ActNorm(5), Coupling(Wild(2, 6)), Invertible1x1(5)]), VECTOR),
    "realnvp": (lambda: RealNVP(VECTOR, width=16, depth=1, steps=4), VECTOR),
    "realnvp-map": (lambda: RealNVP(MAP, width=16, depth=1, steps=2), MAP),
    "iaf": (lambda: IAF(VECTOR, width=24, steps=3), VECTOR),
    "maf": (lambda: MAF(VECTOR, width=24, steps=3), VECTOR),
    "glow": (lambda: Glow((1, 4, 4), width=8, steps=2, scales=2), (1, 4, 4)),
    "glow-colours": (lambda: Glow((3, 4, 2), width=8, steps=2, scales=1), (3, 4, 2)),
}
layers = pytest.mark.parametrize("name", LAYERS)


def made(name: str) -> tuple[Bijection, Tensor]:
    """A layer that has left its initialisation, and six of what it takes."""
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer = moved(make())
    return layer.requires_grad_(False), torch.randn(6, *shape)


def moved(net: nn.Module, *, by: float = 0.2) -> nn.Module:
    for p in net.parameters():
        p.data.add_(by * torch.randn_like(p))
    return net


def jacobian(fn: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """d fn(x) / dx of one example as a matrix, in float64."""
    found = torch.autograd.functional.jacobian(lambda v: fn(v[None])[0], x)
    return found.reshape(x.numel(), x.numel()).double()


@layers
def test_what_is_done_is_undone(name: str) -> None:
    layer, z = made(name)
    y, log_det = layer(z)
    again, back = layer.inverse(y)
    assert y.shape == z.shape and log_det.shape == back.shape == (6,)
    assert not torch.allclose(y, z, atol=0.1)
    torch.testing.assert_close(again, z, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(back, -log_det, atol=1e-5, rtol=1e-5)
    other = layer(layer.inverse(z)[0])[0]  # and the other way about
    torch.testing.assert_close(other, z, atol=1e-5, rtol=1e-5)


@layers
@pytest.mark.parametrize("inverse", [False, True])
def test_the_log_determinant_is_that_of_the_jacobian(name: str, inverse: bool) -> None:
    layer, z = made(name)
    found = layer(z, inverse=inverse)[1]
    for i in range(3):
        matrix = jacobian(lambda v: layer(v, inverse=inverse)[0], z[i])
        exact = torch.linalg.slogdet(matrix).logabsdet.item()
        assert found[i].item() == pytest.approx(exact, abs=2e-4)


@pytest.mark.parametrize("name", ["iaf", "maf"])
def test_an_autoregressive_layer_is_triangular(name: str) -> None:
    """One pass is so: IAF's from noise to data, MAF's back."""
    net = moved({"iaf": IAF, "maf": MAF}[name](VECTOR, width=24, steps=1))
    layer, inverse = net.inner.inner.layers[0], name == "maf"
    matrix = jacobian(lambda v: layer(v, inverse=inverse)[0], torch.randn(5))
    assert (matrix.triu(1) == 0).all() and (matrix.diagonal() != 0).all()
    assert (matrix.tril(-1).abs().sum(1)[1:] > 0).all(), "each value hears of one before it"
    calls = []
    layer.get_submodule("net" if name == "iaf" else "inner.net").register_forward_hook(
        lambda *_: calls.append(1)
    )
    layer(torch.randn(2, 5), inverse=inverse)
    assert len(calls) == 1
    layer(torch.randn(2, 5), inverse=not inverse)
    assert len(calls) == 1 + 5


def test_a_rotations_determinant_is_one_and_w_is_the_product_of_its_factors() -> None:
    layer = Invertible1x1(6)
    y = torch.randn(3, 6, 4, 4)
    _, log_det = layer.inverse(y)
    assert log_det.abs().max() < 1e-4
    matrix = layer.inverse(torch.eye(6))[0].T  # W's columns
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(6), atol=1e-5, rtol=0)
    moved(layer)
    matrix = layer.inverse(torch.eye(6))[0].T
    z, log_det = layer.inverse(y)
    torch.testing.assert_close(z, torch.einsum("ij,bjhw->bihw", matrix, y), atol=1e-5, rtol=1e-5)
    expected = 16 * torch.linalg.slogdet(matrix).logabsdet.item()
    assert log_det.tolist() == pytest.approx([expected] * 3, abs=1e-3)


@pytest.mark.parametrize("make", [RealNVP, MAF, IAF])
def test_the_density_integrates_to_one(make) -> None:
    torch.manual_seed(3)
    net = moved(make([2], width=16, depth=1, steps=3), by=0.1).requires_grad_(False)
    side = torch.linspace(-14, 14, 701, dtype=torch.float64).float()
    x = torch.cartesian_prod(side, side)
    z, log_det = net.inverse(x)
    log_p = log_det - 0.5 * (z**2).sum(1) - math.log(2 * math.pi)
    total = log_p.double().exp().sum() * (28 / 700) ** 2
    assert total.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("name", "steps"), [("realnvp", 4), ("maf", 3), ("glow", 2)])
def test_it_starts_with_noise_of_mean_0_and_variance_1(name: str, steps: int) -> None:
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    net = make()
    y = 3 * torch.randn(400, *shape) + 7
    z = net.start(y)
    torch.testing.assert_close(z, net.inverse(y)[0])
    per = z.transpose(0, 1).flatten(1)
    assert per.mean(1).abs().max() < 0.05
    assert (z.std() - 1).abs() < 0.05
    norm = next(m for m in reversed(list(net.modules())) if isinstance(m, ActNorm))
    assert not torch.equal(norm.shift, torch.zeros_like(norm.shift))


def test_a_constant_channel_has_a_deviation_to_start_with() -> None:
    layer = ActNorm(2)
    z = layer.start(torch.stack([torch.full((50,), 4.0), torch.randn(50)], 1))
    assert torch.isfinite(z).all() and (z[:, 0] == 0).all()


TOLD = {
    "realnvp": lambda **told: RealNVP([4], width=8, depth=1, steps=2, **told),
    "maf": lambda **told: MAF([4], width=8, depth=1, steps=2, **told),
    "iaf": lambda **told: IAF([4], width=8, depth=1, steps=2, **told),
    "glow": lambda **told: Glow([1, 2, 2], width=8, steps=2, scales=1, **told),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_it_is_told_reaches_every_value_both_ways(name: str) -> None:
    net = moved(TOLD[name](context=3)).requires_grad_(False)
    z, h = torch.randn(5, *net.shape), torch.randn(5, 3)
    y, log_det = net(z, h)
    other, other_det = net(z, h + 1)
    assert ((y != other).flatten(1).any(0)).all() and not torch.equal(log_det, other_det)
    torch.testing.assert_close(net.inverse(y, h)[0], z, atol=1e-5, rtol=1e-5)
    states = torch.stack([h, -h], 1)  # a caption's states, of which the second does not count
    mask = torch.tensor([[True, False]]).expand(5, 2)
    torch.testing.assert_close(net(z, Context(states, mask))[0], y)
    classes = moved(TOLD[name](num_classes=3))
    by_class = [classes(z, torch.full((5,), c))[0] for c in range(3)] + [classes(z)[0]]
    assert len({t.flatten()[0].item() for t in by_class}) == 4


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RealNVP([1]), r"net.shape=\[1\]: net realnvp takes at least 2 values"),
        (lambda: MAF([1]), "net maf takes at least 2"),
        (lambda: IAF([2], steps=0), "net.steps=0: at least 1"),
        (lambda: Glow([2]), "net glow takes images"),
        (lambda: Glow([1, 8, 6]), r"data.shape=\[1, 8, 6\]: net glow of net.scales=2 .* of 4"),
        (lambda: Glow([1, 8, 8], num_classes=2, context=3), "classes or a context"),
        (lambda: RealNVP([2])(torch.zeros(4, 3)), r"net.shape=\[2\]: .* of shape \[3\]"),
        (lambda: TOLD["iaf"](context=3)(torch.zeros(2, 4)), r"net.context=3: .* given is None"),
        (
            lambda: TOLD["iaf"](context=3)(torch.zeros(2, 4), torch.zeros(2, 5)),
            r"needs a context \[2, 3\], given is \[2, 5\]",
        ),
        (lambda: Permutation([0, 2]), r"order=\[0, 2\]: each of 0 to 1 once"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_bfloat16_is_the_nets_alone() -> None:
    """Under autocast noise and log-determinant stay float32, and what is done is undone."""
    net = moved(Glow([1, 8, 8], width=8, steps=2)).requires_grad_(False)
    z = torch.randn(4, 1, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, log_det = net(z)
        again, _ = net.inverse(y)
    assert y.dtype == log_det.dtype == torch.float32
    torch.testing.assert_close(again, z, atol=1e-2, rtol=1e-2)
    assert not torch.equal(y, net(z)[0])
