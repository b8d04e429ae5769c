"""GPT, GRU, LSTM: causal, the same with a state as without, and nanoGPT's where asked to be."""

from __future__ import annotations

import math

import pytest
import torch

from genlab.nn.rnn import GRU, LSTM
from genlab.nn.transformer import GPT

NANO = dict(norm="layer", positions="learned", mlp="gelu")
VOCAB, LENGTH = 11, 16
NETS = {
    "gpt": lambda **k: GPT(VOCAB, max_length=LENGTH, width=32, depth=2, **k),
    "gpt_gqa": lambda **k: GPT(VOCAB, max_length=LENGTH, width=32, depth=2, kv_heads=2, **k),
    "gpt_mqa_untied": lambda **k: GPT(
        VOCAB, max_length=LENGTH, width=32, depth=2, kv_heads=1, tied=False, bias=True, **k
    ),
    "nano": lambda **k: GPT(VOCAB, max_length=LENGTH, width=32, depth=2, **NANO, **k),
    "gru": lambda **k: GRU(VOCAB, width=32, **k),
    "lstm": lambda **k: LSTM(VOCAB, width=32, tied=False, **k),
}
every_net = pytest.mark.parametrize("name", NETS)


def build(name: str, num_classes: int | None = None):
    torch.manual_seed(0)
    net = NETS[name](num_classes=num_classes).eval()
    with torch.no_grad():  # far from the near-uniform start, so that differences would show
        for p in net.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return net


def tokens(length: int = LENGTH) -> torch.Tensor:
    x = torch.randint(0, VOCAB, (3, length), generator=torch.Generator().manual_seed(1))
    x[0, 0] = VOCAB  # the start token
    return x


@every_net
@pytest.mark.parametrize("chunks", [(1,) * 16, (5, 11), (16,), (3, 1, 1, 7, 4)])
def test_with_a_state_in_chunks_is_without(name, chunks):
    net, x = build(name, num_classes=3), tokens()
    cond = torch.tensor([0, 2, 3])
    whole, _ = net(x, cond)
    assert whole.shape == (3, LENGTH, VOCAB)
    state, parts = net.init_state(3, x.device), []
    for chunk in x.split(chunks, dim=1):
        logits, state = net(chunk, cond, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)


@every_net
@pytest.mark.parametrize("t", [0, 7, 15])
def test_a_token_does_not_change_what_stands_before_it(name, t):
    net, x = build(name), tokens()
    other = x.clone()
    other[:, t] = (x[:, t] + 1) % VOCAB
    a, b = net(x)[0], net(other)[0]
    torch.testing.assert_close(a[:, :t], b[:, :t], atol=1e-6, rtol=0)
    assert (a[:, t] - b[:, t]).abs().max() > 1e-3


@every_net
def test_classes_matter_and_none_is_the_last_row(name):
    net, x = build(name, num_classes=3), tokens()
    none = net(x)[0]
    torch.testing.assert_close(none, net(x, torch.full((3,), 3))[0])
    assert (none - net(x, torch.tensor([0, 1, 2]))[0]).abs().max() > 1e-3


@every_net
def test_a_net_without_classes_ignores_labels(name):
    net, x = build(name), tokens()
    torch.testing.assert_close(net(x)[0], net(x, torch.tensor([0, 1, 2]))[0])


@every_net
def test_an_example_does_not_depend_on_its_batch(name):
    net, x = build(name), tokens()
    torch.testing.assert_close(net(x)[0][1:2], net(x[1:2])[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["gpt", "nano"])
def test_a_full_cache_says_so(name):
    net, x = build(name), tokens()
    _, state = net(x, None, net.init_state(3))
    with pytest.raises(ValueError, match=r"net\.max_length=16"):
        net(x[:, :1], None, state)
    with pytest.raises(ValueError, match=r"net\.max_length=16"):
        net(tokens(LENGTH + 1))


def test_rnns_know_no_longest_length():
    assert GRU(VOCAB).max_length is None and LSTM(VOCAB).max_length is None
    assert GPT(VOCAB, max_length=8).max_length == 8


@pytest.mark.parametrize(("width", "depth"), [(128, 4), (32, 2)])
def test_nanogpt_options_have_nanogpts_parameters(width, depth):
    """nanoGPT without biases: wte + wpe + depth * (12 width^2 + 2 width) + width; and our start."""
    net = GPT(65, max_length=64, width=width, depth=depth, **NANO)
    formula = 65 * width + 64 * width + depth * (12 * width**2 + 2 * width) + width
    assert sum(p.numel() for p in net.parameters()) == formula + width


def test_nanogpt_initialisation():
    torch.manual_seed(0)
    net = GPT(65, max_length=64, width=128, depth=8, **NANO)
    block = net.blocks[3]
    for weight in (net.embed.weight, net.positions.weight, block.attention.qkv.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    for weight in (block.attention.out.weight, block.mlp.down.weight):
        assert weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)  # sqrt(2 * 8) = 4


@pytest.mark.parametrize("options", [{}, NANO])
def test_the_first_loss_is_nearly_that_of_a_uniform_guess(options):
    """A little more: tied embeddings make a token expect itself."""
    torch.manual_seed(0)
    x = torch.randint(0, 65, (8, 65))
    logits, _ = GPT(65, max_length=64, **options)(x[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(65), abs=0.15)


@pytest.mark.parametrize(
    ("key", "args"),
    [
        ("net.norm='batch'", dict(norm="batch")),
        ("net.positions='none'", dict(positions="none")),
        ("net.mlp='relu'", dict(mlp="relu")),
        ("net.heads=3", dict(heads=3)),
        ("net.kv_heads=3", dict(kv_heads=3)),
    ],
)
def test_wrong_options_are_named(key, args):
    with pytest.raises(ValueError, match=key):
        GPT(VOCAB, max_length=8, **args)


@every_net
def test_trains_under_bfloat16(name):
    net, x = NETS[name](), tokens()
    with torch.autocast("cpu", torch.bfloat16):
        logits, _ = net(x)
    logits.float().logsumexp(-1).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_dropout_is_off_in_evaluation():
    net = GPT(VOCAB, max_length=LENGTH, dropout=0.5)
    x = tokens()
    assert not torch.equal(net(x)[0], net(x)[0])
    net.eval()
    assert torch.equal(net(x)[0], net(x)[0])
