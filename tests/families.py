"""Every family, tiny, on every kind of data that it fits: the cases of test_contract.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from genlab.batch import Batch
from genlab.models.adversarial_codec import AdversarialCodec
from genlab.models.autoregressive import Autoregressive
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Classes, OneValue
from genlab.models.diffusion import Diffusion
from genlab.models.frames import Frames
from genlab.models.gan import GAN
from genlab.models.ladder import LadderVAE
from genlab.models.latent import Latent
from genlab.models.masked import MaskedDiffusion
from genlab.models.mixture import Mixture
from genlab.models.normalising import NormalisingFlow
from genlab.models.tree import CountedTree
from genlab.models.vae import VAE
from genlab.models.vqvae import VQVAE
from genlab.nn.bidirectional import Bidirectional
from genlab.nn.codec import ConvCodecDecoder, ConvCodecEncoder, ConvGaussianEncoder
from genlab.nn.conv import ConvDecoder, ConvEncoder, DCGANDiscriminator, DCGANGenerator
from genlab.nn.discriminators import PatchDiscriminator, WaveDiscriminator
from genlab.nn.dit import DiT
from genlab.nn.flow_nets import IAF, MAF, Glow, RealNVP
from genlab.nn.frames import FrameGRU, FrameLSTM, FrameRNN
from genlab.nn.ladder import (
    ConvBottomUp,
    ConvTopDown,
    MLPBottomUp,
    MLPTopDown,
)
from genlab.nn.made import FVSBN, MADE
from genlab.nn.maxout import BatchNormGenerator, MaxoutDiscriminator
from genlab.nn.mlp import (
    MLP,
    MLPDecoder,
    MLPDiscriminator,
    MLPEncoder,
    MLPGenerator,
)
from genlab.nn.plain import PlainDecoder, PlainEncoder
from genlab.nn.resgan import ResDiscriminator, ResGenerator
from genlab.nn.rnn import GRU, LSTM
from genlab.nn.sinusoidal import SinusoidalMLP
from genlab.nn.style import StyleGenerator
from genlab.nn.table_gan import PackDiscriminator, TableGenerator
from genlab.nn.tcn import TCN
from genlab.nn.transformer import GPT
from genlab.nn.unet import UNet
from genlab.nn.video_unet import VideoUNet
from genlab.nn.wave_codec import WaveDecoder, WaveEncoder
from genlab.objectives.adversarial import WGANGP, Hinge, LeastSquares, NonSaturating, Relativistic
from genlab.objectives.bounds import DoublyReparameterised
from genlab.objectives.change_of_variables import ChangeOfVariables, Dequantised, DequantisedRows
from genlab.objectives.columns import Components
from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.objectives.frames import KeysCrossEntropy
from genlab.objectives.ladder import LadderELBO
from genlab.objectives.levels import LogisticMixture
from genlab.objectives.masking import Masking
from genlab.objectives.posteriors import Flowed
from genlab.objectives.priors import FlowPrior, VampPrior
from genlab.objectives.quantisation import FSQ, VQ, Quantiser, ResidualVQ, VectorQuantiser
from genlab.objectives.spectral import SpectralVQ
from genlab.objectives.tabular import Mixed
from genlab.objectives.tokens import CrossEntropy
from genlab.objectives.trees import ChowLiu
from genlab.objectives.variational import ELBO, DiscretisedLogistic, Gaussian
from genlab.optim import Optim
from genlab.samplers.diffusion import DDIM, Ancestral, Euler, Heun
from genlab.samplers.frames import IndependentKeys
from genlab.samplers.latent import Prior
from genlab.samplers.masked import Ancestral as Unmasking
from genlab.samplers.masked import Filling, Surest
from genlab.samplers.multistep import DPMpp
from genlab.samplers.tokens import Sample

IMAGE, POINTS, TOKENS, VOCAB, CLASSES = (1, 8, 8), (2,), (6,), 5, 3
TABLE, WIDTHS = (7,), [1, 3, 1, 2]  # two numbers, two categories
ASKED, BLOCKS = (8,), [1, 3, 1, 3]  # a table whose rows come with their first category
ROLLS = (6, 5)  # frames of keys
MAP = (3, 2, 2)  # latents of an image
SOUND = (1, 8, 16)  # mel bands and frames: no square
VIDEO = (1, 3, 8, 8)  # frames of an image
WAVE = (1, 128)  # samples


def batch_of(shape: tuple[int, ...]) -> Batch:
    """Eight examples that a tiny model can learn by heart; images within [-1, 1]."""
    g = torch.Generator().manual_seed(0)
    cond = torch.arange(8) % CLASSES
    if shape == TOKENS:
        return {"x": torch.randint(VOCAB, (8, *shape), generator=g), "cond": cond}
    if shape == ROLLS:
        # three keys of the first frame sound or not, all eight ways; each next frame is it, turned
        start = torch.tensor([[i & 1, i >> 1 & 1, i >> 2, 0, 1] for i in range(8)]).float()
        x = torch.stack([start.roll(t, 1) for t in range(shape[0])], 1)
        lengths = torch.tensor([6, 6, 4, 5, 6, 3, 6, 4])
        mask = torch.arange(shape[0]) < lengths[:, None]
        return {"x": x, "cond": cond, "mask": mask, "weight": lengths / lengths.float().mean()}
    if shape == POINTS:
        return {"x": torch.randn(8, *shape, generator=g), "cond": cond}
    if shape == TABLE:
        chosen = torch.randint(6, (8,), generator=g)
        a, b = (2 * torch.nn.functional.one_hot(chosen % n, n).float() - 1 for n in (3, 2))
        z = torch.randn(8, 2, generator=g)
        return {"x": torch.cat([z[:, :1], a, z[:, 1:], b], 1), "cond": cond}
    if shape == ASKED:
        a, b = (2 * torch.nn.functional.one_hot(v % 3, 3).float() - 1 for v in (cond, cond + 1))
        z = torch.randn(8, 2, generator=g)
        return {"x": torch.cat([z[:, :1], a, z[:, 1:], b], 1), "cond": cond}
    if shape == WAVE:  # tones of their own pitch and loudness
        pitch, loud = (torch.rand(8, 1, 1, generator=g) for _ in range(2))
        x = (0.1 + 0.4 * loud) * torch.sin((0.1 + pitch) * torch.arange(128))
        return {"x": x, "cond": cond}
    if shape == SOUND:
        coarse = torch.rand(8, 1, 2, 4, generator=g) * 1.5 - 1  # of any level
        return {"x": coarse.repeat_interleave(4, 2).repeat_interleave(4, 3), "cond": cond}
    if shape == VIDEO:  # an image, and where it moves to
        first = batch_of(IMAGE)["x"]
        x = torch.stack([first.roll(2 * t, 3) for t in range(shape[1])], 2)
        return {"x": x, "cond": cond}
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
        latent_shape=[4],
        conditions=Classes(num_classes=CLASSES),
        optim=Optim(partial(torch.optim.Adam, lr=5e-3)),
    )


def other_vae(objective, nets, shape, outputs: int = 1, **laws) -> VAE:
    """A VAE without conditions, of another bound, likelihood, posterior or prior."""
    return VAE(
        nets[0](shape, latent_dim=4),
        nets[1](shape, latent_dim=4, outputs=outputs),
        objective=objective,
        sampler=Prior(),
        shape=shape,
        latent_shape=[4],
        optim=Optim(partial(torch.optim.Adam, lr=5e-3)),
        **laws,
    )


def ladder(encoder: nn.Module, decoder: nn.Module, shape, likelihood, **sampler) -> LadderVAE:
    return LadderVAE(
        encoder,
        decoder,
        objective=LadderELBO(likelihood),
        sampler=Prior(**sampler),
        shape=shape,
        conditions=Classes(num_classes=CLASSES),
        optim=Optim(partial(torch.optim.Adam, lr=5e-3)),
    )


def conv_ladder(shape, likelihood) -> LadderVAE:
    """A vector, a map of one layer and a map of two."""
    sizes = {"widths": (16, 16, 8), "num_classes": CLASSES}
    return ladder(
        ConvBottomUp(shape, **sizes),
        ConvTopDown(shape, **sizes, latent_dims=(4, 2, 1), rungs=(1, 1, 2)),
        shape,
        likelihood,
    )


def mlp_ladder(shape, likelihood, **sampler) -> LadderVAE:
    sizes = {"latent_dims": (4, 2), "num_classes": CLASSES, "width": 64}
    nets = MLPBottomUp(shape, **sizes), MLPTopDown(shape, **sizes)
    return ladder(*nets, shape, likelihood, **sampler)


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


def masked(sampler: Filling) -> MaskedDiffusion:
    return MaskedDiffusion(
        Bidirectional(VOCAB, max_length=TOKENS[0], num_classes=CLASSES, width=16, depth=1, heads=2),
        objective=Masking(),
        sampler=sampler,
        shape=TOKENS,
        vocab=VOCAB,
        conditions=Classes(num_classes=CLASSES),
        optim=Optim(partial(torch.optim.AdamW, lr=1e-2)),
    )


def made(net: Callable) -> Autoregressive:
    """Tokens without conditions."""
    return Autoregressive(
        net(VOCAB, length=TOKENS[0]),
        objective=CrossEntropy(),
        sampler=Sample(),
        shape=TOKENS,
        vocab=VOCAB,
        optim=Optim(partial(torch.optim.AdamW, lr=1e-2)),
    )


def packed_gan() -> GAN:
    return GAN(
        BatchNormGenerator(POINTS, latent_dim=4, width=64, depth=2, init_std=0.2),
        MaxoutDiscriminator(POINTS, pack=2, width=64, depth=2, pieces=3, init_std=0.2),
        objective=NonSaturating(),
        sampler=Prior(),
        shape=POINTS,
        latent_dim=4,
        optim=Optim(partial(torch.optim.Adam, lr=5e-4, betas=(0.5, 0.9))),
        optim_discriminator=Optim(partial(torch.optim.Adam, lr=2e-3, betas=(0.5, 0.9))),
    )


def table_gan() -> GAN:
    """Rows that are asked for by a value; judged in pairs."""
    return GAN(
        TableGenerator(widths=BLOCKS, latent_dim=4, num_classes=CLASSES, width=64),
        PackDiscriminator(ASKED, num_classes=CLASSES, pack=2, width=64),
        objective=WGANGP(critic_steps=2),
        sampler=Prior(),
        shape=ASKED,
        latent_dim=4,
        conditions=OneValue(widths=BLOCKS, counts=[[], [3, 3, 2], [], []]),
        optim=Optim(partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.9))),
        optim_discriminator=Optim(partial(torch.optim.Adam, lr=2e-3, betas=(0.5, 0.9))),
    )


def plain_vae() -> VAE:
    return VAE(
        PlainEncoder(IMAGE, latent_dim=4, width=64),
        PlainDecoder(IMAGE, latent_dim=4, width=64),
        objective=ELBO(DiscretisedLogistic(levels=17)),
        sampler=Prior(),
        shape=IMAGE,
        latent_shape=[4],
        optim=Optim(partial(torch.optim.Adam, lr=5e-3)),
    )


def sinusoidal_ddpm() -> Diffusion:
    return Diffusion(
        SinusoidalMLP(POINTS, width=64, time_scale=50.0),
        objective=DDPM(num_levels=50, schedule="ho", spacing="even"),
        sampler=Ancestral(num_steps=50),
        shape=POINTS,
        optim=Optim(partial(torch.optim.Adam, lr=5e-3)),
    )


def frames(net: Callable) -> Frames:
    return Frames(
        net(ROLLS, width=32),
        objective=KeysCrossEntropy(),
        sampler=IndependentKeys(temperature=0.9),
        shape=ROLLS,
        optim=Optim(partial(torch.optim.Adam, lr=1e-2)),
    )


def codec(quantiser: Quantiser, family: Callable, *more: nn.Module, **options) -> VQVAE:
    latent = (quantiser.dim, 2, 2)
    return family(
        ConvCodecEncoder(IMAGE, latent=latent, width=8),
        ConvCodecDecoder(IMAGE, latent=latent, width=8),
        *more,
        objective=VQ(DiscretisedLogistic(levels=17), quantiser),
        shape=IMAGE,
        latent_map=latent,
        latent_shape=[4 * quantiser.stages],
        latent_vocab=quantiser.vocab,
        optim=Optim(partial(torch.optim.Adam, lr=5e-3)),
        **options,
    )


def vqvae(quantiser: Quantiser) -> VQVAE:
    return codec(quantiser, VQVAE)


def vqgan(quantiser: Quantiser, **options) -> AdversarialCodec:
    """Judged from the 20th batch on."""
    judge = PatchDiscriminator(IMAGE, width=8, layers=1)
    return codec(quantiser, AdversarialCodec, judge, **{"game": Hinge(), "start": 160, **options})


def latent_diffusion() -> Latent:
    """EDM over a map of values, of a codec that was not trained: what it encodes is still x's."""
    codec = VAE(
        ConvGaussianEncoder(IMAGE, latent=MAP, width=8),
        ConvCodecDecoder(IMAGE, latent=MAP, width=8),
        objective=ELBO(DiscretisedLogistic(levels=17)),
        sampler=Prior(),
        shape=IMAGE,
        latent_shape=MAP,
    )
    prior = diffusion(mlp, MAP, EDM(sigma_data=1.0), Heun(num_steps=6))
    model = Latent(codec, prior, optim=Optim(partial(torch.optim.Adam, lr=5e-3)))
    model.calibrate([batch_of(IMAGE)])
    return model


