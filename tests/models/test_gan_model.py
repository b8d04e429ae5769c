"""The GAN's training step: one batch is one step, lazy R1, each network moves on its own loss."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from genlab.models.conditions import OneValue
from genlab.models.gan import GAN
from genlab.objectives.adversarial import WGANGP, Hinge, LeastSquares, NonSaturating, Relativistic
from genlab.optim import Optim
from genlab.samplers.inversion import Inversion
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


@pytest.mark.parametrize(
    "objective",
    [NonSaturating(r1_gamma=1.0), Relativistic(r2_gamma=1.0), LeastSquares(), Hinge(), WGANGP()],
)
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


def test_penalties_of_generated_examples_under_autocast():
    """They are taken in float32, where the generator gives bfloat16: R2 of a linear D is |w|^2."""
    model, weights = gan(Relativistic(r2_gamma=2.0, penalty_every=1)), []
    model.discriminator.register_forward_pre_hook(
        lambda net, x: weights.append(net.linear.weight.detach().clone())
    )
    fit(model, 1, precision="bf16-mixed")
    assert model.seen[0][1]["r2"] == pytest.approx(weights[0].square().sum().item(), rel=1e-5)


def test_a_relativistic_step_by_hand():
    """G plays its fakes against the same batch's real examples, as the stepped D sees both."""
    model = gan(Relativistic(r1_gamma=2.0, r2_gamma=4.0, penalty_every=1))
    g, d = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    latents = []
    model._latents = lambda x: latents.append(torch.randn(len(x), 2)) or latents[-1]
    fit(model, 1)
    fake = g(latents[0])
    loss = nn.functional.softplus(d(fake.detach()) - d(X)).mean()
    loss = loss + (1 + 2) * d.linear.weight.square().sum()  # gamma / 2 |w|^2 each
    grads = torch.autograd.grad(loss, [d.linear.weight])  # a shared bias cancels
    with torch.no_grad():
        d.linear.weight -= 0.1 * grads[0]
    loss = nn.functional.softplus(d(X) - d(fake)).mean()
    grads = torch.autograd.grad(loss, list(g.parameters()))
    torch.testing.assert_close(model.discriminator.linear.weight, d.linear.weight)
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


class Counted(nn.Module):
    """An augmentation that doubles what it sees, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.told = []

    def forward(self, x):
        return 2 * x

    def follow(self, signs, examples):
        self.told.append((signs.item(), examples))
        return {"augment_p": signs}


def test_the_discriminator_sees_real_and_generated_examples_changed():
    """D: SGD on changed examples; G: through the change, so its slope is twice."""
    model = gan(augment=Counted())
    g, d = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    latents = []
    model._latents = lambda x: latents.append(torch.randn(len(x), 2)) or latents[-1]
    fit(model, 1)
    fake, logit = g(latents[0]), d(2 * X)
    loss = nn.functional.softplus(-logit) + nn.functional.softplus(d(2 * fake.detach()))
    grads = torch.autograd.grad(loss.mean(), list(d.parameters()))
    with torch.no_grad():
        for p, grad in zip(d.parameters(), grads, strict=True):
            p -= 0.1 * grad
    torch.testing.assert_close(list(model.discriminator.parameters()), list(d.parameters()))
    grads = torch.autograd.grad(nn.functional.softplus(-d(2 * fake)).mean(), list(g.parameters()))
    for p, q, grad in zip(model.generator.parameters(), g.parameters(), grads, strict=True):
        torch.testing.assert_close(p, q - 0.1 * grad)
    ((signs, examples),) = model.augment.told
    assert signs == pytest.approx(logit.sign().mean().item()) and examples == 8
    assert model.seen[0][1]["augment_p"] == pytest.approx(signs)
    assert torch.equal(model.loss({"x": X})["loss_discriminator"][:0], X[:0, 0])  # per example
    clean = nn.functional.softplus(-model.discriminator(X))  # a held-out loss is of x as it is
    fake = nn.functional.softplus(model.discriminator(model.generator(latents[0])))
    model._latents = lambda x: latents[0]
    torch.testing.assert_close(model.loss({"x": X})["loss_discriminator"], clean + fake)


@pytest.mark.parametrize(
    ("objective", "middle"),
    [(NonSaturating(), 0.0), (Hinge(), 0.0), (LeastSquares(), 0.5), (Relativistic(), None),
     (WGANGP(), None)],
)  # fmt: skip
def test_how_often_the_discriminator_is_right(objective, middle):
    """Its best logit for what is as likely real as fake lies on the boundary, if there is one."""
    model = gan(objective, augment=Counted())
    real, fake = torch.tensor([-1.0, 0.2, 0.4, 3.0]), torch.tensor([0.0, 0.3, 0.1, 9.0])
    model._overfits(real, fake)
    right = [r > (f if middle is None else middle) for r, f in zip(real, fake, strict=True)]
    assert model.augment.told == [((2 * sum(right) - 4) / 4, 4)]
    if middle is not None and not isinstance(objective, Hinge):  # the hinge has no single best
        d = torch.linspace(-1, 1, 2001)
        alone = objective.discriminator(d, d)  # each example is both
        assert d[alone.argmin()].item() == pytest.approx(middle, abs=1e-3)


def test_inversion_finds_the_z_of_a_sample():
    """The generator is linear here: z of its own sample comes back, whatever the batch."""
    model = gan()
    z = torch.randn(5, 2)
    x = model.decode(z)
    torch.testing.assert_close(x, model.generator(z))
    found = model.invert(x, inversion=Inversion(weight=0.0, steps=400))
    torch.testing.assert_close(found, z, atol=1e-2, rtol=1e-2)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    part = model.invert(x[2:], inversion=Inversion(weight=0.0, steps=400), first=2)
    torch.testing.assert_close(part, found[2:], atol=1e-4, rtol=1e-4)


class Told(nn.Module):
    """Of z [B, 2] or x [B, 3] and a class, a table's row [B, 3] or a logit [B]."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.linear, self.classes = nn.Linear(num_in, num_out), nn.Embedding(4, num_out)

    def forward(self, x, cond):
        return (self.linear(x) + self.classes(cond)).squeeze(1)


