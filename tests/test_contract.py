"""The contract, held by every family on every kind of data it fits: one suite, tiny networks.

Read: CASES names how to build each model; each test below is one sentence of the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from genlab.batch import Batch
from genlab.models.autoregressive import Autoregressive
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Classes
from genlab.models.diffusion import Diffusion
from genlab.models.gan import GAN
from genlab.models.vae import VAE
from genlab.nn.conv import ConvDecoder, ConvEncoder, DCGANDiscriminator, DCGANGenerator
from genlab.nn.dit import DiT
from genlab.nn.mlp import (
    MLP,
    MLPDecoder,
    MLPDiscriminator,
    MLPEncoder,
    MLPGenerator,
)
from genlab.nn.rnn import GRU, LSTM
from genlab.nn.transformer import GPT
from genlab.nn.unet import UNet
from genlab.objectives.adversarial import WGANGP, Hinge, NonSaturating
from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.objectives.tokens import CrossEntropy
from genlab.objectives.variational import ELBO, DiscretisedLogistic, Gaussian
from genlab.optim import Optim
from genlab.samplers.diffusion import DDIM, Ancestral, DPMpp2M, Euler, Heun
from genlab.samplers.latent import Prior
from genlab.samplers.tokens import Sample

IMAGE, POINTS, TOKENS, VOCAB, CLASSES = (1, 8, 8), (2,), (6,), 5, 3


def batch_of(shape: tuple[int, ...]) -> Batch:
    """Eight examples that a tiny model can learn by heart; images within [-1, 1]."""
    g = torch.Generator().manual_seed(0)
    cond = torch.arange(8) % CLASSES
    if shape == TOKENS:
        return {"x": torch.randint(VOCAB, (8, *shape), generator=g), "cond": cond}
    if shape == POINTS:
        return {"x": torch.randn(8, *shape, generator=g), "cond": cond}
    coarse = 1.5 * torch.randint(2, (8, 1, 2, 2), generator=g) - 0.75  # two of 17 grey levels
    return {"x": coarse.repeat_interleave(4, 2).repeat_interleave(4, 3), "cond": cond}


def diffusion(net: Callable, shape, objective, sampler) -> Diffusion:
    return Diffusion(
        net(shape, num_classes=CLASSES),
        objective=objective,
        sampler=sampler,
        shape=shape,
        conditions=Classes(num_classes=CLASSES),
        optim=Optim(partial(torch.optim.Adam, lr=5e-3)),
    )


def gan(generator: Callable, discriminator: Callable, shape, objective, rates) -> GAN:
    return GAN(
        generator(shape, latent_dim=4, num_classes=CLASSES),
        discriminator(shape, num_classes=CLASSES),
        objective=objective,
        sampler=Prior(),
        shape=shape,
        latent_dim=4,
        conditions=Classes(num_classes=CLASSES),
        optim=Optim(partial(torch.optim.Adam, lr=rates[0], betas=(0.0, 0.9))),
        optim_discriminator=Optim(partial(torch.optim.Adam, lr=rates[1], betas=(0.0, 0.9))),
    )


def vae(encoder: Callable, decoder: Callable, shape, likelihood, **sampler) -> VAE:
    return VAE(
        encoder(shape, latent_dim=4, num_classes=CLASSES),
        decoder(shape, latent_dim=4, num_classes=CLASSES),
        objective=ELBO(likelihood),
        sampler=Prior(**sampler),
        shape=shape,
        latent_dim=4,
        conditions=Classes(num_classes=CLASSES),
        optim=Optim(partial(torch.optim.Adam, lr=5e-3)),
    )


def tokens(net: Callable) -> Autoregressive:
    return Autoregressive(
        net(VOCAB, num_classes=CLASSES),
        objective=CrossEntropy(),
        sampler=Sample(top_p=0.95),
        shape=TOKENS,
        vocab=VOCAB,
        conditions=Classes(num_classes=CLASSES),
        optim=Optim(partial(torch.optim.AdamW, lr=1e-2)),
    )


unet = partial(UNet, width=8, multipliers=(1, 2), attention=(2,), head_dim=8)
dit = partial(DiT, patch=4, width=16, depth=1, heads=2)
mlp = partial(MLP, width=64, depth=2)
dcgan = partial(DCGANGenerator, width=16), partial(DCGANDiscriminator, width=16)
mlp_gan = partial(MLPGenerator, width=64, bounded=False), partial(MLPDiscriminator, width=64)
conv_vae = partial(ConvEncoder, width=16), partial(ConvDecoder, width=16)
mlp_vae = partial(MLPEncoder, width=64), partial(MLPDecoder, width=64)
gpt = partial(GPT, max_length=TOKENS[0], width=16, depth=1, heads=2)
r1 = NonSaturating(r1_gamma=1.0, penalty_every=4)

# name: how to build the model, the shape of an example, the steps it takes to learn eight by heart
CASES: dict[str, tuple[Callable[[], GenerativeModel], tuple[int, ...], int]] = {
    "edm-image": (lambda: diffusion(unet, IMAGE, EDM(), Heun(num_steps=6)), IMAGE, 100),
    "edm-dit-image": (
        lambda: diffusion(dit, IMAGE, EDM(), Heun(num_steps=6, guidance=1.5, S_churn=2)),
        IMAGE,
        200,
    ),
    "ddpm-image": (
        lambda: diffusion(mlp, IMAGE, DDPM(clip=1.0), Ancestral(num_steps=20)),
        IMAGE,
        200,
    ),
    "cosine-v-image": (
        lambda: diffusion(
            mlp, IMAGE, DDPM(schedule="cosine", prediction="v"), DDIM(num_steps=10, eta=0.5)
        ),
        IMAGE,
        200,
    ),
    "flow-image": (lambda: diffusion(unet, IMAGE, Flow(), DPMpp2M(num_steps=10)), IMAGE, 100),
    "edm-points": (lambda: diffusion(mlp, POINTS, EDM(), Heun(num_steps=8)), POINTS, 200),
    "flow-points": (lambda: diffusion(mlp, POINTS, Flow(), Euler(num_steps=10)), POINTS, 200),
    "gan-image": (lambda: gan(*dcgan, IMAGE, r1, (2e-3, 2e-3)), IMAGE, 200),
    "hinge-points": (lambda: gan(*mlp_gan, POINTS, Hinge(), (5e-4, 2e-3)), POINTS, 200),
    "gan-points": (lambda: gan(*mlp_gan, POINTS, r1, (5e-4, 2e-3)), POINTS, 200),
    "wgan-points": (
        lambda: gan(*mlp_gan, POINTS, WGANGP(gp_weight=1, critic_steps=2), (5e-4, 2e-3)),
        POINTS,
        200,
    ),
    "vae-image": (lambda: vae(*conv_vae, IMAGE, DiscretisedLogistic(levels=17)), IMAGE, 150),
    "vae-points": (
        lambda: vae(*mlp_vae, POINTS, Gaussian(sigma=0.1, learn=True), noise=True),
        POINTS,
        150,
    ),
    "gpt-tokens": (lambda: tokens(gpt), TOKENS, 150),
    "gru-tokens": (lambda: tokens(partial(GRU, width=32, depth=1)), TOKENS, 150),
    "lstm-tokens": (lambda: tokens(partial(LSTM, width=32, depth=1)), TOKENS, 150),
}
CAN_FILL_IN = ("edm", "ddpm", "cosine", "flow", "gpt", "gru", "lstm")


def build(name: str) -> tuple[GenerativeModel, Batch]:
    torch.manual_seed(1)
    make, shape, _ = CASES[name]
    return make(), batch_of(shape)


def perturbed(name: str) -> tuple[GenerativeModel, Batch]:
    """A model that has left its initialisation, where many networks are zero."""
    model, batch = build(name)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model, batch


def energy(samples: Tensor, x: Tensor) -> float:
    """The energy distance of two sets (Szekely & Rizzo 2013): 0 only where their laws are equal."""

    def mean(a: Tensor, b: Tensor) -> float:
        return torch.cdist(a.flatten(1).float(), b.flatten(1).float()).mean().item()

    return 2 * mean(samples, x) - mean(samples, samples) - mean(x, x)


def evaluated(model: GenerativeModel, batch: Batch) -> float:
    with torch.no_grad(), model.seeded("test"):
        copies = {k: v.repeat(16, *[1] * (v.ndim - 1)) for k, v in batch.items()}
        return model.eval().loss(copies)["loss"].mean().item()


@pytest.fixture(params=CASES)
def name(request) -> str:
    return request.param


def test_the_loss_is_finite_per_example_and_has_gradients(name):
    model, batch = perturbed(name)
    model.train()
    terms = model.loss(batch)
    for key, value in terms.items():
        assert value.shape == (8,), key
        assert torch.isfinite(value).all(), key
    terms["loss"].mean().backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    assert not missing


def test_it_learns_one_batch_by_heart(name):
    model, batch = build(name)
    steps, cond = CASES[name][2], batch["cond"].repeat(8)
    loss, far = evaluated(model, batch), energy(model.sample(64, cond), batch["x"])
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=None if isinstance(model, GAN) else 1.0,
    )
    trainer.fit(model, DataLoader([batch] * steps, batch_size=None))
    assert trainer.global_step == model.clock.batches == steps
    assert model.clock.examples == 8 * steps
    assert "loss" in model.flush()
    loss_after, far_after = evaluated(model, batch), energy(model.sample(64, cond), batch["x"])
    print(f"{name}: loss {loss:.3f} -> {loss_after:.3f}, distance {far:.3f} -> {far_after:.3f}")
    if isinstance(model, GAN):  # its losses are a game's: what it draws tells
        assert far_after < 0.6 * far
    else:
        assert loss_after < 0.85 * loss  # a mixture's noise levels leave a floor above 0


def test_samples_have_the_shape_and_the_range(name):
    model, _ = perturbed(name)
    x = model.sample(5)
    assert x.shape == (5, *CASES[name][1])
    assert torch.isfinite(x.float()).all()
    assert not x.requires_grad
    if CASES[name][1] == TOKENS:
        assert x.dtype == torch.long
        assert 0 <= x.min() <= x.max() < VOCAB
    else:
        assert x.dtype == torch.float32
    if name in ("gan-image", "vae-image"):
        assert x.abs().max() <= 1
    with_class = model.sample(5, torch.tensor([0, 1, 2, 0, 1]))
    assert with_class.shape == x.shape


def test_a_sample_is_a_function_of_seed_and_index(name):
    model, _ = perturbed(name)
    torch.manual_seed(11)
    a = model.sample(4, seed=3)
    torch.manual_seed(12)  # torch's own generator has no say, and loses nothing
    state = torch.get_rng_state()
    b = model.sample(4, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(a, b)
    assert not torch.equal(a, model.sample(4, seed=4))
    assert not torch.equal(a[0], a[1])


@pytest.mark.parametrize("with_class", [False, True])
def test_64_at_once_are_64_in_chunks_of_7(name, with_class):
    model, _ = perturbed(name)
    cond = torch.arange(64) % CLASSES if with_class else None
    whole = model.sample(64, cond, seed=5)
    parts = []
    for first in range(0, 64, 7):
        num = min(7, 64 - first)
        part = None if cond is None else cond[first : first + num]
        parts.append(model.sample(num, part, seed=5, first=first))
    if CASES[name][1] == TOKENS:
        assert torch.equal(torch.cat(parts), whole)
    else:
        torch.testing.assert_close(torch.cat(parts), whole, atol=1e-4, rtol=1e-4)


def test_the_weights_are_the_whole_model(name):
    a, batch = perturbed(name)
    b, _ = build(name)
    assert not torch.equal(a.sample(3), b.sample(3))
    b.load_state_dict(a.state_dict())
    assert torch.equal(a.sample(3), b.sample(3))
    assert evaluated(a, batch) == evaluated(b, batch)


def test_log_prob_is_there_where_likelihood_says_so(name):
    model, batch = perturbed(name)
    if model.likelihood == "none":
        with pytest.raises(NotImplementedError):
            model.log_prob(batch)
        return
    with torch.no_grad(), model.seeded("test"):
        log_prob = model.log_prob(batch)
    assert log_prob.shape == (8,)
    assert torch.isfinite(log_prob).all()
    if CASES[name][1] != POINTS:
        assert (log_prob < 0).all()  # of something discrete


def test_what_is_given_stays_or_is_refused(name):
    model, batch = perturbed(name)
    mask = torch.zeros_like(batch["x"], dtype=torch.bool)
    mask[..., :1] = True
    given = {"x": batch["x"], "mask": mask}
    if name.split("-")[0] not in CAN_FILL_IN:
        with pytest.raises(ValueError, match="given: a"):
            model.sample(8, given=given)
        return
    x = model.sample(8, given=given)
    assert torch.equal(x[mask], batch["x"][mask])
    assert not torch.equal(x[~mask], batch["x"][~mask])


def test_two_ranks_lose_what_one_would(name):
    """The noise of a training batch is drawn for all ranks: two shares make the whole."""
    from genlab.rng import share_of

    model, batch = perturbed(name)
    if isinstance(model, GAN):
        model.eval()  # batch norm sees the share only, spectral norm moves with each pass
    torch.manual_seed(7)
    whole = model.loss(batch)["loss"]
    halves = []
    for rank in (0, 1):
        torch.manual_seed(7)
        with share_of(rank, 2):
            part = {k: v[4 * rank : 4 * rank + 4] for k, v in batch.items()}
            halves.append(model.loss(part)["loss"])
    torch.testing.assert_close(torch.cat(halves), whole, atol=1e-3, rtol=1e-3)