def wave_codec() -> AdversarialCodec:
    latent, nets = (4, 16), dict(strides=[4, 2], width=8, blocks=1)
    quantiser = ResidualVQ(stages=2, vocab=7, dim=4)
    return AdversarialCodec(
        WaveEncoder(WAVE, latent=latent, **nets),
        WaveDecoder(WAVE, latent=latent, **nets),
        WaveDiscriminator(WAVE, width=4, layers=2, scales=2),
        objective=SpectralVQ(Gaussian(sigma=0.1), quantiser, windows=(16, 64)),
        game=Hinge(),
        shape=WAVE,
        latent_map=latent,
        latent_shape=[32],
        latent_vocab=7,
        optim=Optim(partial(torch.optim.Adam, lr=5e-3)),
    )


def vq_transformer(quantiser: Quantiser, make: Callable = vqvae) -> Latent:
    codec = make(quantiser)
    codec.train()
    codec.loss(batch_of(IMAGE))  # places a codebook on what it is to encode
    prior = Autoregressive(
        GPT(
            quantiser.vocab,
            max_length=4 * quantiser.stages,
            num_classes=CLASSES,
            width=16,
            depth=1,
            heads=2,
        ),
        objective=CrossEntropy(),
        sampler=Sample(),
        shape=codec.latent_shape,
        vocab=quantiser.vocab,
        conditions=Classes(num_classes=CLASSES),
    )
    return Latent(codec, prior, optim=Optim(partial(torch.optim.AdamW, lr=1e-2)))


