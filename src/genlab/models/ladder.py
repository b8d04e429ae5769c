"""The ladder VAE: several layers of latents, each drawn given those above it.

Reading map
  network     nn/ladder.py: ConvBottomUp and ConvTopDown, MLPBottomUp and MLPTopDown
  formula     objectives/ladder.py: LadderELBO; the likelihoods of objectives/variational.py;
              code_laws.py: which values are in use
  sampler     samplers/latent.py: Prior, between
  experiment  conf/experiment/fashion_ladder_vae.yaml
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given, each
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions
from genlab.objectives.code_laws import CodeLaws
from genlab.objectives.ladder import LadderELBO, Layer
from genlab.optim import Optim
from genlab.rng import Draws, randn
from genlab.samplers.latent import Prior, between
from genlab.shapes import as_input


class LadderVAE(GenerativeModel):
    """p(x | z) prod_l p(z_l | z_<l), top down; q(z_l | z_<l, x) goes down the same way.

    Sonderby et al. 2016 (arXiv 1602.02282), Child 2021 (arXiv 2011.10650). The way down is given
    standard normal noise for every layer and draws z_l = mean + sigma noise, by the posterior where
    the way up tells of an x, else by the prior. So that noise is a code of x as well: `encode`
    and `decode` know a flat one, [B, sum of all layers], whose prior is N(0, I).
    """

    likelihood = "bound"

    def __init__(
        self,
        bottom_up: nn.Module,
        top_down: nn.Module,
        *,
        objective: LadderELBO,
        sampler: Prior,
        shape: Sequence[int],
        conditions: Conditions | None = None,
        num_importance: int = 1,
        optim: Optim | None = None,
    ) -> None:
        """`bottom_up`: (x, cond) -> what the posteriors are told of x.

        `top_down`: (noise of each layer, cond, that or None) -> the parameters of p(x | z) and, of
        each layer, (z, prior, posterior); its `latent_shapes` are the layers', the top one first.
        `num_importance` draws of z per example in log_prob: more is a tighter bound.
        """
        super().__init__(optim=optim)
        if num_importance < 1:
            raise ValueError(f"model.num_importance={num_importance}: must be at least 1")
        self.bottom_up, self.top_down = bottom_up, top_down
        self.objective, self.sampler = objective, sampler
        self.shape = tuple(shape)
        self.latent_shapes = [tuple(s) for s in top_down.latent_shapes]
        self.latent_shape = (sum(map(math.prod, self.latent_shapes)),)
        self.conditions = conditions or Conditions()
        self.num_importance = num_importance

    @property
    def discrete(self) -> bool | None:
        """Whether log_prob is a probability or a density: bits per dimension depend on it."""
        return self.objective.likelihood.discrete

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """loss = reconstruction + beta kl, in nats per example; beta's warm-up is training's."""
        x, cond = batch["x"], self.conditions(self.conditions.of(batch))
        params, layers = self._inferred(x, cond, self.bottom_up(x, cond))
        seen = self.clock.examples if self.training else None
        return self.objective.loss(x, params, layers, seen=seen)

    def log_prob(self, batch: Batch) -> Tensor:
        """A lower bound in nats [B]: with num_importance = 1 the ELBO, its KLs in closed form.

        Else log 1/K sum_k p(x, z_k) / q(z_k | x), z_k ~ q: Burda et al. 2016 (arXiv 1509.00519),
        eq. 8. z is drawn from torch's generator; seed it for the same value again.
        """
        return self.log_prob_drawn(batch)[0]

    def log_prob_drawn(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """The variance is that of the log of a mean of K weights, to first order in 1 / K."""
        x, cond = batch["x"], self.conditions(self.conditions.of(batch))
        told = self.bottom_up(x, cond)
        if self.num_importance == 1:
            return self.objective.bound(x, *self._inferred(x, cond, told)), None
        log_w = torch.stack([
            self.objective.log_weight(x, *self._inferred(x, cond, told))
            for _ in range(self.num_importance)
        ])  # fmt: skip
        bound = log_w.logsumexp(0) - math.log(self.num_importance)
        return bound, (log_w - bound).exp().var(0) / self.num_importance

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num examples: z_l from its prior, top down, then p(x | z)'s mean, or a draw.

        The sampler's temperature and truncation are of every layer's noise. Where nothing is asked
        for, each example draws its own condition.
        """
        if given is not None:
            raise ValueError(
                "given: a ladder VAE cannot fill in a part of x; a diffusion model can"
            )
        draws = Draws(seed, first, num, self.device)
        with self.drawing():
            noise = self._layered(self.sampler(draws, self.latent_shape))
            cond = self.conditions.asked_or_drawn(cond, draws)
            params, _ = self.top_down(noise, self.conditions(cond))
            if self.sampler.noise:
                return self.objective.likelihood.sample(params, draws.rand(self.shape))
            return self.objective.likelihood.mean(params)

    def encode(self, x: Tensor, cond: Asked = None) -> Tensor:
        """x [B, *shape] -> its code [B, *latent_shape]: the posteriors' means, from the top down.

        Each as the noise by which the prior would draw it, (mean of q - mean of p) / sigma of p, so
        that decode(encode(x)) is the reconstruction and a mixture of codes is a draw like others.
        """
        with self.drawing():
            told = self.conditions(self.conditions.asked(cond, len(x), self.device))
            zero = self._layered(x.new_zeros(len(x), *self.latent_shape))
            _, layers = self.top_down(zero, told, self.bottom_up(x, told))
            noise = [(z - mean) * (-logvar / 2).exp() for z, (mean, logvar), _ in layers]
            return torch.cat([n.flatten(1) for n in noise], 1)

    def decode(self, z: Tensor, cond: Asked = None) -> Tensor:
        """Codes [B, *latent_shape] -> the mean of p(x | z) [B, *shape]."""
        with self.drawing():
            told = self.conditions(self.conditions.asked(cond, len(z), self.device))
            params, _ = self.top_down(self._layered(z), told)
            return self.objective.likelihood.mean(params)

    def reconstruct(self, x: Tensor, cond: Asked = None) -> Tensor:
        """x [B, *shape] -> decode(encode(x))."""
        return self.decode(self.encode(x, cond), cond)

    def code_laws(self, batch: Batch) -> CodeLaws:
        """Of the top layer, the first values of the flat code: the posterior seen from its prior.

        The layers below depend on it; their KL stands in the ledger (kl_2, ...).
        """
        with self.drawing():
            x, cond = batch["x"], self.conditions(self.conditions.of(batch))
            zero = self._layered(x.new_zeros(len(x), *self.latent_shape))
            _, layers = self.top_down(zero, cond, self.bottom_up(x, cond))
            _, (mean_p, logvar_p), (mean, logvar) = layers[0]
            mean, std = (mean - mean_p) * (-logvar_p / 2).exp(), ((logvar - logvar_p) / 2).exp()
            return CodeLaws(mean.flatten(1), std.flatten(1), True, "the top layer")

    def between(
        self, num: int, steps: int, cond: Asked = None, *, seed: int = 0, first: int = 0
    ) -> Tensor:
        """[num, steps, *shape]: from one sample's code to another's; GenerativeModel.between."""
        ends = [Draws(seed, first + low, num, self.device) for low in (0, num)]
        way = between(*(self.sampler(draws, self.latent_shape) for draws in ends), steps)
        cond = self.conditions.asked_or_drawn(cond, ends[0])
        cond = each(lambda rows: rows.repeat_interleave(steps, 0), cond)
        return self.decode(way.flatten(0, 1), cond).unflatten(0, (num, steps))

    def _inferred(
        self, x: Tensor, cond: Tensor | None, told: list[Tensor]
    ) -> tuple[Tensor, list[Layer]]:
        """The parameters of p(x | z) and the layers, z ~ q(z | x)."""
        noise = self._layered(randn((len(x), *self.latent_shape), x.device))
        params, layers = self.top_down(noise, cond, told)
        channels = self.objective.likelihood.outputs * x.shape[1]
        like = x.new_empty((len(x), channels, *x.shape[2:]), device="meta")
        return as_input(params, like, "top_down"), layers

    def _layered(self, z: Tensor) -> list[Tensor]:
        """[B, *latent_shape] -> each layer's, [B, ...]."""
        parts = z.split([math.prod(s) for s in self.latent_shapes], dim=1)
        return [part.unflatten(1, s) for part, s in zip(parts, self.latent_shapes, strict=True)]
