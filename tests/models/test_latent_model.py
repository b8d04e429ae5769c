"""Latent(codec, prior): the codec stays bit for bit, the prior learns what the codec encodes."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from genlab.models.autoregressive import Autoregressive
from genlab.models.conditions import Classes
from genlab.models.diffusion import Diffusion
from genlab.models.gan import GAN
from genlab.models.latent import Latent
from genlab.models.vae import VAE
from genlab.models.vqvae import VQVAE
from genlab.nn.codec import ConvCodecDecoder, ConvCodecEncoder, ConvGaussianEncoder
from genlab.nn.mlp import MLP, MLPDiscriminator, MLPGenerator
from genlab.nn.transformer import GPT
from genlab.objectives.adversarial import Hinge
from genlab.objectives.diffusion import EDM
from genlab.objectives.quantisation import VQ, VectorQuantiser
from genlab.objectives.tokens import CrossEntropy
from genlab.objectives.variational import ELBO, Gaussian
from genlab.optim import Optim
from genlab.samplers.diffusion import DDIM, Heun
from genlab.samplers.latent import Prior
from genlab.samplers.tokens import Greedy, Sample

IMAGE, MAP, VOCAB, CLASSES = (1, 8, 8), (3, 2, 2), 11, 3
ADAM = Optim(partial(torch.optim.Adam, lr=3e-3))


def kl_codec(latent=MAP, conditions=None) -> VAE:
    return VAE(
        ConvGaussianEncoder(IMAGE, latent=latent, width=8),
        ConvCodecDecoder(IMAGE, latent=latent, width=8),
        objective=ELBO(Gaussian(sigma=0.3)),
        sampler=Prior(),
        shape=IMAGE,
        latent_shape=latent,
        conditions=conditions,
        optim=ADAM,
    )


def vq_codec(**wrong) -> VQVAE:
    stated = {"latent_map": MAP, "latent_shape": [4], "latent_vocab": VOCAB} | wrong
    return VQVAE(
        ConvCodecEncoder(IMAGE, latent=MAP, width=8),
        ConvCodecDecoder(IMAGE, latent=MAP, width=8),
        objective=VQ(Gaussian(sigma=0.3), VectorQuantiser(vocab=VOCAB, dim=MAP[0])),
        shape=IMAGE,
        optim=ADAM,
        **stated,
    )


def diffusion(codec: VAE, shape=MAP) -> Latent:
    net = MLP(shape, num_classes=CLASSES, width=32, depth=1)
    prior = Diffusion(
        net,
        objective=EDM(sigma_data=1.0),
        sampler=Heun(num_steps=6),
        shape=shape,
        conditions=Classes(num_classes=CLASSES),
    )
    return Latent(codec, prior, optim=ADAM)


def transformer(codec: VQVAE) -> Latent:
    prior = Autoregressive(
        GPT(VOCAB, max_length=4, num_classes=CLASSES, width=16, depth=1, heads=2),
        objective=CrossEntropy(),
        sampler=Sample(),
        shape=[4],
        vocab=VOCAB,
        conditions=Classes(num_classes=CLASSES),
    )
    return Latent(codec, prior, optim=ADAM)


def perturbed(model):
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def build(name: str) -> Latent:
    torch.manual_seed(0)
    if name == "diffusion":
        model = diffusion(perturbed(kl_codec()))
        model.calibrate([batch()])
    else:
        codec = perturbed(vq_codec())
        codec.train()
        codec.loss(batch())  # places the codebook
        model = transformer(codec)
    perturbed(model.prior)
    return model


def batch(num: int = 16):
    g = torch.Generator().manual_seed(5)
    x = torch.rand(num, 1, 2, 2, generator=g).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return {"x": 2 * x - 1, "cond": torch.arange(num) % CLASSES}


def fingerprint(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


BOTH = pytest.mark.parametrize("name", ["diffusion", "transformer"])


@BOTH
def test_the_codec_stays_bit_for_bit_while_the_prior_learns(name):
    model, data = build(name), batch()
    codec, prior = fingerprint(model.codec), fingerprint(model.prior)
    before = model.eval().loss(data)["loss"].mean()
    trainer = pl.Trainer(
        max_steps=60, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, DataLoader([data] * 60, batch_size=None))
    assert fingerprint(model.codec) == codec
    assert fingerprint(model.prior) != prior
    assert not model.codec.training
    optimised = {id(p) for g in trainer.optimizers[0].param_groups for p in g["params"]}
    assert optimised == {id(p) for p in model.prior.parameters()}
    with model.seeded("test"):
        assert model.eval().loss(data)["loss"].mean() < before


@BOTH
def test_training_mode_never_reaches_the_codec(name):
    model = build(name).train()
    assert model.prior.training and not any(m.training for m in model.codec.modules())
    model.sample(2)  # comes back to training
    assert model.prior.training and not any(m.training for m in model.codec.modules())


@BOTH
def test_the_loss_is_the_priors_on_the_latents(name):
    model, data = build(name).eval(), batch()
    with model.seeded("test"):
        found = model.loss(data)["loss"]
    z = model.codec.encode(data["x"])
    z = z / model.latent_std if name == "diffusion" else z
    with model.seeded("test"):
        expected = model.prior.loss({"x": z, "cond": data["cond"]})["loss"]
    assert torch.equal(found, expected)


@BOTH
def test_a_sample_is_the_decoded_sample_of_the_prior(name):
    model = build(name)
    cond = torch.tensor([0, 1, 2, 0])
    z = model.prior.sample(4, cond, seed=3, first=2)
    z = z * model.latent_std if name == "diffusion" else z
    x = model.sample(4, cond, seed=3, first=2)
    assert torch.equal(x, model.codec.decode(z))
    assert x.shape == (4, *IMAGE) and x.dtype == torch.float32
    free = model.sample(40)  # each draws its own class
    assert torch.isfinite(free).all()


@BOTH
def test_samples_do_not_depend_on_their_batch(name):
    model = build(name)
    whole = model.sample(16, seed=5)
    parts = [model.sample(min(7, 16 - i), seed=5, first=i) for i in range(0, 16, 7)]
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-4, rtol=1e-4)


@BOTH
def test_the_weights_are_the_whole_model(name):
    a = build(name)
    torch.manual_seed(9)
    b = diffusion(kl_codec()) if name == "diffusion" else transformer(vq_codec())
    b.load_state_dict(a.state_dict())
    assert torch.equal(a.sample(3), b.sample(3))


@BOTH
def test_compiling_reaches_what_learns(name):
    model = build(name)
    model.compile_networks()
    assert model.prior.net._compiled_call_impl is not None
    assert all(m._compiled_call_impl is None for m in model.codec.modules())
    assert model.compiled and model.prior.compiled and not model.codec.compiled


def test_the_sampler_is_the_priors():
    model = build("diffusion")
    assert model.sampler is model.prior.sampler
    before = model.sample(2)
    model.prior.sampler = DDIM(num_steps=3)
    assert model.sampler.num_steps == 3 and not torch.equal(model.sample(2), before)
    greedy = build("transformer")
    greedy.prior.sampler = Greedy()
    cond = torch.zeros(4, dtype=torch.long)
    assert (greedy.sample(4, cond) == greedy.sample(4, cond)[:1]).all()


def test_values_are_shown_with_unit_deviation():
    model = build("diffusion")
    z = model.encode(batch()["x"])
    assert z.std().item() == pytest.approx(1, rel=1e-4)
    torch.testing.assert_close(model.decode(z), model.codec.decode(z * model.latent_std))
    assert model.state_dict()["latent_std"].item() != 1  # travels with the weights
    codes = build("transformer")
    codes.calibrate([batch()])
    assert codes.latent_std == 1


def test_the_codec_sees_full_precision_under_autocast():
    model, x = build("diffusion"), batch()["x"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.encode(x), build("diffusion").encode(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: diffusion(kl_codec(), shape=(3, 4, 4)), r"model.prior.shape=\[3, 4, 4\]"),
        (lambda: diffusion(kl_codec(conditions=Classes(num_classes=3))), "conditions=none"),
        (lambda: vq_codec(latent_shape=[5]), r"model.latent_shape=\[5\]"),
        (lambda: vq_codec(latent_vocab=7), "write 11"),
        (lambda: vq_codec(latent_map=(5, 2, 2)), "vectors of 3 values"),
        (lambda: build("diffusion").sample(2, given={"x": 0, "mask": 0}), "given: a model"),
        (
            lambda: Latent(
                kl_codec(),
                GAN(
                    MLPGenerator(MAP, latent_dim=2), MLPDiscriminator(MAP), objective=Hinge(),
                    sampler=Prior(), shape=MAP, latent_dim=2,
                ),
            ),
            "a GAN steps by itself",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_codec_whose_latents_do_not_vary_is_refused():
    codec = kl_codec()
    with torch.no_grad():
        [p.zero_() for p in codec.encoder.last.parameters()]
    with pytest.raises(ValueError, match="do not vary"):
        diffusion(codec).calibrate([batch()])


def test_a_look_counts_the_codes_of_all_its_examples():
    """Two batches of one look: their codes together, not the mean of each."""
    codec, data = build("transformer").codec.eval(), batch(16)
    parts = [{k: v[i : i + 8] for k, v in data.items()} for i in (0, 8)]
    assert codec.over_look() == {}
    codec.on_validation_epoch_start()
    for i, part in enumerate(parts):
        codec.validation_step(part, i)
    found = codec.over_look()
    codes = codec.encode(data["x"])
    assert found["codes_used"] == pytest.approx(len(codes.unique()) / VOCAB)
    p = codes.flatten().bincount(minlength=VOCAB) / codes.numel()
    assert found["perplexity"] == pytest.approx(torch.special.entr(p).sum().exp().item())
    codec.loss(data)
    assert codec.over_look() == {}, "outside of a look nothing is counted"


def test_the_vqvaes_bound_is_the_likelihood_less_uniform_codes():
    codec, data = build("transformer").codec, batch(4)
    codes = codec.encode(data["x"])
    assert codes.shape == (4, 4) and codes.dtype == torch.long and codes.max() < VOCAB
    sigma = codec.objective.likelihood.log_sigma.exp()  # perturbed, as all weights
    normal = torch.distributions.Normal(codec.decode(codes), sigma)
    exact = normal.log_prob(data["x"]).flatten(1).sum(1) - 4 * torch.tensor(float(VOCAB)).log()
    torch.testing.assert_close(codec.log_prob(data), exact)


def test_pictures_are_varied_in_the_codecs_space():
    model, x = diffusion(kl_codec()), torch.rand(4, *IMAGE)
    cond, back = torch.tensor([0, 1, 2, 0]), model.reconstruct(x)
    high, low = (model.vary(x, level, cond, seed=2) for level in (5.0, 0.01))
    assert high.shape == x.shape and torch.isfinite(high).all()
    assert (low - back).abs().mean() < 0.5 * (high - back).abs().mean()
    with pytest.raises(ValueError, match="no noise levels"):
        transformer(vq_codec()).vary(x, 0.5)


def test_ways_between_samples_are_those_of_the_latents():
    model = diffusion(kl_codec())
    rows = model.between(3, 4, torch.tensor([0, 1, 2]), seed=1)
    assert rows.shape == (3, 4, *IMAGE)
    torch.testing.assert_close(rows[:, 0], model.sample(3, torch.tensor([0, 1, 2]), seed=1))
    assert transformer(vq_codec()).between(2, 3) is None
