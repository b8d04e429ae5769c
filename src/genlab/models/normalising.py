"""Normalising flows: x = f(z) for a net f that can be undone, trained on its exact likelihood.

Reading map
  network     nn/flow_nets.py (RealNVP, MAF, Glow), of the layers in nn/flows.py
  formula     objectives/change_of_variables.py; grey levels and categories are made continuous
  sampler     samplers/latent.py: Prior
  experiment  conf/experiment/toy2d_normalising_flow.yaml, digits_normalising_flow.yaml
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given, each
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions
from genlab.objectives.change_of_variables import ChangeOfVariables
from genlab.optim import Optim
from genlab.rng import Draws
from genlab.samplers.latent import Prior
from genlab.shapes import as_input


class NormalisingFlow(GenerativeModel):
    """z ~ N(0, I), x = net(z): Dinh et al. 2017 (arXiv 1605.08803).

    log_prob is exact, a density; of grey levels or categories a lower bound, with noise of torch's
    generator.
    """

    likelihood = "exact"
    CALIBRATED_ON = 1024  # examples

    def __init__(
        self,
        net: nn.Module,
        *,
        objective: ChangeOfVariables,
        sampler: Prior,
        shape: Sequence[int],
        conditions: Conditions | None = None,
        optim: Optim | None = None,
    ) -> None:
        """`net`: z [B, *shape], condition -> x, log |det dx/dz| [B]; `net.inverse` undoes it."""
        super().__init__(optim=optim)
        if not hasattr(net, "inverse"):
            raise ValueError(
                f"model.net: a {type(net).__name__} cannot be undone; write net=realnvp, maf or"
                " glow (images)"
            )
        if sampler.noise:
            raise ValueError(
                "sampler.noise=true: a flow's x follows from z, nothing is drawn beside it; write"
                " sampler.noise=false"
            )
        self.net, self.objective, self.sampler = net, objective, sampler
        self.shape, self.conditions = tuple(shape), conditions or Conditions()
        if objective.bound:
            self.likelihood = "bound"

    @property
    def discrete(self) -> bool:
        """Whether log_prob is a probability or a density: bits per dimension depend on it."""
        return self.objective.discrete

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch]) -> None:
        """The net's ActNorms begin with the first examples' means and deviations."""
        parts, seen = [], 0
        for batch in batches:
            parts.append((batch["x"], self.conditions.of(batch)))
            seen += len(batch["x"])
            if seen >= self.CALIBRATED_ON:
                break
        x, conds = zip(*parts)
        cond = each(lambda *rows: torch.cat(rows).to(self.device), *conds)
        x = self.objective.spread(torch.cat(x).to(self.device))
        self.net.start(x, self.conditions(cond))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """loss = -log p(x) in nats per example; its parts are in the objective."""
        return self.objective.loss(*self._undone(batch), batch["x"])

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x) in nats [B]: exact, or by one draw of the noise that spreads levels out."""
        return self.objective.log_prob(*self._undone(batch), batch["x"])

    def _undone(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """z [B, *shape] and log |det dz/dx| [B]."""
        cond = self.conditions(self.conditions.of(batch))
        z, log_det = self.net.inverse(self.objective.spread(batch["x"]), cond)
        return as_input(z, batch["x"]), log_det

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num examples: z from the prior, x = f(z), of levels the one in whose cell it lies.

        Where nothing is asked for, each example draws its own condition.
        """
        if given is not None:
            raise ValueError(
                "given: a normalising flow cannot fill in a part of x; a diffusion model can"
            )
        draws = Draws(seed, first, num, self.device)
        with self.drawing():
            z = self.sampler(draws, self.shape)
            cond = self.conditions.asked_or_drawn(cond, draws)
            return self.objective.settle(self.net(z, self.conditions(cond))[0])

    def encode(self, x: Tensor, cond: Asked = None) -> Tensor:
        """x [B, *shape] -> its z [B, *shape]; levels are not spread out."""
        with self.drawing():
            cond = self.conditions.asked(cond, len(x), self.device)
            return self.net.inverse(x, self.conditions(cond))[0]

    def decode(self, z: Tensor, cond: Asked = None) -> Tensor:
        """z [B, *shape] -> x [B, *shape], continuous: encode's inverse."""
        with self.drawing():
            cond = self.conditions.asked(cond, len(z), self.device)
            return self.net(z, self.conditions(cond))[0]

    def reconstruct(self, x: Tensor, cond: Asked = None) -> Tensor:
        """x [B, *shape] -> decode(encode(x)): x itself, as far as the net is inverted exactly."""
        return self.decode(self.encode(x, cond), cond)
