"""The networks of GANs and VAEs: shapes, ranges, classes, and what the norms promise."""

from __future__ import annotations

import pytest
import torch

from genlab.nn import conv, mlp

LATENT = 5
IMAGES = [(1, 8, 8), (3, 12, 12), (1, 28, 28), (3, 32, 32), (1, 16, 24)]
CASES = [("conv", shape) for shape in IMAGES] + [("mlp", (2,)), ("mlp", (1, 8, 8))]
every_case = pytest.mark.parametrize(("kind", "shape"), CASES)
NETS = {
    ("conv", "generator"): conv.DCGANGenerator,
    ("conv", "discriminator"): conv.DCGANDiscriminator,
    ("conv", "encoder"): conv.ConvEncoder,
    ("conv", "decoder"): conv.ConvDecoder,
    ("mlp", "generator"): mlp.MLPGenerator,
    ("mlp", "discriminator"): mlp.MLPDiscriminator,
    ("mlp", "encoder"): mlp.MLPEncoder,
    ("mlp", "decoder"): mlp.MLPDecoder,
}


def build(kind: str, part: str, shape, num_classes: int | None = 4, **options):
    torch.manual_seed(0)
    if part != "discriminator":
        options["latent_dim"] = LATENT
    net = NETS[kind, part](shape, num_classes=num_classes, width=8, **options)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return net.eval()


def source(part: str, shape) -> torch.Tensor:
    return torch.randn(3, LATENT) if part in ("generator", "decoder") else torch.randn(3, *shape)


@every_case
def test_generator_and_discriminator(kind, shape):
    cond = torch.tensor([0, 3, 4])
    x = build(kind, "generator", shape)(100 * torch.randn(3, LATENT), cond)
    assert x.shape == (3, *shape)
    assert x.abs().max() <= 1 and x.std() > 0.01
    assert build(kind, "discriminator", shape)(x, cond).shape == (3,)


@every_case
def test_encoder_and_decoder(kind, shape):
    cond = torch.tensor([0, 3, 4])
    mean, logvar = build(kind, "encoder", shape)(torch.randn(3, *shape), cond)
    assert mean.shape == logvar.shape == (3, LATENT)
    assert build(kind, "decoder", shape)(mean, cond).shape == (3, *shape)


@pytest.mark.parametrize(("kind", "part"), NETS)
def test_classes_matter_and_none_is_the_last_row(kind, part):
    net = build(kind, part, (1, 8, 8))
    x = source(part, (1, 8, 8))
    outs = [net(x, c) for c in (None, torch.full((3,), 4), torch.tensor([0, 1, 2]))]
    none, last, given = (o[0] if isinstance(o, tuple) else o for o in outs)
    torch.testing.assert_close(none, last)
    assert (none - given).abs().max() > 1e-4


