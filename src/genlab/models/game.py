"""A game of two players, a discriminator and whom it judges: for a GAN and an adversarial codec.

Read: `judge` is what the discriminator minimises; `step` and `step_discriminator` move one of the
two. Only the other player's optimiser is stepped through Lightning, which counts steps, so
`global_step` counts batches.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn

from genlab.batch import Batch
from genlab.models.base import GenerativeModel
from genlab.objectives.adversarial import Adversarial, Critic
from genlab.optim import Optim
from genlab.shapes import per_example


class Game(GenerativeModel):
    """A model with a discriminator beside it, which has an optimiser of its own."""

    steps_itself = True
    shards = False  # two networks and second derivatives in one step

    def join(
        self,
        discriminator: nn.Module,
        game: Adversarial,
        *,
        optim: Optim | None,
        clip: float | None,
    ) -> None:
        """Take in the discriminator, its loss and its optimiser; the constructor calls it.

        `clip` limits the norm of each player's gradient.
        """
        self.automatic_optimization = False
        self.discriminator, self.game = discriminator, game
        self.optim_discriminator, self.clip = optim, clip

    @abstractmethod
    def player(self) -> Sequence[nn.Module]:
        """The networks that the discriminator judges."""

    def judge(self, critic: Critic, x: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Per example: what the discriminator minimises ("total"), and its parts to look at.

        `critic` gives logits [B], or [B, P] of an example's parts, whose losses are averaged.
        """
        logits = critic(x), critic(fake)
        loss = per_example(self.game.discriminator(*logits))
        real_logit, fake_logit = map(per_example, logits)
        terms = {"loss_discriminator": loss, "logit_real": real_logit, "logit_fake": fake_logit}
        every = self.game.penalty_every
        if self.clock.batches % every == 0:
            with self.eagerly():  # compiled networks have no second derivative
                penalty = self.game.penalty(lambda y: per_example(critic(y)), x, fake)
            terms |= penalty
            loss = sum((every * p for p in penalty.values()), loss)
        return {"total": loss} | {k: v.detach() for k, v in terms.items()}

    def step_discriminator(self, loss: Tensor, optimizer: LightningOptimizer) -> None:
        # the raw optimiser: Lightning's wrapper would count a second step
        self.step(loss, optimizer.optimizer, self.discriminator)

    def step(
        self, loss: Tensor, optimizer: LightningOptimizer | torch.optim.Optimizer, *nets: nn.Module
    ) -> None:
        """One update of these networks by a loss per example [B]."""
        optimizer.zero_grad()
        self.manual_backward(loss.mean())
        if self.clip is not None:
            nn.utils.clip_grad_norm_([p for net in nets for p in net.parameters()], self.clip)
        if not isinstance(optimizer, LightningOptimizer):  # Lightning tells the guard of its own
            self.before_update(optimizer)
        optimizer.step()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        assert self.optim is not None, "a model without optim can be drawn from, not trained"
        return [
            self.optim.build(*self.player()),
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
                "trainer.precision=16-mixed: the losses of two players need no scaling of"
                " gradients; write trainer.precision=bf16-mixed or 32-true"
            )


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
