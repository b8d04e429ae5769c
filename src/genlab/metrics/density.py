"""The likelihood of a diffusion or flow model, by its probability-flow ODE: dear, so by itself."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from genlab.batch import Batch
from genlab.metrics.held_out import HeldOut
from genlab.metrics.report import Data, Model, Report


class Density:
    """A model that has a density, by its `log_density`; all else is its own."""

    likelihood, discrete = "exact", False

    def __init__(self, model: Any, **settings: int | None) -> None:
        self.model, self.log_prob_drawn = model, partial(model.log_density, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def log_prob(self, batch: Batch) -> Tensor:
        return self.log_prob_drawn(batch)[0]


class OdeLikelihood(HeldOut):
    """Loss and likelihood of held-out examples: Song et al. 2021 (arXiv 2011.13456), section 4.3.

    Nats of the density; of grey levels, to which noise of a level's width is added, a bound of
    their bits. `importance_error` beside it is what the probes alone move the figure by.
    """

    def __init__(
        self, *, num_steps: int = 25, probes: int | None = 2, chunk: int = 50,
        likelihood_examples: int | None = 500,
    ) -> None:  # fmt: skip
        """Steps of order 4 and probes of the divergence, null: exactly (samplers/likelihood.py)."""
        super().__init__(chunk=chunk, likelihood_examples=likelihood_examples)
        for key, value in (("num_steps", num_steps), ("probes", probes)):
            if value is not None and value < 1:
                raise ValueError(f"metric.{key}={value}: must be at least 1")
        self.num_steps, self.probes = num_steps, probes

    def likelihood(self, report: Report, model: Model, data: Data, seed: int) -> None:
        if not hasattr(model, "log_density"):
            raise ValueError(
                f"metric=ode_likelihood: a {type(model).__name__} has no ODE; its likelihood, if it"
                " has one, is metric=likelihood"
            )
        it: Any = Density(model, num_steps=self.num_steps, probes=self.probes)
        super().likelihood(report, it, data, seed)
