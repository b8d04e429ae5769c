"""Nets over frames: causal, the same in pieces as at once, as far-reaching as they say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genlab.nn.frames import FrameGRU, FrameLSTM, FrameRNN
from genlab.nn.tcn import TCN, CausalConv

LENGTH, KEYS = 20, 7
NETS = {
    "rnn": lambda: FrameRNN((LENGTH, KEYS), width=16, depth=2),
    "gru": lambda: FrameGRU((LENGTH, KEYS), width=16),
    "lstm": lambda: FrameLSTM((LENGTH, KEYS), width=16, depth=2),
    "tcn": lambda: TCN((LENGTH, KEYS), width=16, levels=2, kernel=3),
    "tcn_of_a_frames_width": lambda: TCN((LENGTH, KEYS), width=KEYS, levels=1, kernel=4),
}
every_net = pytest.mark.parametrize("name", NETS)


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    net = NETS[name]().eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return net


def frames(length: int = LENGTH) -> torch.Tensor:
    return torch.randint(2, (3, length, KEYS), generator=torch.Generator().manual_seed(1)).float()


@every_net
@pytest.mark.parametrize("chunks", [(1,) * 20, (7, 13), (20,), (1, 9, 1, 1, 8)])
def test_in_pieces_with_a_state_is_at_once(name, chunks):
    net, x = build(name), frames()
    whole, _ = net(x)
    assert whole.shape == x.shape
    state, parts = None, []
    for part in x.split(chunks, dim=1):
        logits, state = net(part, None, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


@every_net
@pytest.mark.parametrize("t", [1, 9, 19])
def test_a_frame_changes_no_logit_before_it(name, t):
    net, x = build(name), frames()
    other = x.clone()
    other[:, t] = 1 - other[:, t]
    before, after = net(x)[0], net(other)[0]
    assert torch.equal(before[:, :t], after[:, :t])
    assert not torch.equal(before[:, t], after[:, t])


@pytest.mark.parametrize(
    ("levels", "kernel", "field"), [(1, 2, 3), (2, 3, 13), (3, 2, 15), (4, 5, 121)]
)
def test_a_tcn_reads_its_receptive_field_and_no_further(levels, kernel, field):
    """1 + 2 (k - 1) (2^levels - 1): a gradient reaches so many frames, and not one more."""
    torch.manual_seed(0)
    net = TCN((1, 2), width=8, levels=levels, kernel=kernel).double().eval()
    assert net.receptive_field == field
    with torch.no_grad():  # no ReLU that is shut for good
        for block in net.blocks:
            for conv in (block.first, block.second):
                conv.bias.fill_(5.0)
    x = torch.rand(1, field + 10, 2, dtype=torch.double, requires_grad=True)
    net(x)[0][0, -1].sum().backward()
    reached = x.grad[0].abs().sum(1) > 0
    assert reached[-field:].all() and not reached[:-field].any()


def test_silence_stands_before_the_beginning():
    net, x = build("tcn"), frames()
    after_silence = net(torch.cat([torch.zeros(3, 30, KEYS), x], 1))[0]
    assert not torch.allclose(after_silence[:, 30], net(x)[0][:, 0]), "a bias makes silence heard"
    assert torch.allclose(after_silence[:, -1], net(x)[0][:, -1], atol=1e-6), "forgotten by then"


def test_a_causal_convolution_is_weight_normalised_and_torchs_own():
    torch.manual_seed(0)
    conv, x = CausalConv(3, 4, kernel=3, dilation=2), torch.randn(2, 3, 9)
    with torch.no_grad():
        conv.gain.mul_(1.7)
        conv.direction.mul_(9.0)  # its length does not count
    torch.manual_seed(0)
    theirs = nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 4, 3, dilation=2))
    with torch.no_grad():
        theirs.parametrizations.weight.original0.mul_(1.7)
    expected = theirs(nn.functional.pad(x, (4, 0)))
    torch.testing.assert_close(conv(x, None)[0], expected)


def test_the_published_size():
    """k = 3, two levels of 150: the paper says 300K for JSB."""
    assert (
        sum(p.numel() for p in TCN((1, 88), width=150, levels=2, kernel=3).parameters()) == 269_938
    )


def test_a_net_without_width_is_refused():
    for make in (lambda: TCN((1, 2), kernel=0), lambda: FrameGRU((1, 2), width=0)):
        with pytest.raises(ValueError, match=r"net\.(kernel|width)=0: at least 1"):
            make()
