"""The running average: its decay in closed form, and what it averages."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from genlab.callbacks.ema import EMA


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.learns, self.fixed = nn.Linear(3, 2), nn.Linear(3, 2).requires_grad_(False)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("count", torch.tensor(0))


def test_half_of_the_average_is_left_after_a_half_life() -> None:
    plain = EMA(half_life=1000, ramp_up=None)
    assert plain.decay(1, 1000) == 0.5 and plain.decay(1, 3000) == pytest.approx(0.125)
    left = 1.0
    for _ in range(125):
        left *= plain.decay(10**6, 16)
    assert left == pytest.approx(0.25), "2000 examples are two half-lives, whatever the batch"


def test_early_the_half_life_is_a_share_of_what_was_seen() -> None:
    ema = EMA(half_life=1000)
    assert ema.decay(4000, 200) == pytest.approx(0.5)  # 5 % of 4000
    assert ema.decay(10**6, 1000) == 0.5
    assert EMA(half_life=1000, ramp_up=0.5).decay(100, 50) == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"callbacks\.ema\.half_life=0"):
        EMA(half_life=0)


def test_weights_and_buffers_follow_once_a_step() -> None:
    net = Net()
    average, ema = copy.deepcopy(net), EMA(half_life=32, ramp_up=None)
    ema._average_model = SimpleNamespace(module=average)
    before = copy.deepcopy(average.state_dict())
    with torch.no_grad():
        for p in net.learns.parameters():
            p.add_(1)
    net.mean += 2
    net.count += 7
    net.clock = SimpleNamespace(examples=640, batches=40)  # 16 a batch: half of a half-life
    trainer = SimpleNamespace(accumulate_grad_batches=2, global_step=1)
    ema.on_train_batch_end(trainer, net, None, None, 0)  # the first of two parts
    assert all(torch.equal(v, before[k]) for k, v in average.state_dict().items())
    ema.on_train_batch_end(trainer, net, None, None, 1)
    new = 1 - 0.5**0.5
    for name, value in average.state_dict().items():
        if name == "count":
            assert value == 7
            continue
        expected = before[name] + new * (net.state_dict()[name] - before[name])
        torch.testing.assert_close(value, expected)
