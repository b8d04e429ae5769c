"""Minibatch deviation against a plain loop; who is in a group; a batch of one."""

from __future__ import annotations

import pytest
import torch

from genlab.nn.minibatch import MinibatchDeviation


def expected(x, members):
    """The deviation over the members, at each place, then the mean of all places."""
    rows = [x[i] for i in members]
    mean = sum(rows) / len(rows)
    variance = sum((r - mean) ** 2 for r in rows) / len(rows)
    return (variance + 1e-8).sqrt().mean()


@pytest.mark.parametrize(
    ("num", "groups"),
    [
        (8, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (6, [[0, 1, 2, 3], [4, 5, 0, 1]]),
        (3, [[0, 1, 2]]),
        (4, [[0, 1, 2, 3]]),
        (2, [[0, 1]]),
    ],
)
def test_it_is_the_groups_deviation(num, groups):
    x = torch.randn(num, 3, 2, 5)
    out = MinibatchDeviation(4)(x)
    assert out.shape == (num, 4, 2, 5)
    assert torch.equal(out[:, :3], x)
    for i in range(num):
        own = expected(x, groups[i // 4])
        torch.testing.assert_close(out[i, 3], own.expand(2, 5))


def test_two_shares_of_whole_groups_are_one_batch():
    x, layer = torch.randn(8, 3, 2, 2), MinibatchDeviation(4)
    torch.testing.assert_close(torch.cat([layer(x[:4]), layer(x[4:])]), layer(x))


def test_a_batch_that_repeats_itself_shows():
    x, layer = torch.randn(1, 3, 4, 4).repeat(4, 1, 1, 1), MinibatchDeviation(4)
    assert layer(x)[:, 3].max() < 1e-3 < 0.5 < layer(torch.randn(4, 3, 4, 4))[:, 3].min()


def test_a_batch_of_one_is_refused_in_training():
    layer = MinibatchDeviation(4)
    with pytest.raises(ValueError, match=r"data.batch_size=1 .* net.discriminator.minibatch"):
        layer(torch.randn(1, 3, 2, 2))
    assert layer.eval()(torch.randn(1, 3, 2, 2))[:, 3].max() < 1e-3
    with pytest.raises(ValueError, match=r"net.group=0: at least 1"):
        MinibatchDeviation(0)
