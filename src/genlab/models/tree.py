"""Trees over a table's columns: learned by counting, in one pass, with an exact likelihood.

Reading map
  network     none: counts of codes, and of two codes in one row
  formula     objectives/trees.py: ChowLiu
  sampler     none: draws go down the tree, given what is known exactly
  experiment  conf/experiment/nltcs_tree.yaml, adult_independent.yaml (no edges)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.batch import Asked, Batch, Given
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions, known
from genlab.objectives.trees import ChowLiu
from genlab.optim import Optim
from genlab.rng import Draws


class CountedTree(GenerativeModel):
    """The Chow-Liu tree of the rows seen so far; a step counts its batch, and no rate applies.

    A row that is seen twice counts twice: one pass over the data is budget.examples as many rows as
    there are, in batches that divide them, or whole passes.
    """

    likelihood = "exact"
    steps_itself = True
    shards = False

    def __init__(
        self, *, objective: ChowLiu, shape: Sequence[int], optim: Optim | None = None
    ) -> None:
        """`optim` is none: no rate applies to counts."""
        if optim is not None:
            raise ValueError("model.optim: a tree is learned by counting; write optim=null")
        super().__init__()
        self.automatic_optimization = False
        self.objective, self.shape, self.conditions = objective, tuple(shape), Conditions()
        # whole numbers, which no averaging of weights touches
        self.register_buffer("counts", torch.zeros(objective.shape, dtype=torch.long))

    @property
    def discrete(self) -> bool:
        """Whether log_prob is a probability: there are no numbers."""
        return not self.objective.coding.blocks.numbers

    def setup(self, stage: str) -> None:
        if self.trainer.world_size > 1:
            raise ValueError(
                f"trainer.devices={self.trainer.world_size}: a tree is counted by one process;"
                " write trainer.devices=1"
            )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One that moves nothing: Lightning counts a step where an optimiser takes it."""
        return torch.optim.SGD([torch.zeros(1)], lr=0.0)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss is of the tree of the batches before."""
        terms = self.loss(batch)
        self.record(terms)
        self.count(batch["x"])
        self.optimizers().step()
        self.tick(batch, batch_idx)
        return terms["loss"].mean()

    def count(self, x: Tensor) -> None:
        """Learn the rows x [B, W]."""
        self.counts += self.objective.counts(x)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """-log p in nats."""
        return {"loss": -self.log_prob(batch)}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x) in nats [B], exactly: a density in the numbers."""
        x, coding = batch["x"].float().cpu(), self.objective.coding
        log_p = self.objective.fit(self.counts).log_prob(coding.read(x)) + coding.log_place(x)
        return log_p.float().to(batch["x"].device)

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
        draws, coding = Draws(seed, first, num), self.objective.coding
        self.conditions.asked_or_drawn(cond, draws)  # there are none, which it says
        width = sum(coding.blocks.widths)
        x, mask = known(given or _nothing(num, width), num, "cpu")
        u = draws.rand((2, len(coding.sizes)))
        with self.drawing():
            tree = self.objective.fit(self.counts)
            codes = tree.sample(u[:, 0].double(), coding.read(x.float()), coding.blocks.known(mask))
            return torch.where(mask, x, coding.write(codes, u[:, 1])).to(self.device)


def _nothing(num: int, width: int) -> Given:
    """Of no row is anything known."""
    return Given(x=torch.zeros(num, width), mask=torch.zeros(num, width, dtype=torch.bool))
