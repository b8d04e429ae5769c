"""A noise network for points in the plane that sees them through sines (tiny-diffusion).

Read: `SinusoidalMLP.forward`. It is the network of tiny-diffusion and of the AI-Scientist's 2-D
experiments, for comparisons with their numbers; mlp.py's MLP learns quicker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import at_least_1


def sinusoids(x: Tensor, dim: int) -> Tensor:
    """sin and cos of x at dim / 2 rates from 1 down to 1 / 10000: [..., dim]."""
    rates = torch.exp(-math.log(10_000) / (dim // 2 - 1) * torch.arange(dim // 2, device=x.device))
    angles = x[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class SinusoidalMLP(nn.Module):
    """Noisy x [B, 2], noise level t [B] -> [B, 2]: residual layers x + linear(relu(x))."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int = 256,
        depth: int = 3,
        embedding: int = 128,
        input_scale: float = 25.0,
        time_scale: float = 100.0,
    ) -> None:
        """`embedding` sines of each input; `time_scale`: t = 1 is this many levels."""
        super().__init__()
        at_least_1(width=width, depth=depth)
        if embedding < 4 or embedding % 2:
            raise ValueError(f"net.embedding={embedding}: an even number from 4 on")
        self.embedding, self.input_scale, self.time_scale = embedding, input_scale, time_scale
        self.first = nn.Linear((math.prod(shape) + 1) * embedding, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, math.prod(shape))

    def forward(self, x: Tensor, t: Tensor, cond: None = None) -> Tensor:
        if t.ndim > 1:
            raise ValueError(
                f"net=sinusoidal is given {t.shape[1]} times an example, and takes one; write"
                " net=mlp"
            )
        inputs = torch.cat([x.flatten(1) * self.input_scale, t[:, None] * self.time_scale], dim=1)
        h = self.first(sinusoids(inputs, self.embedding).flatten(1))
        for block in self.blocks:
            h = h + block(F.relu(h))
        return self.last(F.relu(h)).view(x.shape)
