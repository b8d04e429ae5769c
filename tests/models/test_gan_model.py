"""The GAN's training step: one batch is one step, lazy R1, each network moves on its own loss."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from genlab.models.gan import GAN
from genlab.objectives.adversarial import WGANGP, Hinge, NonSaturating
from genlab.optim import Optim
from genlab.samplers.latent import Prior

X = torch.randn(8, 3)


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, z, cond=None):
        return self.linear(z)


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x, cond=None):
        return self.linear(x).squeeze(1)


class Spy(GAN):
    def on_train_batch_end(self, outputs, batch, batch_idx):
        super().on_train_batch_end(outputs, batch, batch_idx)
        self.seen = [*getattr(self, "seen", []), (self.trainer.global_step, self.flush())]


def gan(objective=None, **kwargs) -> Spy:
    torch.manual_seed(0)
    sgd = partial(torch.optim.SGD, lr=0.1)
    kwargs.setdefault("optim", Optim(sgd))
    return Spy(
        Generator(),
        Discriminator(),
        objective=objective or NonSaturating(),
        sampler=Prior(),
        shape=(3,),
        latent_dim=2,
        **kwargs,
    )


def fit(model: GAN, steps: int, **kwargs) -> GAN:
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **kwargs,
    )
    trainer.fit(model, DataLoader([{"x": X[i]} for i in range(8)] * 20, batch_size=8))
    return model


@pytest.mark.parametrize("objective", [NonSaturating(r1_gamma=1.0), Hinge(), WGANGP()])
def test_one_batch_is_one_step(objective):
    model = fit(gan(objective), 5)
    assert [step for step, _ in model.seen] == [1, 2, 3, 4, 5]
    assert model.clock.batches == 5
    assert model.clock.examples == 40


def test_r1_is_taken_every_few_batches_and_its_mean_is_its_own():
    model = fit(gan(NonSaturating(r1_gamma=1.0, penalty_every=3)), 7)
    assert ["r1" in terms for _, terms in model.seen] == [True, False, False] * 2 + [True]
    names = {"loss", "loss_generator", "loss_discriminator", "logit_real", "logit_fake"}
    assert set(model.seen[1][1]) == names


def test_terms_with_their_own_counts():
    model = gan()
    for i in range(6):
        terms = {"loss": torch.full((4,), float(i))}
        model.record(terms | ({"r1": torch.full((4,), 10.0 + i)} if i % 3 == 0 else {}))
    assert model.flush() == {"loss": 2.5, "r1": 11.5}
    assert model.flush() == {}


def test_a_step_is_the_plain_games_by_hand():
    """D: SGD on its loss plus penalty_every * R1; G: on its own loss, against the new D."""
    model = gan(NonSaturating(r1_gamma=2.0, penalty_every=3))
    g, d = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    latents = []
    model._latents = lambda x: latents.append(torch.randn(len(x), 2)) or latents[-1]
    fit(model, 1)
    fake = g(latents[0])
    loss = (nn.functional.softplus(-d(X)) + nn.functional.softplus(d(fake.detach()))).mean()
    loss = loss + 3 * d.linear.weight.square().sum()  # gamma / 2 |w|^2, the R1 of a linear D
    grads = torch.autograd.grad(loss, list(d.parameters()))
    with torch.no_grad():
        for p, grad in zip(d.parameters(), grads, strict=True):
            p -= 0.1 * grad
    loss = nn.functional.softplus(-d(fake)).mean()
    grads = torch.autograd.grad(loss, list(g.parameters()))
    torch.testing.assert_close(list(model.discriminator.parameters()), list(d.parameters()))
    for p, q, grad in zip(model.generator.parameters(), g.parameters(), grads, strict=True):
        torch.testing.assert_close(p, q - 0.1 * grad)


def test_autocast_sees_the_stepped_discriminator():
    """Under bf16 the cast weights are remembered: no pass may use those from before a step."""
    model, passes = gan(WGANGP(gp_weight=0, critic_steps=3)), []
    linear = model.discriminator.linear
    linear.register_forward_hook(
        lambda m, x, out: passes.append((x[0], m.weight.clone(), m.bias.clone(), out))
    )
    fit(model, 2, precision="bf16-mixed")
    assert len(passes) == 2 * (2 * 3 + 1)
    for x, weight, bias, out in passes:
        expected = nn.functional.linear(x.bfloat16(), weight.bfloat16(), bias.bfloat16())
        assert out.dtype == torch.bfloat16
        torch.testing.assert_close(out, expected)
    assert all(p.requires_grad for p in model.parameters())


def test_each_optimiser_follows_its_own_rate():
    sgd = partial(torch.optim.SGD, lr=0.1)
    model = gan(
        optim=Optim(sgd, decay="linear", horizon=40),
        optim_discriminator=Optim(partial(torch.optim.SGD, lr=0.3)),
    )
    fit(model, 3)  # the rate of the third step, after 16 of 40 examples
    rates = [o.param_groups[0]["lr"] for o in model.trainer.optimizers]
    assert rates == pytest.approx([0.1 * (1 - 16 / 40), 0.3])


def test_clip_limits_the_gradient():
    model = gan(clip=1e-3)
    before = [p.detach().clone() for p in model.parameters()]
    fit(model, 1)
    moved = [(p - q).norm().item() for p, q in zip(model.parameters(), before, strict=True)]
    assert 0 < max(moved) <= 0.1 * 1e-3 + 1e-8


def test_wgan_steps_the_critic_more_often():
    model, calls = gan(WGANGP(critic_steps=4)), []
    step = model.step
    model.step = lambda loss, opt, net: calls.append(type(net).__name__) or step(loss, opt, net)
    fit(model, 1)
    assert calls == ["Discriminator"] * 4 + ["Generator"]


def test_errors():
    with pytest.raises(ValueError, match=r"given: a GAN cannot"):
        gan().sample(1, given={"x": X[:1], "mask": X[:1] > 0})
