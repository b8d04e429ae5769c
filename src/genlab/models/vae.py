"""The variational autoencoder: data is decoded from a latent code, which an encoder infers.

Reading map
  network     nn/conv.py (ConvEncoder, ConvDecoder), nn/mlp.py (MLPEncoder, MLPDecoder),
              nn/codec.py (ConvGaussianEncoder, ConvCodecDecoder: the latent is a map)
  formula     objectives/variational.py: ELBO, and the likelihoods p(x | z)
  sampler     samplers/latent.py: Prior, between
  experiment  conf/experiment/digits_vae.yaml, fashion_kl_vae.yaml (a codec)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given, each
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions
from genlab.objectives.variational import ELBO
from genlab.optim import Optim
from genlab.rng import Draws, randn_like
from genlab.samplers.latent import Prior, between
from genlab.shapes import as_input


class VAE(GenerativeModel):
    """Encoder q(z | x), decoder p(x | z) and a normal prior: Kingma & Welling 2013.

    With `latent_shape` a map [c, h, w] it serves as a codec (models/latent.py).
    """

    likelihood = "bound"
    latent_vocab = None  # latents are values

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        objective: ELBO,
        sampler: Prior,
        shape: Sequence[int],
        latent_shape: Sequence[int],
        conditions: Conditions | None = None,
        num_importance: int = 1,
        optim: Optim | None = None,
    ) -> None:
        """`num_importance` draws of z per example in log_prob: more is a tighter bound."""
        super().__init__(optim=optim)
        if num_importance < 1:
            raise ValueError(f"model.num_importance={num_importance}: must be at least 1")
        self.encoder, self.decoder = encoder, decoder
        self.objective, self.sampler = objective, sampler
        self.shape, self.latent_shape = tuple(shape), tuple(latent_shape)
        self.conditions = conditions or Conditions()
        self.num_importance = num_importance

    @property
    def discrete(self) -> bool | None:
        """Whether log_prob is a probability or a density: bits per dimension depend on it."""
        return self.objective.likelihood.discrete

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """loss = reconstruction + beta kl, in nats per example."""
        x, cond = batch["x"], self.conditions(self.conditions.of(batch))
        mean, logvar = self._posterior(x, cond)
        params = as_input(self.decoder(_reparameterised(mean, logvar), cond), x, "decoder")
        return self.objective.loss(x, params, mean, logvar)

    def log_prob(self, batch: Batch) -> Tensor:
        """A lower bound in nats [B]: with num_importance = 1 the ELBO, its KL in closed form.

        Else log 1/K sum_k p(x, z_k) / q(z_k | x), z_k ~ q: Burda et al. 2016 (arXiv 1509.00519),
        eq. 8. z is drawn from torch's generator; seed it for the same value again.
        """
        x, cond = batch["x"], self.conditions(self.conditions.of(batch))
        mean, logvar = self._posterior(x, cond)
        if self.num_importance == 1:
            params = self.decoder(_reparameterised(mean, logvar), cond)
            likelihood = self.objective.likelihood
            return likelihood.log_prob(x, params) - self.objective.kl(mean, logvar)
        weights = []
        for _ in range(self.num_importance):
            z = _reparameterised(mean, logvar)
            params = self.decoder(z, cond)
            weights.append(self.objective.log_weight(x, params, z, mean, logvar))
        return torch.stack(weights).logsumexp(0) - math.log(self.num_importance)

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
            z = self.sampler(draws, self.latent_shape)
            cond = self.conditions.asked_or_drawn(cond, draws)
            params = self.decoder(z, self.conditions(cond))
            if self.sampler.noise:
                return self.objective.likelihood.sample(params, draws.rand(self.shape))
            return self.objective.likelihood.mean(params)

    def encode(self, x: Tensor, cond: Asked = None) -> Tensor:
        """x [B, *shape] -> the mean of q(z | x) [B, *latent_shape]."""
        with self.drawing():
            cond = self.conditions.asked(cond, len(x), self.device)
            return self.encoder(x, self.conditions(cond))[0]

    def decode(self, z: Tensor, cond: Asked = None) -> Tensor:
        """z [B, *latent_shape] -> the mean of p(x | z) [B, *shape]."""
        with self.drawing():
            cond = self.conditions.asked(cond, len(z), self.device)
            return self.objective.likelihood.mean(self.decoder(z, self.conditions(cond)))

    def between(
        self, num: int, steps: int, cond: Asked = None, *, seed: int = 0, first: int = 0
    ) -> Tensor:
        """[num, steps, *shape]: from one sample to another; GenerativeModel.between says which."""
        ends = [Draws(seed, first + low, num, self.device) for low in (0, num)]
        z = between(*(self.sampler(draws, self.latent_shape) for draws in ends), steps)
        cond = self.conditions.asked_or_drawn(cond, ends[0])
        cond = each(lambda rows: rows.repeat_interleave(steps, 0), cond)
        return self.decode(z.flatten(0, 1), cond).unflatten(0, (num, steps))

    def _posterior(self, x: Tensor, cond: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, logvar = self.encoder(x, cond)
        return mean.float(), logvar.float()


def _reparameterised(mean: Tensor, logvar: Tensor) -> Tensor:
    """z = mean + sigma eps (Kingma & Welling 2013, section 2.4)."""
    return mean + (logvar / 2).exp() * randn_like(mean)
