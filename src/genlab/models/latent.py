"""A model of latents: a trained codec that stays fixed, and a prior that learns its space.

Reading map
  codec       models/vae.py (a map of values), models/vqvae.py (codes): encode(x), decode(z),
              latent_shape (of one example), latent_vocab (None where latents are values)
  prior       any family of one loss: latent diffusion (Rombach et al. 2022, arXiv 2112.10752) is
              a VAE with models/diffusion.py, VQ + transformer (van den Oord et al. 2017) a VQVAE
              with models/autoregressive.py
  sampler     the prior's
  experiment  conf/experiment/fashion_latent_diffusion.yaml, fashion_vq_gpt.yaml,
              captioned_codes.yaml
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from genlab.batch import Asked, Batch, Given
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions
from genlab.objectives.noise_levels import NoiseErrors
from genlab.optim import Optim


class Latent(GenerativeModel):
    """p(x): z from the prior, x = decode(z). Only the prior learns.

    Latents that are values are shown to the prior with unit standard deviation (Rombach et al.
    2022, appendix G: one number, from the first examples); `calibrate` measures it.
    """

    CALIBRATED_ON = 1024  # examples

    def __init__(
        self,
        codec: GenerativeModel,
        prior: GenerativeModel,
        *,
        keep: bool = True,
        optim: Optim | None = None,
    ) -> None:
        """`keep`: the latents of training examples are made once, and read from a file then."""
        super().__init__(optim=optim)
        if prior.steps_itself:
            raise ValueError(
                f"model.prior: a {type(prior).__name__} steps by itself; a prior of latents is a"
                " model of one loss: diffusion, flow_matching, autoregressive, vae"
            )
        if codec.conditions.some:
            raise ValueError(
                "model.codec was trained with conditions, which its latents do not tell of: train"
                " it with conditions=none"
            )
        if tuple(codec.latent_shape) != tuple(prior.shape):
            raise ValueError(
                f"model.prior.shape={list(prior.shape)}: the codec's latents are"
                f" {list(codec.latent_shape)}"
            )
        self.codec, self.prior, self.keep = codec.requires_grad_(False).eval(), prior, keep
        if codec.latent_vocab is not None and prior.likelihood != "none":
            self.likelihood = "bound"  # by one z among all
        self.register_buffer("latent_std", torch.ones(()))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.codec.shape

    @property
    def conditions(self) -> Conditions:
        return self.prior.conditions

    @property
    def sampler(self) -> Any:
        return self.prior.sampler

    @property
    def discrete(self) -> bool | None:
        """Whether log_prob is a probability or a density: bits per dimension depend on it."""
        return self.codec.discrete

    def train(self, mode: bool = True) -> Latent:
        """The prior's mode; the codec never leaves evaluation, so that its buffers stay."""
        super().train(mode)
        self.codec.eval()
        return self

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Measure the latents' standard deviation over the first examples of `batches`."""
        if self.codec.latent_vocab is not None:
            return
        z, seen = [], 0
        for batch in batches:
            z.append(self.codec.encode(batch["x"].to(self.device)))
            seen += len(z[-1])
            if seen >= self.CALIBRATED_ON:
                break
        std = torch.cat(z).double().std()
        if not std > 0:
            raise ValueError("model.codec: its latents do not vary; train it before a prior")
        self.latent_std.copy_(std)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The prior's terms, on the latents of x; a mask or a start of x's has no place there."""
        return self.prior.loss(self._latents(batch))

    def noise_errors(self, batch: Batch) -> NoiseErrors | None:
        return self.prior.noise_errors(self._latents(batch))

    def log_prob(self, batch: Batch) -> Tensor:
        """Of codes: log p(x | z) + log p(z) for the z that encodes x, in nats [B].

        A lower bound, for log p(x) sums over all z. Of values there is none.
        """
        if self.likelihood == "none":
            return super().log_prob(batch)
        latents = self._latents(batch)
        given_z = self.codec.log_prob_given(batch["x"], latents["x"])
        return given_z + self.prior.log_prob(latents)

    def _latents(self, batch: Batch) -> Batch:
        z = batch["z"] if "z" in batch else self.codec.encode(batch["x"])
        latents: Batch = {"x": self._scaled(z)}
        if "cond" in batch:
            latents["cond"] = batch["cond"]
        return latents

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num examples: the prior's latents, decoded."""
        if given is not None:
            raise ValueError("given: a model of latents cannot fill in a part of x")
        return self.decode(self.prior.sample(num, cond, seed=seed, first=first))

    def vary(
        self, x: Tensor, level: float, cond: Asked = None, *, seed: int = 0, first: int = 0
    ) -> Tensor:
        """Image to image in the codec's space: models/diffusion.py."""
        if not hasattr(self.prior, "vary"):
            raise ValueError(f"level={level}: a {type(self.prior).__name__} has no noise levels")
        return self.decode(self.prior.vary(self.encode(x), level, cond, seed=seed, first=first))

    def between(
        self, num: int, steps: int, cond: Asked = None, *, seed: int = 0, first: int = 0
    ) -> Tensor | None:
        """The prior's ways, decoded."""
        z = self.prior.between(num, steps, cond, seed=seed, first=first)
        return None if z is None else self.decode(z.flatten(0, 1)).unflatten(0, (num, steps))

    def encode(self, x: Tensor) -> Tensor:
        """x -> what the prior learns: codes, or values of unit standard deviation."""
        return self._scaled(self.codec.encode(x))

    def _scaled(self, z: Tensor) -> Tensor:
        return z if self.codec.latent_vocab is not None else z / self.latent_std

    def decode(self, z: Tensor) -> Tensor:
        return self.codec.decode(z if self.codec.latent_vocab is not None else z * self.latent_std)

    def reconstruct(self, x: Tensor, cond: Asked = None) -> Tensor:
        """x [B, *shape] as the codec gives it back: what samples can be at best."""
        return self.decode(self.encode(x))
