"""Minibatch deviation: a discriminator's layer that sees how much examples differ, so that a
generator that repeats itself is found out (Karras et al. 2018, arXiv 1710.10196, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genlab.nn.layers import at_least_1


class MinibatchDeviation(nn.Module):
    """[B, C, H, W] -> [B, C + 1, H, W]: one map more, the mean deviation within the group.

    Groups are of `group` examples that follow one another, so that processes whose shares are
    multiples of it see what one would; a last group that is not full takes the first examples
    again. The examples of a group mix: a gradient penalty is then that of the sum of their logits,
    as in StyleGAN2, and no longer of each example's own.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        at_least_1(group=group)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        num = len(x)
        if num == 1 and self.training:  # a held-out batch may leave one over
            raise ValueError(
                "data.batch_size=1 on a process: net.discriminator.minibatch compares examples;"
                " take a larger batch, or minibatch=1"
            )
        group = min(self.group, num)
        whole = x.repeat(-(-num // group) * group // num + 1, 1, 1, 1)[: -(-num // group) * group]
        groups = whole.float().unflatten(0, (-1, group))
        variance = groups.var(1, unbiased=False)  # [groups, C, H, W]
        deviation = (variance + 1e-8).sqrt().mean((1, 2, 3))
        each = deviation.repeat_interleave(group)[:num].to(x)
        return torch.cat([x, each[:, None, None, None].expand(-1, 1, *x.shape[2:])], dim=1)
