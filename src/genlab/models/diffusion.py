"""Diffusion and flow matching: noise is turned into data step by step.

Reading map
  network     nn/unet.py, nn/dit.py, nn/mlp.py: net(x, t, cond), t a number of order 1
  formula     objectives/diffusion.py: EDM, DDPM; Flow, which makes this flow matching
  sampler     samplers/diffusion.py and samplers/guidance.py
  experiment  conf/experiment/digits_diffusion.yaml, digits_flow_matching.yaml
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions, known
from genlab.objectives.diffusion import NetFn, Path
from genlab.objectives.noise_levels import NoiseErrors, denoised
from genlab.optim import Optim
from genlab.rng import Draws, rand
from genlab.samplers.diffusion import Solver
from genlab.samplers.edit import from_level, from_noise, to_noise, undone
from genlab.samplers.few_steps import refuse
from genlab.samplers.guidance import by_weaker, classifier_free
from genlab.samplers.latent import between
from genlab.samplers.likelihood import log_density
from genlab.samplers.schedules import levels
from genlab.shapes import as_input


class Diffusion(GenerativeModel):
    """A network that denoises, a path from data to noise, and a solver that walks it back."""

    knows = "any"

    def __init__(
        self,
        net: nn.Module,
        *,
        objective: Path,
        sampler: Solver,
        shape: Sequence[int],
        conditions: Conditions | None = None,
        drop_cond: float = 0.1,
        optim: Optim | None = None,
    ) -> None:
        """`drop_cond`: how often training hides the condition; guidance needs it (CFG, alg. 1)."""
        super().__init__(optim=optim)
        if not 0 <= drop_cond <= 1:
            raise ValueError(f"model.drop_cond={drop_cond}: must lie between 0 and 1")
        self.conditions = conditions or Conditions()
        if not self.conditions.some and sampler.guidance != 1:
            warnings.warn(
                f"sampler.guidance={sampler.guidance} has no effect: the model has no conditions"
                " (nor has a weaker model been named that it could be guided by)",
                stacklevel=2,
            )
        if self.conditions.some and getattr(objective, "unconditional", False):
            raise ValueError(
                f"objective: {type(objective).__name__} knows no conditions; write conditions=none"
            )
        refuse(sampler, objective)
        if not torch.empty(0).is_meta:  # of shapes alone there are no levels
            levels(sampler.schedule, objective, sampler.num_steps)  # refused now, not when drawing
        self.net, self.objective, self.sampler = net, objective, sampler
        self.shape, self.drop_cond = tuple(shape), drop_cond
        self.weaker: Diffusion | None = None  # what it is guided by: guide_by

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x, cond = batch["x"], self.conditions.of(batch)
        cond = self.conditions(self.conditions.hidden(cond, self.drop_cond if self.training else 0))
        seen = self.clock.examples if self.training else None
        net_fn = lambda x, t: as_input(self.net(x, t, cond), x)  # noqa: E731
        return {"loss": self.objective.loss(net_fn, x, seen)}

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num examples; where nothing is asked for, each draws its own condition.

        `sampler.guidance` = 0 draws from the model of no condition.

        What is given is put in at each noise level, noised to it (Song et al. 2021, appendix I.2);
        `sampler.resample` > 1 tries each step more than once, so that the rest agrees with it.
        """
        draws = Draws(seed, first, num, self.device)
        after = None if given is None else self._inpaint(given, draws)
        with self.drawing():
            path, net_fn = self._guided(self.conditions.asked_or_drawn(cond, draws))
            return self.sampler(path, net_fn, draws, self.shape, after)

    def guide_by(self, weaker: Diffusion) -> None:
        """From now on `sampler.guidance` goes away from `weaker`, not from no condition.

        Autoguidance (Karras et al. 2024, arXiv 2406.02507): a model of the same data, conditions
        and noise levels that has learnt less.
        """
        one = torch.ones((), dtype=torch.float64)
        mine, other = (float(m.objective.at_ratio(one)) for m in (self, weaker))
        if self.shape != weaker.shape or mine != other:
            raise ValueError(
                f"weaker: its examples are {list(weaker.shape)} and its noise is the data's at"
                f" {other:.4g}; the model's are {list(self.shape)} and {mine:.4g}"
            )
        self.weaker = weaker.to(self.device)

    def _guided(self, cond: Asked) -> tuple[Path, NetFn]:
        """The path and the network that a sampler is given, under these conditions."""
        mine = self.conditions(cond)
        if self.weaker is None:
            none = self.conditions(self.conditions.none(cond))
            return classifier_free(self.objective, self.net, mine, none, self.sampler.guiding)
        theirs, weaker = self.weaker.conditions(cond), self.weaker
        return by_weaker(
            self.objective,
            lambda x, t: self.net(x, t, mine),
            weaker.objective,
            lambda x, t: weaker.net(x, t, theirs),
            self.sampler.guiding,
        )

    def between(
        self, num: int, steps: int, cond: Asked = None, *, seed: int = 0, first: int = 0
    ) -> Tensor:
        """[num, steps, *shape]: ways through the noise; GenerativeModel.between says which.

        What a stochastic sampler draws later is the same all along a way.
        """
        starts = [Draws(seed, first + low, num, self.device) for low in (0, num)]
        cond = self.conditions.asked_or_drawn(cond, starts[0])
        way = between(*(draws.randn(self.shape) for draws in starts), steps)
        shown = [self.decode(eps, cond, seed=seed, first=first) for eps in way.unbind(1)]
        return torch.stack(shown, 1)

    def decode(self, eps: Tensor, cond: Asked = None, *, seed: int = 0, first: int = 0) -> Tensor:
        """Noise eps [B, *shape] -> the sample that the sampler makes of it [B, *shape]."""
        return self._drawn(from_noise, eps, cond, seed, first)

    def vary(
        self, x: Tensor, level: float, cond: Asked = None, *, seed: int = 0, first: int = 0
    ) -> Tensor:
        """x [B, *shape] noised to sigma / alpha = `level` and drawn anew from there [B, *shape]."""
        return self._drawn(from_level, x, cond, seed, first, level)

    def invert(self, x: Tensor, cond: Asked = None, *, num_steps: int | None = None) -> Tensor:
        """x [B, *shape] -> the noise that `decode` makes into it.

        The sampler's own steps are undone, up to fifty evaluations each: steps that draw no noise
        and look back at none. With `num_steps` the ODE is walked up, by 4 evaluations a step: as
        near as the sampler of `decode` keeps to it.
        """
        with self.drawing():
            path, net_fn = self._guided(self.conditions.asked(cond, len(x), self.device))
            if num_steps is None:
                return undone(self.sampler, path, net_fn, x)
            return to_noise(path, net_fn, x, num_steps=num_steps)

    def _drawn(
        self,
        way: Callable[..., Tensor],
        x: Tensor,
        cond: Asked,
        seed: int,
        first: int,
        *more: float,
    ) -> Tensor:
        draws = Draws(seed, first, len(x), self.device)
        draws.randn(self.shape)  # a sample's own start, so that what is drawn later is alike
        with self.drawing():
            path, net_fn = self._guided(self.conditions.asked_or_drawn(cond, draws))
            return way(self.sampler, path, net_fn, draws, x, *more)

    def noise_errors(self, batch: Batch) -> NoiseErrors | None:
        """Given the batch's conditions; None of an objective that is no denoiser's."""
        cond = self.conditions(self.conditions.of(batch))
        return denoised(self.objective, lambda x, t: self.net(x, t, cond), batch["x"])

    def log_density(
        self, batch: Batch, *, num_steps: int, probes: int | None
    ) -> tuple[Tensor, Tensor | None]:
        """log p(x) in nats [B] by the probability-flow ODE, and its variance by the probes [B].

        Given the batch's conditions, without guidance; the probes are torch's generator's.
        """
        with self.drawing():
            cond = self.conditions(self.conditions.of(batch))
            return log_density(
                self.objective,
                lambda x, t: self.net(x, t, cond),
                batch["x"],
                num_steps=num_steps,
                probes=probes,
                rand=lambda shape: rand(shape, self.device),
            )

    def _inpaint(self, given: Given, draws: Draws):
        x0, mask = known(given, len(draws.generators), self.device)
        if x0.shape[1:] != self.shape:
            raise ValueError(
                f"given.x has examples of shape {list(x0.shape[1:])}: the model's are "
                f"{list(self.shape)}"
            )

        def after(x: Tensor, t: float) -> Tensor:
            # at t = 0 nothing is added, so that what is given comes back to the last bit
            known_t = x0 if t == 0 else self.objective.noised(x0, draws.randn(self.shape), t)
            return torch.where(mask, known_t.to(x), x)

        return after
