"""The generative adversarial network: a generator against a discriminator.

Reading map
  network     nn/conv.py (DCGANGenerator, ...), nn/resgan.py (R3GAN), nn/style.py (StyleGAN2),
              nn/mlp.py (MLPGenerator, ...), nn/maxout.py (PacGAN),
              nn/table_gan.py (TableGenerator, ...)
  formula     objectives/adversarial.py: NonSaturating, Relativistic, LeastSquares, Hinge, WGANGP
  sampler     samplers/latent.py: Prior, between; samplers/inversion.py: Inversion (x to z)
  experiment  conf/experiment/digits_gan.yaml, toy2d_gan.yaml, adult_gan.yaml

One batch is one step: both networks move once on it (models/game.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Cond, Given, each
from genlab.models.conditions import Conditions
from genlab.models.game import Game, frozen
from genlab.objectives.adversarial import Adversarial
from genlab.optim import Optim
from genlab.rng import Draws, randn_like
from genlab.samplers.inversion import Inversion
from genlab.samplers.latent import Prior, between
from genlab.shapes import as_input


class GAN(Game):
    """x = G(z), z ~ N(0, I), G trained until D cannot tell it from data: Goodfellow et al. 2014."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        objective: Adversarial,
        sampler: Prior,
        shape: Sequence[int],
        latent_dim: int,
        conditions: Conditions | None = None,
        augment: nn.Module | None = None,
        clip: float | None = None,
        optim: Optim | None = None,
        optim_discriminator: Optim | None = None,
    ) -> None:
        """`clip` limits the norm of each network's gradient; `optim` is the generator's.

        `augment` changes what the discriminator sees in training (nn/augment.py).

        `optim_discriminator` is the same as `optim` where it is not given.
        """
        super().__init__(optim=optim)
        self.generator, self.objective, self.sampler = generator, objective, sampler
        self.join(discriminator, objective, optim=optim_discriminator or optim, clip=clip)
        self.augment = augment
        self.shape, self.latent_dim = tuple(shape), latent_dim
        self.conditions = conditions or Conditions()

    # --- training ------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The discriminator's step (or steps, for WGAN-GP), then the generator's."""
        generator_optimizer, discriminator_optimizer = self.optimizers()
        with self.share():
            x, asked = batch["x"], self.conditions.of(batch)
            cond = self.conditions(asked)
            # one pass serves both networks
            fake = as_input(self.generator(self._latents(x), cond), x, "generator")
            fixed = fake.detach()
            for i in range(self.objective.critic_steps):
                if i > 0:
                    with torch.no_grad():
                        fixed = self.generator(self._latents(x), cond)
                terms = self.judge(
                    lambda y: self.discriminator(y, cond), self._seen(x), self._seen(fixed)
                )
                self.step_discriminator(terms.pop("total"), discriminator_optimizer)
            with frozen(self.discriminator):
                loss = self.objective.generator(
                    self.discriminator(self._seen(fake), cond),
                    lambda: self.discriminator(self._seen(x), cond),
                )
                missed = self._missed(fake, asked)
                self.step(sum(missed.values(), loss), generator_optimizer, self.generator)
        terms |= missed | self._overfits(terms["logit_real"], terms["logit_fake"])
        both = sum(missed.values(), loss).detach() + terms["loss_discriminator"]
        total = {"loss": both, "loss_generator": loss}
        self.record(total | terms)
        self.tick(batch, batch_idx)
        return total["loss"].mean()

    def _missed(self, fake: Tensor, asked: Cond | None) -> dict[str, Tensor]:
        """What the generator minimises beside its game: to draw what it was asked for."""
        missed = self.conditions.missed(fake, asked)
        return {} if missed is None else {"missed": missed}

    def _seen(self, x: Tensor) -> Tensor:
        return x if self.augment is None else self.augment(x)

    def _overfits(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Tell the augmentation how often the discriminator is right about real examples."""
        if self.augment is None:
            return {}
        middle = self.objective.boundary
        signs = (real - (fake if middle is None else middle)).float().sign().mean()
        if self._trainer is not None:
            signs = self.trainer.strategy.reduce(signs, reduce_op="mean")
        world = 1 if self._trainer is None else self.trainer.world_size
        return self.augment.follow(signs, len(real) * world)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Both players' losses per example; gradient penalties belong to training_step alone."""
        x, asked = batch["x"], self.conditions.of(batch)
        cond = self.conditions(asked)
        drawn = self.generator(self._latents(x), cond)
        fake = self.discriminator(drawn, cond)
        real = self.discriminator(x, cond)
        generator, missed = self.objective.generator(fake, lambda: real), self._missed(drawn, asked)
        discriminator = self.objective.discriminator(real, fake)
        return {
            "loss": sum(missed.values(), generator + discriminator),
            "loss_generator": generator,
            "loss_discriminator": discriminator,
            **missed,
        }

    def _latents(self, x: Tensor) -> Tensor:
        return randn_like(x.new_empty(len(x), self.latent_dim))

    def player(self) -> list[nn.Module]:
        return [self.generator]

    # --- drawing -------------------------------------------------------------------------------

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num examples; where nothing is asked for, each draws its own condition."""
        if given is not None:
            raise ValueError("given: a GAN cannot fill in a part of x; a diffusion model can")
        draws = Draws(seed, first, num, self.device)
        with self.drawing():
            z = self.sampler(draws, (self.latent_dim,))
            return self.generator(z, self.conditions(self.conditions.asked_or_drawn(cond, draws)))

    def between(
        self, num: int, steps: int, cond: Asked = None, *, seed: int = 0, first: int = 0
    ) -> Tensor:
        """[num, steps, *shape]: from one sample to another; GenerativeModel.between says which."""
        ends = [Draws(seed, first + low, num, self.device) for low in (0, num)]
        z = between(*(self.sampler(draws, (self.latent_dim,)) for draws in ends), steps)
        cond = self.conditions.asked_or_drawn(cond, ends[0])
        cond = each(lambda rows: rows.repeat_interleave(steps, 0), cond)
        return self.decode(z.flatten(0, 1), cond).unflatten(0, (num, steps))

    def decode(self, z: Tensor, cond: Asked = None) -> Tensor:
        """z [B, latent_dim] -> x [B, *shape]."""
        with self.drawing():
            cond = self.conditions.asked(cond, len(z), self.device)
            return self.generator(z, self.conditions(cond))

    def invert(
        self,
        x: Tensor,
        cond: Asked = None,
        *,
        inversion: Inversion | None = None,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """x [B, *shape] -> z [B, latent_dim] that `decode` makes into the nearest it can."""
        draws = Draws(seed, first, len(x), self.device)
        with self.drawing(), frozen(self.generator):
            cond = self.conditions(self.conditions.asked(cond, len(x), self.device))
            search = inversion or Inversion()
            return search(lambda z: self.generator(z, cond), x, draws, (self.latent_dim,))
