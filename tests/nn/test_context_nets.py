"""Nets that attend to a context: the words matter, padding does not, no context is as before."""

from __future__ import annotations

import pytest
import torch

from genlab.batch import Context
from genlab.nn.dit import DiT
from genlab.nn.text_encoder import TextEncoder
from genlab.nn.transformer import GPT
from genlab.nn.unet import UNet

WIDTH, SHAPE = 12, (3, 8, 8)


def perturbed(net: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return net.eval()


def build(name: str, context: int | None = WIDTH, **more) -> torch.nn.Module:
    torch.manual_seed(0)
    if name == "unet":
        return UNet(SHAPE, width=8, context=context, multipliers=(1, 2), attention=(2,), **more)
    if name == "dit":
        return DiT(SHAPE, width=16, depth=2, heads=2, context=context, **more)
    return GPT(7, max_length=10, width=16, depth=2, heads=2, context=context, **more)


def run(net: torch.nn.Module, cond) -> torch.Tensor:
    """The net's answer for three fixed inputs."""
    draws = torch.Generator().manual_seed(0)
    if isinstance(net, GPT):
        return net(torch.randint(7, (3, 6), generator=draws), cond)[0]
    x, t = torch.randn(3, *SHAPE, generator=draws), torch.randn(3, generator=draws)
    return net(x, t, cond)


def context(length: int = 5) -> Context:
    states = torch.randn(3, length, WIDTH, generator=torch.Generator().manual_seed(5))
    return Context(states, torch.ones(3, length, dtype=torch.bool))


every_net = pytest.mark.parametrize("name", ["unet", "dit", "gpt"])


@every_net
def test_the_context_has_an_effect_and_every_parameter_is_used(name: str) -> None:
    net, told = perturbed(build(name)), context()
    out = run(net, told)
    other = Context(told.states.roll(1, 0), told.mask)
    assert (out - run(net, other)).abs().max() > 1e-3
    out.square().sum().backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]


@every_net
def test_what_the_mask_hides_has_none(name: str) -> None:
    net, told = perturbed(build(name)), context()
    mask = told.mask.clone()
    mask[:, 3:] = False
    short = Context(told.states[:, :3], told.mask[:, :3])
    torch.testing.assert_close(run(net, Context(told.states, mask)), run(net, short))


@every_net
def test_an_example_sees_its_own_context_alone(name: str) -> None:
    net, told = perturbed(build(name)), context()
    states = told.states.clone()
    states[1:] = 0
    torch.testing.assert_close(run(net, Context(states, told.mask))[0], run(net, told)[0])


@every_net
def test_classes_or_a_context_but_not_both(name: str) -> None:
    with pytest.raises(ValueError, match=r"net.num_classes=4 and net.context=12.*null"):
        build(name, num_classes=4)


@every_net
def test_without_a_context_nothing_is_built_for_it(name: str) -> None:
    plain, more = build(name, None).state_dict(), build(name).state_dict()
    assert not [key for key in plain if "cross" in key or "pooled" in key]
    assert [key for key in more if "cross" in key]


def test_where_a_word_stands_matters_to_a_unet() -> None:
    """The map's positions are told apart: "left of" needs them."""
    net = perturbed(build("unet"))
    x = torch.ones(1, *SHAPE)
    told = Context(context().states[:1], context().mask[:1])
    before = net.down[1][0].attention
    h = torch.ones(1, before.positions.shape[1], 4, 4)
    out = before(h, told).flatten(2)
    assert (out - out.mean(2, keepdim=True)).abs().max() > 1e-3
    assert net(x, torch.zeros(1), told).isfinite().all()


def test_gpt_with_a_cache_reads_the_context_too() -> None:
    net, told = perturbed(build("gpt")), context()
    tokens = torch.randint(7, (3, 6), generator=torch.Generator().manual_seed(0))
    whole = net(tokens, told)[0]
    state, parts = net.init_state(3), []
    for t in range(6):
        logits, state = net(tokens[:, t : t + 1], told, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-4)


# --- the text encoder ----------------------------------------------------------------------------


def encoder(kernel: int | None = None) -> TextEncoder:
    torch.manual_seed(0)
    return perturbed(TextEncoder(9, length=6, width=16, heads=2, kernel=kernel))


@pytest.mark.parametrize("kernel", [None, 1, 5])
def test_padding_changes_no_word_and_an_empty_caption_is_one_state(kernel) -> None:
    net = encoder(kernel)
    states, mask = net(torch.tensor([[3, 1, 4, 0, 0, 0], [0] * 6]))
    assert states.shape == (2, 7, 16)
    assert mask.tolist() == [[True] * 4 + [False] * 3, [True] + [False] * 6]
    alone = net(torch.tensor([[3, 1, 4]])).states
    torch.testing.assert_close(states[:1, :4], alone)
    torch.testing.assert_close(
        states[1:, :1], net(torch.zeros(1, 1, dtype=torch.long)).states[:, :1]
    )


def test_the_order_of_words_matters() -> None:
    net = encoder()
    a, b = net(torch.tensor([[3, 1, 4], [4, 1, 3]])).states[:, 2]
    assert (a - b).abs().max() > 1e-3


def test_a_block_joins_a_word_with_its_neighbours_on_either_side() -> None:
    net, x = encoder(5).blocks[0], torch.randn(1, 6, 16)
    mask = torch.tensor([[True] * 5 + [False]])
    heard = torch.autograd.functional.jacobian(lambda x: net.near((x * mask[..., None]).mT), x)
    reach = heard.abs().sum((0, 1, 3, 5))  # from a word [6] to a word [6]
    expected = [[abs(i - j) <= 2 and j < 5 for j in range(6)] for i in range(6)]
    assert (reach > 0).tolist() == expected
    with pytest.raises(ValueError, match=r"conditions.encoder.kernel=4: an odd number"):
        encoder(4)


def test_a_caption_that_is_too_long_is_named() -> None:
    with pytest.raises(ValueError, match=r"conditions.encoder.length=6: a caption has 7 words"):
        encoder()(torch.ones(1, 7, dtype=torch.long))
