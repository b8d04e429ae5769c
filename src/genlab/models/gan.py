"""The generative adversarial network: a generator against a discriminator.

Reading map
  network     nn/conv.py (DCGANGenerator, ...), nn/resgan.py (R3GAN), nn/style.py (StyleGAN2),
              nn/mlp.py (MLPGenerator, ...), nn/maxout.py (PacGAN)
  formula     objectives/adversarial.py: NonSaturating, Relativistic, LeastSquares, Hinge, WGANGP
  sampler     samplers/latent.py: Prior, between; samplers/inversion.py: Inversion (x to z)
  experiment  conf/experiment/digits_gan.yaml, toy2d_gan.yaml

One batch is one step: both networks move once on it. Only the generator's optimiser is stepped
through Lightning, which counts steps, so `global_step` counts batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given, each
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions
from genlab.objectives.adversarial import Adversarial
from genlab.optim import Optim
from genlab.rng import Draws, randn_like
from genlab.samplers.inversion import Inversion
from genlab.samplers.latent import Prior, between
from genlab.shapes import as_input


class GAN(GenerativeModel):
    """x = G(z), z ~ N(0, I), G trained until D cannot tell it from data: Goodfellow et al. 2014."""

    steps_itself = True
    shards = False  # two networks and second derivatives in one step

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
        self.automatic_optimization = False
        self.optim_discriminator = optim if optim_discriminator is None else optim_discriminator
        self.generator, self.discriminator = generator, discriminator
        self.objective, self.sampler, self.clip = objective, sampler, clip
        self.augment = augment
        self.shape, self.latent_dim = tuple(shape), latent_dim
        self.conditions = conditions or Conditions()

    # --- training ------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The discriminator's step (or steps, for WGAN-GP), then the generator's."""
        generator_optimizer, discriminator_optimizer = self.optimizers()
        with self.share():
            x, cond = batch["x"], self.conditions(self.conditions.of(batch))
            # one pass serves both networks
            fake = as_input(self.generator(self._latents(x), cond), x, "generator")
            fixed = fake.detach()
            for i in range(self.objective.critic_steps):
                if i > 0:
                    with torch.no_grad():
                        fixed = self.generator(self._latents(x), cond)
                terms = self._discriminator_terms(self._seen(x), self._seen(fixed), cond)
                # the raw optimiser: Lightning's wrapper would count a second step
                self._step(
                    terms.pop("total").mean(), self.discriminator, discriminator_optimizer.optimizer
                )
            with frozen(self.discriminator):
                loss = self.objective.generator(
                    self.discriminator(self._seen(fake), cond),
                    lambda: self.discriminator(self._seen(x), cond),
                )
                self._step(loss.mean(), self.generator, generator_optimizer)
        terms |= self._overfits(terms["logit_real"], terms["logit_fake"])
        total = {"loss": loss.detach() + terms["loss_discriminator"], "loss_generator": loss}
        self.record(total | terms)
        self.tick(batch, batch_idx)
        return total["loss"].mean()

    def _discriminator_terms(self, x: Tensor, fake: Tensor, cond: Tensor | None):
        """Per example: what the discriminator minimises ("total"), and its parts to look at."""
        real_logit, fake_logit = self.discriminator(x, cond), self.discriminator(fake, cond)
        loss = self.objective.discriminator(real_logit, fake_logit)
        terms = {"loss_discriminator": loss, "logit_real": real_logit, "logit_fake": fake_logit}
        every = self.objective.penalty_every
        if self.clock.batches % every == 0:
            with self.eagerly():  # compiled networks have no second derivative
                penalty = self.objective.penalty(lambda y: self.discriminator(y, cond), x, fake)
            terms |= penalty
            loss = sum((every * p for p in penalty.values()), loss)
        return {"total": loss} | {k: v.detach() for k, v in terms.items()}

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

    def _step(self, loss: Tensor, net: nn.Module, optimizer) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), self.clip)
        if not isinstance(optimizer, LightningOptimizer):  # Lightning tells the guard of its own
            self.before_update(optimizer)
        optimizer.step()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Both players' losses per example; gradient penalties belong to training_step alone."""
        x, cond = batch["x"], self.conditions(self.conditions.of(batch))
        fake = self.discriminator(self.generator(self._latents(x), cond), cond)
        real = self.discriminator(x, cond)
        generator = self.objective.generator(fake, lambda: real)
        discriminator = self.objective.discriminator(real, fake)
        return {
            "loss": generator + discriminator,
            "loss_generator": generator,
            "loss_discriminator": discriminator,
        }

    def _latents(self, x: Tensor) -> Tensor:
        return randn_like(x.new_empty(len(x), self.latent_dim))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        assert self.optim is not None, "a model without optim can be drawn from, not trained"
        return [
            self.optim.build(self.generator),
            self.optim_discriminator.build(self.discriminator),
        ]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        super().on_train_batch_start(batch, batch_idx)
        factor = self.optim_discriminator.factor(self.clock.examples, self.spent)
        for group in self.trainer.optimizers[1].param_groups:
            group["lr"] = group["base_lr"] * factor

    def setup(self, stage: str) -> None:
        """Before DDP wraps the model: each backward pass reaches one of the two networks only."""
        if isinstance(self.trainer.strategy, DDPStrategy):
            self.trainer.strategy._ddp_kwargs.setdefault("find_unused_parameters", True)

    def on_fit_start(self) -> None:
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise ValueError(
                "trainer.precision=16-mixed: a GAN's two losses need no scaling of gradients; "
                "write trainer.precision=bf16-mixed or 32-true"
            )

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


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Within: the net's parameters want no gradient; what passes through it still does."""
    wanted = [p for p in net.parameters() if p.requires_grad]
    for p in wanted:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in wanted:
            p.requires_grad_(True)