@pytest.mark.parametrize(("kind", "part"), NETS)
def test_without_classes_labels_are_ignored_and_all_is_trained(kind, part):
    net = build(kind, part, (1, 8, 8), num_classes=None)
    x = source(part, (1, 8, 8))
    a, b = net(x), net(x, torch.tensor([0, 1, 2]))
    torch.testing.assert_close(a, b)
    sum(o.square().sum() for o in (a if isinstance(a, tuple) else (a,))).backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_folded_pixels_are_channels_of_a_smaller_image(part):
    """Of 2x2 pixels, the network is that of a quarter of the places, each of four values."""
    folded, small = build("conv", part, (1, 16, 24), fold=2), build("conv", part, (4, 8, 12))
    assert folded.state_dict().keys() == small.state_dict().keys()
    small.load_state_dict(folded.state_dict())
    cond = torch.tensor([0, 3, 4])
    if part == "decoder":
        z = source(part, ())
        x = small(z, cond)
        found = folded(z, cond)
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):  # a place's channels are its pixels, in rows
            torch.testing.assert_close(found[:, 0, i::2, j::2], x[:, 2 * i + j])
    else:
        x = torch.randn(3, 1, 16, 24)
        pixels = [x[:, 0, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        expected = small(torch.stack(pixels, 1), cond)[0]
        torch.testing.assert_close(folded(x, cond)[0], expected)


def test_fold_takes_sides_whose_folded_ones_are_no_multiples_of_4():
    net = build("conv", "encoder", (1, 28, 28), fold=2)
    assert net.last.in_features == 16 * 7 * 7  # 14, then 7
    assert build("conv", "decoder", (1, 28, 28), fold=2)(torch.randn(3, LATENT)).shape[2:] == (
        28,
        28,
    )


def test_points_are_not_bounded():
    x = build("mlp", "generator", (2,), bounded=False)(100 * torch.randn(50, LATENT))
    assert x.abs().max() > 1


@pytest.mark.parametrize("norm", ["spectral", "none"])
def test_a_discriminator_scores_each_example_by_itself(norm):
    net = build("conv", "discriminator", (1, 8, 8), norm=norm).train()
    x = torch.randn(4, 1, 8, 8, requires_grad=True)
    grad = torch.autograd.grad(net(x)[0], x)[0]
    assert grad[0].any() and not grad[1:].any()


def test_spectral_norm_bounds_each_layer():
    net = build("conv", "discriminator", (1, 8, 8), norm="spectral").train()
    for _ in range(50):  # power iteration
        net(torch.randn(2, 1, 8, 8), torch.tensor([0, 1]))
    net.eval()
    for layer in [*net.layers, net.logit, net.classes]:
        if hasattr(layer, "weight"):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(
                1, abs=0.05
            )


def test_conditional_norm_is_batch_norm_with_the_classes_own_scale_and_shift():
    norm, x = conv.ConditionalBatchNorm(3, num_classes=2), 5 + 2 * torch.randn(6, 3, 4, 4)
    cond = torch.tensor([0, 1, 2, 0, 1, 2])
    plain = torch.nn.functional.batch_norm(x, None, None, training=True)
    torch.testing.assert_close(norm(x, cond), plain)  # at the start
    torch.nn.init.normal_(norm.scale.weight)
    torch.nn.init.normal_(norm.shift.weight)
    scale, shift = (e.weight[cond][:, :, None, None] for e in (norm.scale, norm.shift))
    torch.testing.assert_close(norm(x, cond), plain * (1 + scale) + shift)


def test_a_generator_with_conditional_norms():
    net = build("conv", "generator", (1, 8, 8), norm="conditional")
    norms = [m for m in net.modules() if isinstance(m, conv.ConditionalBatchNorm)]
    assert len(norms) == 2
    z = torch.randn(3, LATENT)
    torch.testing.assert_close(net(z, None), net(z, torch.full((3,), 4)))
    torch.nn.init.zeros_(net.classes.weight)  # the class enters at the norms too
    assert (net(z, torch.tensor([0, 1, 2])) - net(z, None)).abs().max() > 1e-4
    fresh = conv.DCGANGenerator((1, 8, 8), latent_dim=5, num_classes=4, norm="conditional")
    assert not any(e.scale.weight.any() for e in fresh.layers if hasattr(e, "scale"))


def test_an_encoder_stays_finite():
    _mean, logvar = build("mlp", "encoder", (2,))(torch.full((1, 2), 1e8))
    assert logvar.exp().isfinite().all() and (-logvar).exp().isfinite().all()


def test_dcgan_starts_from_its_papers_scale():
    net = conv.DCGANGenerator((3, 32, 32), latent_dim=64)
    assert net.layers[2].weight.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    ("message", "make"),
    [
        ("data.shape=.2.: net dcgan takes images", lambda: conv.DCGANDiscriminator((2,))),
        ("multiples of 4", lambda: conv.DCGANGenerator((1, 30, 30), latent_dim=2)),
        ("multiples of 4", lambda: conv.ConvEncoder((1, 4, 4), latent_dim=2)),
        ("net.fold=3: must divide", lambda: conv.ConvEncoder((1, 8, 8), latent_dim=2, fold=3)),
        ("net.fold=4: .* leave 4", lambda: conv.ConvDecoder((1, 8, 8), latent_dim=2, fold=4)),
        (
            "net.generator.norm=conditional: the data have no classes",
            lambda: conv.DCGANGenerator((1, 8, 8), latent_dim=2, norm="conditional"),
        ),
        ("net.generator.norm='x'", lambda: conv.DCGANGenerator((1, 8, 8), latent_dim=2, norm="x")),
        ("net.discriminator.norm='x'", lambda: conv.DCGANDiscriminator((1, 8, 8), norm="x")),
    ],
)
def test_what_does_not_fit_is_named(message, make):
    with pytest.raises(ValueError, match=message):
        make()
