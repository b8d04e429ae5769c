"""The variational autoencoder: data is decoded from a latent code, which an encoder infers.

Reading map
  network     nn/conv.py (ConvEncoder, ConvDecoder), nn/mlp.py (MLPEncoder, MLPDecoder),
              nn/codec.py (ConvGaussianEncoder, ConvCodecDecoder: the latent is a map)
  formula     objectives/variational.py: ELBO, and the likelihoods p(x | z); bounds.py: others;
              posteriors.py: q(z | x); priors.py: p(z); code_laws.py: which values are in use
  sampler     samplers/latent.py: Prior, between
  experiment  conf/experiment/digits_vae.yaml, fashion_kl_vae.yaml (a codec)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given, each
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions
from genlab.objectives.code_laws import CodeLaws
from genlab.objectives.posteriors import Diagonal, Normal
from genlab.objectives.priors import LatentPrior, StandardNormal
from genlab.objectives.variational import Bound, Coded
from genlab.optim import Optim
from genlab.rng import Draws
from genlab.samplers.latent import Prior, between
from genlab.shapes import as_input


class VAE(GenerativeModel):
    """Encoder q(z | x), decoder p(x | z) and a prior p(z): Kingma & Welling 2013.

    With `latent_shape` a map [c, h, w] it serves as a codec (models/latent.py).
    """

    likelihood = "bound"
    latent_vocab = None  # latents are values

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        objective: Bound,
        sampler: Prior,
        shape: Sequence[int],
        latent_shape: Sequence[int],
        conditions: Conditions | None = None,
        posterior: nn.Module | None = None,
        prior: LatentPrior | None = None,
        num_importance: int = 1,
        optim: Optim | None = None,
    ) -> None:
        """`num_importance` draws of z per example in log_prob: more is a tighter bound.

        Without another `posterior` and `prior` both laws are normal ones of independent values.
        """
        super().__init__(optim=optim)
        if num_importance < 1:
            raise ValueError(f"model.num_importance={num_importance}: must be at least 1")
        self.encoder, self.decoder = encoder, decoder
        self.objective, self.sampler = objective, sampler
        self.shape, self.latent_shape = tuple(shape), tuple(latent_shape)
        self.conditions = conditions or Conditions()
        self.posterior, self.prior = posterior or Diagonal(), prior or StandardNormal()
        if self.conditions.some and not self.prior.conditional:
            raise ValueError(
                f"model.prior: a {type(self.prior).__name__} is of no class; write conditions=none"
            )
        self.num_importance = num_importance

    @property
    def discrete(self) -> bool | None:
        """Whether log_prob is a probability or a density: bits per dimension depend on it."""
        return self.objective.likelihood.discrete

    def calibrate(self, batches: Iterable[Batch]) -> None:
        self.prior.begin(batches)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The objective's terms; of the ELBO reconstruction + beta kl, in nats per example."""
        return self.objective.loss(
            self._coded(batch, self.clock.examples if self.training else None)
        )

    def log_prob(self, batch: Batch) -> Tensor:
        """A lower bound in nats [B]: with num_importance = 1 the ELBO, its KL in closed form if any

        Else log 1/K sum_k p(x, z_k) / q(z_k | x), z_k ~ q: Burda et al. 2016 (arXiv 1509.00519),
        eq. 8. z is drawn from torch's generator; seed it for the same value again.
        """
        return self.log_prob_drawn(batch)[0]

    def log_prob_drawn(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """The variance is that of the log of a mean of K weights, to first order in 1 / K."""
        it = self._coded(batch)
        if self.num_importance == 1:
            z = it.q.draw()
            return self.objective.likelihood.log_prob(it.x, it.decode(z)) - it.kl(z), None
        log_w = torch.stack([self.objective.log_weight(it) for _ in range(self.num_importance)])
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
        """Draw num examples: z from the prior, then p(x | z)'s mean, or a draw (sampler.noise).

        Where nothing is asked for, each example draws its own condition.
        """
        if given is not None:
            raise ValueError("given: a VAE cannot fill in a part of x; a diffusion model can")
        draws = Draws(seed, first, num, self.device)
        with self.drawing():
            noise = self.sampler(draws, self.latent_shape)
            z = self.prior.draw(noise, draws, self._infer)
            cond = self.conditions.asked_or_drawn(cond, draws)
            params = self.decoder(z, self.conditions(cond))
            if self.sampler.noise:
                return self.objective.likelihood.sample(params, draws.rand(self.shape))
            return self.objective.likelihood.mean(params)

    def encode(self, x: Tensor, cond: Asked = None) -> Tensor:
        """x [B, *shape] -> the middle of q(z | x), of a normal law its mean [B, *latent_shape]."""
        with self.drawing():
            cond = self.conditions.asked(cond, len(x), self.device)
            return self.posterior(*self.encoder(x, self.conditions(cond))).middle()

    def decode(self, z: Tensor, cond: Asked = None) -> Tensor:
        """z [B, *latent_shape] -> the mean of p(x | z) [B, *shape]."""
        with self.drawing():
            cond = self.conditions.asked(cond, len(z), self.device)
            return self.objective.likelihood.mean(self.decoder(z, self.conditions(cond)))

    def reconstruct(self, x: Tensor, cond: Asked = None) -> Tensor:
        """x [B, *shape] -> decode(encode(x))."""
        return self.decode(self.encode(x, cond), cond)

    def code_laws(self, batch: Batch) -> CodeLaws | None:
        """Of each value of z; None of a bent posterior, whose values have no law of their own."""
        with self.drawing():
            mean, logvar = self.encoder(batch["x"], self.conditions(self.conditions.of(batch)))
            if not isinstance(q := self.posterior(mean.float(), logvar.float()), Normal):
                return None
            std = (q.logvar / 2).exp().flatten(1)
            return CodeLaws(q.mean.flatten(1), std, self.prior.standard)

    def between(
        self, num: int, steps: int, cond: Asked = None, *, seed: int = 0, first: int = 0
    ) -> Tensor:
        """[num, steps, *shape]: from one sample to another; GenerativeModel.between says which."""
        ends = [Draws(seed, first + low, num, self.device) for low in (0, num)]
        with self.drawing():
            z = [
                self.prior.draw(self.sampler(draws, self.latent_shape), draws, self._infer)
                for draws in ends
            ]
        cond = self.conditions.asked_or_drawn(cond, ends[0])
        cond = each(lambda rows: rows.repeat_interleave(steps, 0), cond)
        way = between(*z, steps).flatten(0, 1)
        return self.decode(way, cond).unflatten(0, (num, steps))

    def _infer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.encoder(x, None)
        return mean.float(), logvar.float()

    def _coded(self, batch: Batch, seen: int | None = None) -> Coded:
        """The batch, encoded; `decode` takes any number of draws of it, one after another."""
        x, cond = batch["x"], self.conditions(self.conditions.of(batch))
        mean, logvar = self.encoder(x, cond)
        channels = self.objective.likelihood.outputs * x.shape[1]

        def decode(z: Tensor) -> Tensor:
            num = len(z) // len(x)
            own = each(lambda c: c.repeat(num, *[1] * (c.ndim - 1)), cond) if num > 1 else cond
            like = x.new_empty((len(z), channels, *x.shape[2:]), device="meta")
            return as_input(self.decoder(z, own), like, "decoder")

        q = self.posterior(mean.float(), logvar.float())
        return Coded(x, q, self.prior, decode, self._infer, seen)
