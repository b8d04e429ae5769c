"""The shared blocks, and that every YAML of conf/net builds a network that runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genlab.nn.conv import ConvEncoder
from genlab.nn.dit import DiT
from genlab.nn.layers import FeedForward, TimeEmbedding, group_norm, norm, sinusoids
from genlab.nn.mlp import MLP
from genlab.nn.rnn import GRU
from genlab.nn.transformer import GPT
from genlab.nn.unet import UNet
from genlab.runs.settings import compose

CONF = Path(__file__).parents[2] / "conf" / "net"
assert compose  # its resolvers stand in some of the files


def test_rms_norm_is_its_formula():
    x = 3 * torch.randn(4, 16)
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(norm("rms", 16)(x), expected)


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 18, 32, 48, 50, 96, 128, 512])
def test_group_norm_takes_any_number_of_channels(channels):
    g = group_norm(channels)
    assert channels % g.num_groups == 0 and g.num_groups <= 32
    assert g.num_groups == 1 or channels // g.num_groups >= 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_group_norm_is_float32s_rounded_once(dtype):
    x = (5 + 3 * torch.randn(32, 32, 16, 16)).to(dtype).requires_grad_()
    ours, plain = group_norm(32), torch.nn.GroupNorm(8, 32, eps=1e-6)
    torch.nn.init.normal_(ours.weight)
    plain.load_state_dict(ours.state_dict())
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        out = ours(x)
    expected = plain(x.float())
    assert out.dtype == dtype and torch.equal(out, expected.to(dtype))
    ways = torch.randn_like(out)
    (a,) = torch.autograd.grad(out, x, ways)
    (b,) = torch.autograd.grad(expected, x, ways.float())
    assert a.dtype == dtype and torch.equal(a, b)  # x's gradient is rounded once too


def test_sinusoids_are_cosines_and_sines():
    s = sinusoids(torch.tensor([2.0]), 4, lowest=0.5, highest=8.0)
    expected = [math.cos(1), math.cos(16), math.sin(1), math.sin(16)]
    torch.testing.assert_close(s[0], torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_time_embedding_tells_near_levels_apart():
    s = sinusoids(torch.linspace(-1, 1, 201), 64, lowest=0.5, highest=100.0)
    distance = torch.cdist(s, s) + 9 * torch.eye(201)
    assert distance.min() > 0.5
    assert TimeEmbedding(8)(torch.zeros(3)).shape == (3, 8)


@pytest.mark.parametrize("width", [64, 128, 768])
def test_swiglu_has_about_as_many_weights_as_gelu(width):
    sizes = [
        sum(p.numel() for p in FeedForward(width, kind=kind, bias=False).parameters())
        for kind in ("swiglu", "gelu")
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.15)


DATA = {
    "image": dict(shape=[1, 8, 8], num_classes=10, vocab=None),
    "larger image": dict(shape=[1, 28, 28], num_classes=None, vocab=None),
    "points": dict(shape=[2], num_classes=None, vocab=None),
    "text": dict(shape=[16], num_classes=None, vocab=66),
    "rolls": dict(shape=[6, 5], num_classes=None, vocab=None),
    "video": dict(shape=[1, 4, 8, 8], num_classes=None, vocab=None),
    "wave": dict(shape=[1, 512], num_classes=None, vocab=None),
    "rows": dict(shape=[6], num_classes=None, vocab=None, widths=[1, 3, 2]),
}
KINDS = {
    "mlp": ("image", "points"),
    "mlp_table": ("points",),
    "unet": ("image",),
    "video_unet": ("video",),
    "dit": ("image",),
    "mlp_gan": ("image", "points"),
    "dcgan": ("image",),
    "resgan": ("larger image",),
    "table_gan": ("rows",),
    "stylegan": ("larger image",),
    "mlp_vae": ("image", "points"),
    "conv_vae": ("image",),
    "gpt": ("text",),
    "bidirectional": ("text",),
    "gru": ("text",),
    "lstm": ("text",),
    "conv_codec": ("larger image",),
    "conv_vq": ("larger image",),
    "conv_vqgan": ("larger image",),
    "wave_codec": ("wave",),
    "spectrum_codec": ("wave",),
    "plain_vae": ("image", "points"),
    "pacgan": ("points",),
    "sinusoidal": ("points",),
    "ladder": ("image", "larger image"),
    "mlp_ladder": ("image", "points"),
    "made": ("text",),
    **dict.fromkeys(("realnvp", "maf", "iaf"), ("image", "points")),
    "glow": ("image", "larger image"),
    "fvsbn": ("text",),
    **dict.fromkeys(("frame_rnn", "frame_gru", "frame_lstm", "tcn"), ("rolls",)),
}


def test_every_yaml_is_tried():
    assert {p.stem for p in CONF.glob("*.yaml")} == set(KINDS)


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n, kinds in KINDS.items() for k in kinds])
def test_yaml_builds_a_network_that_runs(name, kind):
    text = (CONF / f"{name}.yaml").read_text()
    assert text.startswith("# ") and text.splitlines()[0].endswith(".")
    data = {**DATA[kind], "std": 0.5}
    node = OmegaConf.create(text)
    if bases := node.pop("defaults", None):
        node = OmegaConf.merge(OmegaConf.load(CONF / f"{bases[0]}.yaml"), node)
    config = OmegaConf.create({"data": data, "space": data, "net": node})
    net = instantiate(config.net)
    shape = DATA[kind]["shape"]
    x = torch.randn(2, *shape)
    if kind == "text":
        out = net(torch.full((2, 16), 66))
        assert (out if torch.is_tensor(out) else out[0]).shape == (2, 16, 66)
    elif kind == "rolls":
        assert net(x, None, None)[0].shape == x.shape
    elif "generator" in config.net:
        fake = net.generator(torch.randn(2, net.latent_dim), None)
        assert fake.shape == x.shape and net.discriminator(fake, None).shape == (2,)
    elif "top_down" in config.net:
        noise = [torch.randn(2, *s) for s in net.top_down.latent_shapes]
        params, layers = net.top_down(noise, None, net.bottom_up(x, None))
        assert params.shape == x.shape and len(layers) == len(noise) >= 2
    elif "encoder" in config.net:
        out = net.encoder(x) if "codes" in net else net.encoder(x, None)
        z, *more = out if isinstance(out, tuple) else (out,)
        latent = net.get("latent_map") or net.get("latent_shape") or [net.latent_dim]
        assert all(part.shape == (2, *latent) for part in (z, *more))
        assert net.decoder(z, None).shape == x.shape
        if "discriminator" in net:
            assert all(scale[-1].shape[:2] == (2, 1) for scale in net.discriminator(x))
    elif hasattr(net, "inverse"):
        y, log_det = net(x, None)
        assert y.shape == x.shape and log_det.shape == (2,)
    else:
        assert net(x, torch.zeros(2), None).shape == x.shape


@pytest.mark.parametrize(
    "make",
    [
        lambda: MLP([2], width=0),
        lambda: MLP([2], depth=0),
        lambda: UNet([1, 8, 8], width=0),
        lambda: UNet([1, 8, 8], blocks=0),
        lambda: DiT([1, 8, 8], depth=0),
        lambda: GPT(vocab=4, max_length=8, depth=0),
        lambda: GRU(vocab=4, depth=0),
        lambda: ConvEncoder([1, 8, 8], latent_dim=0),
    ],
)
def test_a_net_without_width_or_depth_is_refused(make) -> None:
    with pytest.raises(ValueError, match=r"net\.\w+=0: at least 1"):
        make()
