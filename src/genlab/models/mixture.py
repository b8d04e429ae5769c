"""Mixtures: a row is of one of K components, in which its columns are independent.

Reading map
  network     none: the components' laws are the parameters
  formula     objectives/columns.py: Components; p(x) = sum_k w_k prod_i p_k(x_i), exactly
  sampler     none: a component, then its columns; with known columns its posterior, exactly
  experiment  conf/experiment/adult_mixture.yaml
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions, known
from genlab.objectives.columns import Components, pick
from genlab.optim import Optim
from genlab.rng import Draws


class Mixture(GenerativeModel):
    """p(x) = sum_k w_k p(x | k), trained on its exact likelihood by gradient.

    Scassola, Ponsford et al. 2026 (arXiv 2603.23016) call it a shallow mixture; of one component it
    is independent columns.
    """

    likelihood = "exact"

    def __init__(
        self, *, objective: Components, shape: Sequence[int], optim: Optim | None = None
    ) -> None:
        super().__init__(optim=optim)
        self.objective, self.shape, self.conditions = objective, tuple(shape), Conditions()
        self.weights = nn.Parameter(torch.zeros(objective.num))

    @property
    def discrete(self) -> bool:
        return self.objective.discrete

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Each component begins at a training row."""
        rows, there = [], 0
        for batch in batches:
            rows.append(batch["x"])
            there += len(batch["x"])
            if there >= self.objective.num:
                break
        self.objective.place(torch.cat(rows)[: self.objective.num].to(self.device))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """-log p in nats."""
        return {"loss": -self.log_prob(batch)}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x) in nats [B], exactly: a density in the numbers."""
        return self._joint(batch["x"]).logsumexp(1)

    def _joint(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """log w_k p(the known columns of x | k) [B, K]."""
        return self.weights.log_softmax(0) + self.objective.log_prob(x, known)

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num rows; with `given` from the exact law of the other columns."""
        draws, blocks = Draws(seed, first, num, self.device), self.objective.blocks
        self.conditions.asked_or_drawn(cond, draws)  # there are none, which it says
        u = draws.rand((1 + len(blocks.widths),))
        with self.drawing():
            if given is None:
                p = self.weights.softmax(0).expand(num, -1)
                return self.objective.sample(pick(p.double(), u[:, 0].double()), u[:, 1:])
            x, mask = known(given, num, self.device)
            p = self._joint(x, blocks.known(mask)).softmax(1)
            drawn = self.objective.sample(pick(p.double(), u[:, 0].double()), u[:, 1:])
            return torch.where(mask, x, drawn)