def test_a_step_with_an_asked_value_by_hand():
    """Both players are told it, and G alone learns by the cross-entropy of it, of its own rows."""
    value = OneValue(widths=[1, 2], counts=[[], [3, 5]], weight=2.0)
    torch.manual_seed(0)
    sgd = Optim(partial(torch.optim.SGD, lr=0.1))
    model = Spy(Told(2, 3), Told(3, 1), objective=NonSaturating(), sampler=Prior(), shape=(3,),
                latent_dim=2, conditions=value, optim=sgd)  # fmt: skip
    g, d = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    cond, latents, softplus = torch.arange(8) % 2, [], nn.functional.softplus
    model._latents = lambda x: latents.append(torch.randn(len(x), 2)) or latents[-1]
    trainer = pl.Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.fit(model, DataLoader([{"x": X[i], "cond": cond[i]} for i in range(8)], batch_size=8))
    fake = g(latents[0], cond)
    loss = softplus(-d(X, cond)) + softplus(d(fake.detach(), cond))
    grads = torch.autograd.grad(loss.mean(), list(d.parameters()))
    with torch.no_grad():
        for p, grad in zip(d.parameters(), grads, strict=True):
            p -= 0.1 * grad
    torch.testing.assert_close(list(model.discriminator.parameters()), list(d.parameters()))
    p = ((1 + fake[:, 1:]) / 2).clamp(min=1e-7)
    missed = -2 * (p.gather(1, cond[:, None]).squeeze(1) / p.sum(1)).log()
    terms = softplus(-d(fake, cond)), missed
    grads = torch.autograd.grad(sum(terms).mean(), list(g.parameters()))
    for p, q, grad in zip(model.generator.parameters(), g.parameters(), grads, strict=True):
        torch.testing.assert_close(p, q - 0.1 * grad)
    seen = model.seen[0][1]
    assert seen["missed"] == pytest.approx(missed.mean().item(), rel=1e-5)
    assert seen["loss_generator"] == pytest.approx(terms[0].mean().item(), rel=1e-5)
    whole = seen["loss_generator"] + seen["missed"] + seen["loss_discriminator"]
    assert seen["loss"] == pytest.approx(whole, rel=1e-5)
    held = model.loss({"x": X, "cond": cond})
    parts = [held[k] for k in ("loss_generator", "loss_discriminator", "missed")]
    torch.testing.assert_close(held["loss"], sum(parts))


def test_errors():
    with pytest.raises(ValueError, match=r"given: a GAN cannot"):
        gan().sample(1, given={"x": X[:1], "mask": X[:1] > 0})
