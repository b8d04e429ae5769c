"""The likelihood of x = f(z), z ~ N(0, I), for f that can be undone; discrete x made continuous.

Read: `ChangeOfVariables` is the formula, for data that are continuous. `Dequantised` (grey levels)
and `DequantisedRows` (categories of a table) spread each value evenly over a cell of its own, and
the density there bounds the probability of the cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.objectives.columns import Blocks
from genlab.rng import rand
from genlab.shapes import sum_example


class ChangeOfVariables(nn.Module):
    """log p(x) = log N(z; 0, I) + log |det dz/dx|, z = f^-1(x): Dinh et al. 2017, eq. 2-3.

    A density. Where `bound`, x is spread out, x + u with u uniform over a cell of volume V, and
    E_u log p(x + u) + log V is a lower bound of log P(x), the probability of what is drawn within
    the cell (Theis et al. 2016, arXiv 1511.01844, section 3.1).
    """

    bound = False  # whether it is a lower bound
    discrete: bool = False  # whether it is a probability, not a density

    def loss(self, z: Tensor, log_det: Tensor, x: Tensor) -> dict[str, Tensor]:
        """loss = -log p(x) = noise - log_det - log V in nats, noise = -log N(z; 0, I)."""
        return {
            "loss": -self.log_prob(z, log_det, x),
            "noise": -self.log_base(z),
            "log_det": log_det,
        }

    def log_prob(self, z: Tensor, log_det: Tensor, x: Tensor) -> Tensor:
        """log p(x) in nats [B], of z = f^-1(x + u) and log |det dz/dx| there [B]."""
        return self.log_base(z) + log_det + self.log_volume(x)

    @staticmethod
    def log_base(z: Tensor) -> Tensor:
        """log N(z; 0, I) [B]."""
        return -0.5 * sum_example(z**2 + math.log(2 * math.pi))

    def spread(self, x: Tensor) -> Tensor:
        """x + u, drawn for a training batch."""
        return x

    def log_volume(self, x: Tensor) -> Tensor | float:
        """log V, of the cell that x is spread over."""
        return 0.0

    def settle(self, x: Tensor) -> Tensor:
        """The value in whose cell a drawn x lies."""
        return x


class Dequantised(ChangeOfVariables):
    """Grey levels x = 2 k / (levels - 1) - 1, each spread over as much as is to the next."""

    bound = discrete = True

    def __init__(self, *, levels: int | None) -> None:
        super().__init__()
        if levels is None or levels < 2:
            raise ValueError(
                f"objective.levels={levels}: needs images with a number of grey levels; for other"
                " data write objective=change_of_variables"
            )
        self.levels, self.width = levels, 2 / (levels - 1)

    def spread(self, x: Tensor) -> Tensor:
        return x + self.width * (rand(x.shape, x.device) - 0.5)

    def log_volume(self, x: Tensor) -> float:
        return x[0].numel() * math.log(self.width)

    def settle(self, x: Tensor) -> Tensor:
        """The nearest level: beyond the outer ones, where no cell is, they are."""
        return ((x.clamp(-1, 1) + 1) / self.width).round() * self.width - 1


class DequantisedRows(ChangeOfVariables):
    """A table's rows: numbers as they are, a category's +1 and -1 spread over (0, 2) and (-2, 0).

    So a category's cell is where its own value alone is above 0; what is drawn is the category of
    the largest, which holds that cell (argmax flows, Hoogeboom et al. 2021, arXiv 2102.05379, with
    a uniform q). A density in the numbers, and a lower bound where there are categories.
    """

    at: Tensor

    def __init__(self, *, widths: Sequence[int]) -> None:
        super().__init__()
        self.blocks = Blocks(widths)
        self.bound = bool(self.blocks.categories)
        self.discrete = not self.blocks.numbers
        spans = [self.blocks.spans[i] for i in self.blocks.categories]
        hot = torch.tensor([i for s in spans for i in range(s.start, s.stop)], dtype=torch.long)
        self.register_buffer("at", hot, persistent=False)  # of the categories' values in x

    def spread(self, x: Tensor) -> Tensor:
        u = rand((len(x), len(self.at)), x.device)
        return x.index_copy(1, self.at, x[:, self.at] + 2 * u - 1)

    def log_volume(self, x: Tensor) -> float:
        return len(self.at) * math.log(2)

    def settle(self, x: Tensor) -> Tensor:
        return self.blocks.join(x[:, self.blocks.at], self.blocks.codes(x))
