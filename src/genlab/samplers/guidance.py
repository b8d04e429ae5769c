"""Classifier-free guidance: a conditional network as a function of (x, t) alone.

Ho & Salimans 2022 (arXiv 2207.12598), eq. 6, with weight = 1 + w of the paper: 1 is the plain
conditional model, 0 the unconditional one. The paper mixes scores; every path's denoiser is affine
in the network's output with the same coefficients for both, so mixing outputs is the same.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Net = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def guided(
    net: Net, cond: Tensor | None, *, weight: float, no_class: int | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """net(x, t, cond) with cond fixed; both passes run as one batch of twice the size."""
    if cond is None or weight == 1 or no_class is None:
        return lambda x, t: net(x, t, cond)
    none = torch.full_like(cond, no_class)
    if weight == 0:
        return lambda x, t: net(x, t, none)
    both = torch.cat([cond, none])

    def net_fn(x: Tensor, t: Tensor) -> Tensor:
        with_class, without = net(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        return without + weight * (with_class - without)

    return net_fn
