"""The networks of a ladder VAE: shapes, laws, who depends on whom, classes, errors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genlab.nn.ladder import ConvBottomUp, ConvTopDown, MLPBottomUp, MLPTopDown

STAGES = {"widths": (16, 16, 8)}
CONV = {**STAGES, "latent_dims": (5, 2, 1), "rungs": (2, 1, 2)}
MLP = {"latent_dims": (5, 3), "width": 16}
IMAGES = [(1, 8, 8), (3, 12, 12), (1, 28, 28), (3, 32, 32), (1, 16, 24)]


def build(kind: str, shape, num_classes: int | None = 4) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    if kind == "conv":
        nets = (
            ConvBottomUp(shape, num_classes=num_classes, **STAGES),
            ConvTopDown(shape, num_classes=num_classes, **CONV),
        )
    else:
        nets = tuple(n(shape, num_classes=num_classes, **MLP) for n in (MLPBottomUp, MLPTopDown))
    with torch.no_grad():
        for p in nn.ModuleList(nets).parameters():
            p.add_(0.1 * torch.randn_like(p))
    return nets


def noise_of(down: nn.Module, num: int = 3) -> list[torch.Tensor]:
    return [torch.randn(num, *s) for s in down.latent_shapes]


@pytest.mark.parametrize(
    ("kind", "shape"), [("conv", s) for s in IMAGES] + [("mlp", (2,)), ("mlp", (1, 8, 8))]
)
def test_shapes_and_that_z_is_mean_plus_sigma_noise(kind, shape):
    up, down = build(kind, shape)
    cond, noise = torch.tensor([0, 3, 4]), noise_of(down)
    told = up(torch.randn(3, *shape), cond)
    for given in (None, told):
        params, layers = down(noise, cond, given)
        assert params.shape == (3, *shape)
        assert len(layers) == len(down.latent_shapes)
        for eps, (z, prior, posterior) in zip(noise, layers, strict=True):
            mean, logvar = prior if given is None else posterior
            assert z.shape == mean.shape == logvar.shape == prior[0].shape == eps.shape
            torch.testing.assert_close(z, mean + (logvar / 2).exp() * eps)
            assert (posterior is None) == (given is None)


def test_the_stages_are_a_vector_and_maps_of_doubled_sides():
    down = ConvTopDown((1, 28, 28), **CONV)
    assert down.latent_shapes == [(5,), (5,), (2, 7, 7), (1, 14, 14), (1, 14, 14)]
    whole = ConvTopDown((1, 8, 8), **CONV)
    assert whole.latent_shapes[2:] == [(2, 4, 4), (1, 8, 8), (1, 8, 8)]


def test_outputs_are_parameters_for_each_value():
    for down, shape in (
        (ConvTopDown((3, 12, 12), **CONV, outputs=5), (15, 12, 12)),
        (MLPTopDown((2,), **MLP, outputs=5), (10,)),
    ):
        assert down(noise_of(down))[0].shape == (3, *shape)


def test_both_laws_are_standard_normal_at_the_start():
    _, layers = ConvTopDown((1, 8, 8), **CONV)(
        noise_of(ConvTopDown((1, 8, 8), **CONV)),
        None,
        ConvBottomUp((1, 8, 8), **STAGES)(torch.randn(3, 1, 8, 8)),
    )
    assert all(not t.any() for _, prior, posterior in layers for t in (*prior, *posterior))


@pytest.mark.parametrize(("kind", "shape"), [("conv", (1, 8, 8)), ("mlp", (2,))])
def test_a_layer_hears_of_those_above_and_of_none_below(kind, shape):
    _, down = build(kind, shape)
    noise = noise_of(down)
    params, before = down(noise, None)
    for changed in range(len(noise)):
        other = [n + (i == changed) for i, n in enumerate(noise)]
        there, after = down(other, None)
        for layer, (a, b) in enumerate(zip(before, after, strict=True)):
            same = torch.equal(a[1][0], b[1][0])
            assert same == (layer <= changed), (changed, layer)
        assert not torch.equal(params, there)


@pytest.mark.parametrize(("kind", "shape"), [("conv", (1, 8, 8)), ("mlp", (2,))])
def test_classes_matter_and_none_is_the_last_row(kind, shape):
    up, down = build(kind, shape)
    x, noise = torch.randn(3, *shape), noise_of(down)
    for net in (lambda c: up(x, c)[0], lambda c: down(noise, c)[0]):
        none, last, given = (net(c) for c in (None, torch.full((3,), 4), torch.tensor([0, 1, 2])))
        torch.testing.assert_close(none, last)
        assert (none - given).abs().max() > 1e-4


@pytest.mark.parametrize(("kind", "shape"), [("conv", (1, 8, 8)), ("mlp", (2,))])
def test_without_classes_labels_are_ignored_and_all_is_trained(kind, shape):
    up, down = build(kind, shape, num_classes=None)
    x, noise = torch.randn(3, *shape), noise_of(down)
    params, layers = down(noise, None, up(x))
    torch.testing.assert_close(down(noise, torch.tensor([0, 1, 2]), up(x))[0], params)
    kl = sum((posterior[0] - prior[0]).square().sum() for _, prior, posterior in layers)
    (params.square().sum() + kl + sum(p[1].sum() for _, p, _ in layers)).backward()
    assert all(p.grad is not None for p in nn.ModuleList((up, down)).parameters())


def test_laws_stay_finite():
    up, down = build("mlp", (2,))
    _, layers = down(noise_of(down), None, up(torch.full((3, 2), 1e8)))
    for _, (_, a), (_, b) in layers:
        assert (a - b).exp().isfinite().all()


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        (r"net.rungs=\[1, 1\] net.widths=\[16, 16, 8\]", {"rungs": (1, 1)}),
        (r"net.widths=\[16\]: 1 stages; .* have 2 to 3, a vector and maps from 4x4",
         {"widths": (16,), "latent_dims": (1,), "rungs": (1,)}),
        (r"net.widths=\[8, 8, 8, 8\]: 4 stages",
         {"widths": (8,) * 4, "latent_dims": (1,) * 4, "rungs": (1,) * 4}),
        (r"net.latent_dims=0: at least 1", {"latent_dims": (5, 0, 1)}),
        (r"net.rungs=0: at least 1", {"rungs": (5, 0, 1)}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(message, wrong):
    with pytest.raises(ValueError, match=message):
        ConvTopDown((1, 8, 8), **{**CONV, **wrong})
    with pytest.raises(ValueError, match="net ladder takes images"):
        ConvTopDown((2,), **CONV)
