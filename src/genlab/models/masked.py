"""Masked diffusion: a sequence of gaps is filled, in any order; what is known can stand anywhere.

Reading map
  network     nn/bidirectional.py: (tokens with gaps, cond) -> logits at each place
  formula     objectives/masking.py: Masking
  sampler     samplers/masked.py: Ancestral, Surest
  experiment  conf/experiment/digits_masked.yaml
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions, known
from genlab.objectives.masking import Masking
from genlab.optim import Optim
from genlab.rng import Draws
from genlab.samplers.masked import Filling


class MaskedDiffusion(GenerativeModel):
    """Absorbing-state diffusion of tokens: Austin et al. 2021 (arXiv 2107.03006), MDLM's form."""

    likelihood = "bound"
    takes = "tokens"
    knows = "any"

    def __init__(
        self,
        net: nn.Module,
        *,
        objective: Masking,
        sampler: Filling,
        shape: Sequence[int],
        vocab: int,
        num_bound: int = 8,
        conditions: Conditions | None = None,
        optim: Optim | None = None,
    ) -> None:
        """`num_bound`: draws of gaps, of which a bound of log p(x) is the mean."""
        super().__init__(optim=optim)
        if vocab is None or len(shape) != 1:
            raise ValueError(
                f"data.vocab={vocab}, data.shape={list(shape)}: masked diffusion takes tokens [T];"
                " write data=shakespeare, or data=digits_pixels for images as tokens"
            )
        if num_bound < 1:
            raise ValueError(f"model.num_bound={num_bound}: must be at least 1")
        self.net, self.objective, self.sampler = net, objective, sampler
        self.shape, self.vocab, self.num_bound = tuple(shape), vocab, num_bound
        self.conditions = conditions or Conditions()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Nats per token, a bound in the mean over gaps; examples of other lengths as weighed."""
        loss = self._nats(batch)
        return {"loss": loss * batch["weight"] if "weight" in batch else loss}

    def log_prob(self, batch: Batch) -> Tensor:
        return self.log_prob_drawn(batch)[0]

    def log_prob_drawn(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """A lower bound of log p(x) in nats [B], the mean of `num_bound` draws, and its variance.

        Gaps are drawn from torch's generator; seed it for the same value again.
        """
        x, mask = batch["x"], batch.get("mask")
        length = x.new_full((len(x),), x.shape[1]) if mask is None else mask.sum(1)
        each = torch.stack([-self._nats(batch) * length for _ in range(self.num_bound)])
        variance = each.var(0) / self.num_bound if self.num_bound > 1 else None
        return each.mean(0), variance

    def _nats(self, batch: Batch) -> Tensor:
        x = batch["x"]
        gaps = self.objective.gaps(x, batch.get("mask"))
        cond = self.conditions(self.conditions.of(batch))
        return self.objective.loss(self.net(x.masked_fill(gaps, self.vocab), cond), x, gaps)

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num sequences [num, T]; `given`: tokens that are known, anywhere.

        Where nothing is asked for, each example draws its own condition.
        """
        draws = Draws(seed, first, num, self.device)
        tokens = torch.full((num, *self.shape), self.vocab, device=self.device)
        if given is not None:
            x, mask = known(given, num, self.device)
            self._check(x, mask)
            tokens[:, : x.shape[1]] = torch.where(mask, x, self.vocab)
        with self.drawing():
            cond = self.conditions(self.conditions.asked_or_drawn(cond, draws))
            return self.sampler(lambda t: self.net(t, cond), tokens, self.vocab, draws)

    def _check(self, x: Tensor, mask: Tensor) -> None:
        if x.shape[1] > self.shape[0]:
            raise ValueError(f"given.x has {x.shape[1]} tokens: the model's are {self.shape[0]}")
        if mask.any() and not 0 <= int(x[mask].min()) <= int(x[mask].max()) < self.vocab:
            raise ValueError(
                f"given.x has tokens from {int(x[mask].min())} to {int(x[mask].max())}: must lie"
                f" in 0 to {self.vocab - 1}"
            )
