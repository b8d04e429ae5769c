"""The adversarial codec: a VQ-VAE whose reconstructions a discriminator judges beside, VQ-GAN.

Reading map
  network     nn/codec.py, nn/wave_codec.py; nn/discriminators.py
  formula     objectives/quantisation.py: VQ (of waveforms spectral.py: SpectralVQ);
              objectives/adversarial.py: Hinge, NonSaturating, adaptive_weight, feature_distance
  sampler     none: codes are uniform here, as in training; models/latent.py has a prior of theirs
  experiment  conf/experiment/emoji_vqgan.yaml, fsdd_codec.yaml, esc10_codec.yaml
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Batch
from genlab.models.game import Game, frozen
from genlab.models.vqvae import VQVAE
from genlab.objectives.adversarial import Adversarial, adaptive_weight, feature_distance
from genlab.objectives.quantisation import VQ
from genlab.optim import Optim
from genlab.shapes import per_example


class AdversarialCodec(Game, VQVAE):
    """A VQVAE with an adversarial and a perceptual term: Esser et al. 2021 (arXiv 2012.09841).

    L = L_rec + lambda weight L_GAN (eq. 6-7), L_rec with the commitment. The perceptual term of
    L_rec is a distance of the discriminator's own features in place of a downloaded network's.
    As a codec it is its VQVAE: likelihood, encode and decode are.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        *,
        objective: VQ,
        game: Adversarial,
        shape: Sequence[int],
        latent_map: Sequence[int],
        latent_shape: Sequence[int],
        latent_vocab: int,
        start: int = 0,
        weight: float = 0.8,
        perceptual: float = 0.5,
        clip: float | None = None,
        optim: Optim | None = None,
        optim_discriminator: Optim | None = None,
    ) -> None:
        """`discriminator` gives scales of layers (nn/discriminators.py); `decoder.last` is a layer.

        `start`: examples from which on it tells the codec anything; it learns from the first on.
        `weight`: of the adversarial term; `perceptual`: nats for each value of x where the features
        differ by as much as they are large.
        """
        super().__init__(
            encoder, decoder, objective=objective, shape=shape, latent_map=latent_map,
            latent_shape=latent_shape, latent_vocab=latent_vocab, optim=optim,
        )  # fmt: skip
        for key, value in (("start", start), ("weight", weight), ("perceptual", perceptual)):
            if value < 0:
                raise ValueError(f"model.{key}={value}: must be at least 0")
        if game.critic_steps > 1:
            raise ValueError(
                f"model.game: {game.critic_steps} steps of a {type(game).__name__} for one of the"
                " codec's: write objective@model.game=hinge or nonsaturating"
            )
        self.join(discriminator, game, optim=optim_discriminator or optim, clip=clip)
        self.start, self.weight, self.perceptual = start, weight, perceptual

    def player(self) -> list[nn.Module]:
        return [self.encoder, self.decoder, self.objective]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The discriminator's step, then the codec's."""
        optimizer, discriminator_optimizer = self.optimizers()
        x = batch["x"]
        with self.share():
            params, *coded = self._coded(x)
            terms = self.objective.loss(x, params, *coded)
            fake = self.objective.likelihood.mean(params)
            judged = self.judge(self._critic, x, fake.detach())
            self.step_discriminator(judged.pop("total"), discriminator_optimizer)
            if self.clock.examples >= self.start:
                with frozen(self.discriminator):
                    terms |= self._adversarial(x, fake, terms["loss"])
            self.step(terms["loss"], optimizer, *self.player())
        self.record(terms | judged)
        self.tick(batch, batch_idx)
        return terms["loss"].detach().mean()

    def _adversarial(self, x: Tensor, fake: Tensor, coded: Tensor) -> dict[str, Tensor]:
        """The codec's loss with what the discriminator says, and the parts of that."""
        features, generator = self._judged(x, fake)
        reconstruction = coded + self.perceptual * x[0].numel() * features
        last = self.decoder.last.weight
        balance = adaptive_weight(reconstruction.mean(), generator.mean(), last).detach()
        return {
            "loss": reconstruction + balance * self.weight * generator,
            "loss_generator": generator,
            "features": features,
            "adaptive_weight": balance.expand(len(x)),
        }

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Both players' losses per example; without eq. 7's factor, which needs gradients."""
        x = batch["x"]
        params, *coded = self._coded(x)
        terms = self.objective.loss(x, params, *coded)
        fake = self.objective.likelihood.mean(params)
        features, generator = self._judged(x, fake)
        judge = per_example(self.game.discriminator(self._critic(x), self._critic(fake)))
        own = self.perceptual * x[0].numel() * features + self.weight * generator
        return terms | {
            "loss": terms["loss"] + own + judge,
            "loss_generator": generator,
            "loss_discriminator": judge,
            "features": features,
        }

    def _judged(self, x: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """How far the features of `fake` are from x's, and the codec's side of the game, [B]."""
        with torch.no_grad():
            real = self.discriminator(x)
        scales = self.discriminator(fake)
        layers = [[layer for scale in s for layer in scale[:-1]] for s in (real, scales)]
        generator = self.game.generator(_logits(scales), lambda: _logits(real))
        return feature_distance(*layers), per_example(generator)

    def _critic(self, x: Tensor) -> Tensor:
        return _logits(self.discriminator(x))


def _logits(scales: list[list[Tensor]]) -> Tensor:
    """The logits of all parts of all scales [B, P]."""
    return torch.cat([scale[-1].flatten(1) for scale in scales], 1)
