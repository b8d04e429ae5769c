"""Classifier-free guidance: a conditional network as a function of (x, t) alone.

Ho & Salimans 2022 (arXiv 2207.12598), eq. 6, with weight = 1 + w of the paper: 1 is the plain
conditional model, 0 the unconditional one. The paper mixes scores; every path's denoiser is affine
in the network's output with the same coefficients for both, so mixing outputs is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genlab.batch import each

Net = Callable[[Tensor, Tensor, Any], Tensor]


def guided(net: Net, cond: Any, none: Any, *, weight: float) -> Callable[[Tensor, Tensor], Tensor]:
    """net(x, t, cond) with cond fixed; both passes run as one batch of twice the size.

    `none` is what the net is given where there is no condition, in rows as `cond`.
    """
    if cond is None or none is None or weight == 1:
        return lambda x, t: net(x, t, cond)
    if weight == 0:
        return lambda x, t: net(x, t, none)
    both = each(lambda c, n: torch.cat([c, n]), cond, none)

    def net_fn(x: Tensor, t: Tensor) -> Tensor:
        with_cond, without = net(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        return without + weight * (with_cond - without)

    return net_fn