def normalising(net: Callable, shape, objective) -> NormalisingFlow:
    model = NormalisingFlow(
        net(shape, num_classes=CLASSES),
        objective=objective,
        sampler=Prior(),
        shape=shape,
        conditions=Classes(num_classes=CLASSES),
        optim=Optim(partial(torch.optim.Adam, lr=2e-3)),
    )
    model.calibrate([batch_of(shape)] * 128)  # as a run does
    return model


def mixture() -> Mixture:
    return Mixture(
        objective=Components(widths=WIDTHS, num=4),
        shape=TABLE,
        optim=Optim(partial(torch.optim.Adam, lr=2e-2)),
    )


def tree(**settings) -> CountedTree:
    return CountedTree(objective=ChowLiu(widths=WIDTHS, bins=8, **settings), shape=TABLE)


unet = partial(UNet, width=8, multipliers=(1, 2), attention=(2,), head_dim=8)
video_unet = partial(VideoUNet, width=8, multipliers=(1, 2), attention=(2,), head_dim=8)
dit = partial(DiT, patch=4, width=16, depth=1, heads=2)
mlp = partial(MLP, width=64, depth=2)
dcgan = partial(DCGANGenerator, width=16), partial(DCGANDiscriminator, width=16)
res = {"widths": (8, 16), "blocks": (1, 1), "group": 8}
resgan = partial(ResGenerator, **res), partial(ResDiscriminator, **res)
stylegan = (
    partial(StyleGenerator, widths=(8, 16), style_dim=8),
    partial(ResDiscriminator, **res, minibatch=4),
)
mlp_gan = partial(MLPGenerator, width=64, bounded=False), partial(MLPDiscriminator, width=64)
conv_vae = partial(ConvEncoder, width=16), partial(ConvDecoder, width=16)
glow = partial(Glow, width=16, steps=2)
realnvp = partial(RealNVP, width=32, depth=1, steps=4)
maf = partial(MAF, width=64, depth=1, steps=3)
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
    "flow-image": (lambda: diffusion(unet, IMAGE, Flow(), DPMpp(num_steps=10)), IMAGE, 100),
    "edm-points": (lambda: diffusion(mlp, POINTS, EDM(), Heun(num_steps=8)), POINTS, 200),
    "flow-points": (lambda: diffusion(mlp, POINTS, Flow(), Euler(num_steps=10)), POINTS, 200),
    "gan-image": (lambda: gan(*dcgan, IMAGE, r1, (2e-3, 2e-3)), IMAGE, 200),
    "gan-image-residual": (
        lambda: gan(*resgan, IMAGE, Relativistic(r1_gamma=0.3, r2_gamma=0.3), (2e-3, 2e-3)),
        IMAGE,
        200,
    ),
    "gan-image-style": (lambda: gan(*stylegan, IMAGE, r1, (2e-3, 2e-3)), IMAGE, 200),
    "hinge-points": (lambda: gan(*mlp_gan, POINTS, Hinge(), (5e-4, 2e-3)), POINTS, 200),
    "relativistic-points": (
        lambda: gan(*mlp_gan, POINTS, Relativistic(r1_gamma=0.3, r2_gamma=0.3), (5e-4, 2e-3)),
        POINTS,
        200,
    ),
    "squares-points": (lambda: gan(*mlp_gan, POINTS, LeastSquares(), (5e-4, 2e-3)), POINTS, 200),
    "gan-points": (lambda: gan(*mlp_gan, POINTS, r1, (5e-4, 2e-3)), POINTS, 200),
    "wgan-points": (
        lambda: gan(*mlp_gan, POINTS, WGANGP(gp_weight=1, critic_steps=2), (5e-4, 2e-3)),
        POINTS,
        200,
    ),
    "wgan-table": (table_gan, ASKED, 200),
    "vae-image": (lambda: vae(*conv_vae, IMAGE, DiscretisedLogistic(levels=17)), IMAGE, 150),
    "vae-points": (
        lambda: vae(*mlp_vae, POINTS, Gaussian(sigma=0.1, learn=True), noise=True),
        POINTS,
        150,
    ),
    "iwae-points": (
        lambda: other_vae(DoublyReparameterised(Gaussian(sigma=0.3), num=4), mlp_vae, POINTS),
        POINTS,
        150,
    ),
    "iaf-points": (
        lambda: other_vae(
            ELBO(Gaussian(sigma=0.3)),
            mlp_vae,
            POINTS,
            posterior=Flowed(IAF([4], context=4, width=32, depth=1, steps=2)),
            prior=FlowPrior(RealNVP([4], width=32, depth=1, steps=2)),
        ),
        POINTS,
        150,
    ),
    "vamp-image": (
        lambda: other_vae(
            ELBO(LogisticMixture(levels=17, num=2, outputs=6)),
            conv_vae,
            IMAGE,
            6,
            prior=VampPrior(shape=IMAGE, num=5),
        ),
        IMAGE,
        150,
    ),
    "ladder-image": (lambda: conv_ladder(IMAGE, DiscretisedLogistic(levels=17)), IMAGE, 150),
    "ladder-sound": (
        lambda: conv_ladder(SOUND, Gaussian(sigma=0.1, learn=True)),
        SOUND,
        150,
    ),
    "ladder-points": (
        lambda: mlp_ladder(POINTS, Gaussian(sigma=0.1, learn=True), noise=True),
        POINTS,
        150,
    ),
    "ladder-table": (lambda: mlp_ladder(TABLE, Mixed(widths=WIDTHS), noise=True), TABLE, 150),
    "edm-sound": (lambda: diffusion(unet, SOUND, EDM(), Heun(num_steps=6)), SOUND, 150),
    "gan-sound": (lambda: gan(*dcgan, SOUND, r1, (2e-3, 2e-3)), SOUND, 200),
    "vae-sound": (
        lambda: vae(*conv_vae, SOUND, Gaussian(sigma=0.1, learn=True)),
        SOUND,
        150,
    ),
    "edm-video": (lambda: diffusion(video_unet, VIDEO, EDM(), Heun(num_steps=6)), VIDEO, 150),
    "flow-video": (lambda: diffusion(video_unet, VIDEO, Flow(), Euler(num_steps=8)), VIDEO, 150),
    "vae-video": (lambda: vae(*mlp_vae, VIDEO, Gaussian(sigma=0.1, learn=True)), VIDEO, 150),
    "edm-table": (
        lambda: diffusion(mlp, TABLE, EDM(sigma_data=1.0), Heun(num_steps=8)),
        TABLE,
        200,
    ),
    "vae-table": (lambda: vae(*mlp_vae, TABLE, Mixed(widths=WIDTHS), noise=True), TABLE, 150),
    "mixture-table": (mixture, TABLE, 150),
    "tree-table": (tree, TABLE, 20),
    "columns-table": (lambda: tree(edges=False, alpha=0.1), TABLE, 20),
    "masked-tokens": (lambda: masked(Unmasking(num_steps=8)), TOKENS, 400),
    "masked-surest-tokens": (lambda: masked(Surest(num_steps=3)), TOKENS, 400),
    "gpt-tokens": (lambda: tokens(gpt), TOKENS, 150),
    "gru-tokens": (lambda: tokens(partial(GRU, width=32, depth=1)), TOKENS, 150),
    "lstm-tokens": (lambda: tokens(partial(LSTM, width=32, depth=1)), TOKENS, 150),
    "made-tokens": (lambda: made(partial(MADE, width=256)), TOKENS, 150),
    "fvsbn-tokens": (lambda: made(FVSBN), TOKENS, 150),
    "pacgan-points": (packed_gan, POINTS, 400),
    "plain-vae-image": (plain_vae, IMAGE, 150),
    "sinusoidal-points": (sinusoidal_ddpm, POINTS, 300),
    "rnn-rolls": (lambda: frames(FrameRNN), ROLLS, 100),
    "gru-rolls": (lambda: frames(FrameGRU), ROLLS, 100),
    "lstm-rolls": (lambda: frames(FrameLSTM), ROLLS, 100),
    "tcn-rolls": (lambda: frames(partial(TCN, dropout=0.0)), ROLLS, 100),
    "vqvae-image": (lambda: vqvae(VectorQuantiser(vocab=11, dim=3)), IMAGE, 150),
    "vqgan-image": (lambda: vqgan(VectorQuantiser(vocab=11, dim=3)), IMAGE, 150),
    "wave-codec": (wave_codec, WAVE, 100),
    "rvq-image": (
        lambda: vqvae(ResidualVQ(stages=2, vocab=7, dim=3, dropout=True)),
        IMAGE,
        150,
    ),
    "fsq-image": (lambda: vqvae(FSQ(levels=(4, 3))), IMAGE, 150),
    "glow-image": (lambda: normalising(glow, IMAGE, Dequantised(levels=17)), IMAGE, 100),
    "glow-sound": (lambda: normalising(glow, SOUND, ChangeOfVariables()), SOUND, 100),
    "realnvp-points": (lambda: normalising(realnvp, POINTS, ChangeOfVariables()), POINTS, 150),
    "realnvp-table": (
        lambda: normalising(realnvp, TABLE, DequantisedRows(widths=WIDTHS)),
        TABLE,
        150,
    ),
    "realnvp-video": (lambda: normalising(realnvp, VIDEO, ChangeOfVariables()), VIDEO, 100),
    "maf-points": (lambda: normalising(maf, POINTS, ChangeOfVariables()), POINTS, 150),
    "latent-edm-image": (latent_diffusion, IMAGE, 200),
    "latent-gpt-image": (lambda: vq_transformer(VectorQuantiser(vocab=11, dim=3)), IMAGE, 100),
    "latent-gpt-rvq-image": (
        lambda: vq_transformer(ResidualVQ(stages=2, vocab=7, dim=3)),
        IMAGE,
        100,
    ),
    "latent-gpt-vqgan-image": (lambda: vq_transformer(FSQ(levels=(4, 3)), vqgan), IMAGE, 100),
    "latent-gpt-fsq-image": (lambda: vq_transformer(FSQ(levels=(4, 3))), IMAGE, 100),
}
