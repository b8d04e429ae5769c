"""The contract, held by every family on every kind of data it fits: one suite, tiny networks.

Read: CASES (families.py) names how to build each model; each test below is one sentence of the
contract.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import pytorch_lightning as pl
import torch
from families import CASES, CLASSES, POINTS, ROLLS, TABLE, TOKENS, VOCAB, WAVE, batch_of
from torch import Tensor, nn
from torch.utils.data import DataLoader

from genlab.batch import Batch
from genlab.models.base import GenerativeModel
from genlab.models.diffusion import Diffusion
from genlab.models.gan import GAN
from genlab.models.ladder import LadderVAE
from genlab.models.latent import Latent
from genlab.models.loop import learns
from genlab.models.vae import VAE
from genlab.models.vqvae import VQVAE
from genlab.samplers.diffusion import Heun
from genlab.shapes import shapes_alone

CAN_FILL_IN = (
    "edm", "ddpm", "cosine", "flow", "gpt", "gru", "lstm", "made", "fvsbn", "sinusoidal", "mixture",
    "tree", "columns", "rnn", "tcn", "masked",
)  # fmt: skip


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
    if not learns(model):  # it counts
        model.count(batch["x"][:3])
    return model, batch


def classes(model: GenerativeModel, labels: Tensor) -> Tensor | None:
    """What a model of classes is asked for; nothing of one that cannot be asked."""
    return labels if model.conditions.some else None


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
    if learns(model):  # others count
        terms["loss"].mean().backward()
    odd = [n for n, p in model.named_parameters() if (p.grad is None) == p.requires_grad]
    assert not odd


def test_it_is_built_of_shapes_alone_as_a_loaded_file_asks(name):
    if name.startswith("latent"):
        pytest.skip("its builder trains a codec's first step; tests/models/test_latent_model.py")
    with shapes_alone():
        model = CASES[name][0]()
    real, _ = build(name)
    told = {k: (v.shape, v.dtype) for k, v in model.state_dict().items()}
    assert told == {k: (v.shape, v.dtype) for k, v in real.state_dict().items()}


class Short(nn.Module):
    """A net that gives too little, which would broadcast to what is asked."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *args):
        return self.net(*args)[:, :1]


@pytest.mark.parametrize(
    "name, net",
    [
        ("vae-points", "decoder"),
        ("gan-points", "generator"),
        ("edm-points", "net"),
        ("flow-points", "net"),
    ],
)
def test_a_net_of_another_shape_is_refused(name, net):
    model, batch = build(name)
    setattr(model, net, Short(getattr(model, net)))
    with pytest.raises(ValueError, match=f"{net}: for x .*: they must be alike"):
        if isinstance(model, GAN):
            pl.Trainer(max_steps=1, accelerator="cpu", logger=False).fit(
                model, DataLoader([batch], batch_size=None)
            )
        else:
            model.loss(batch)


@pytest.mark.whole
def test_it_learns_one_batch_by_heart(name):
    model, batch = build(name)
    steps, cond = CASES[name][2], classes(model, batch["cond"].repeat(8))
    loss, far = evaluated(model, batch), energy(model.sample(64, cond), batch["x"])
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=None if model.steps_itself else 1.0,
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
    bounded = "gan-image", "vae-image", "ladder-image", "vqvae", "vqgan", "rvq", "fsq", "latent"
    if name.startswith(bounded):
        assert x.abs().max() <= 1
    with_class = model.sample(5, classes(model, torch.tensor([0, 1, 2, 0, 1])))
    assert with_class.shape == x.shape


def test_what_it_is_asked_for_has_an_effect_or_a_warning(name):
    model, _ = perturbed(name)
    asked = [torch.full((8,), c) for c in range(CLASSES)]
    if not model.conditions.some:
        with pytest.warns(UserWarning, match="cond has no effect"):
            model.sample(8, asked[0])
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = [model.sample(8, cond, seed=1) for cond in asked]
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[1], drawn[2])
    with pytest.raises(ValueError, match="classes are 0 to 2"):
        model.sample(8, asked[0] + CLASSES)


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
    cond = classes(model, torch.arange(64) % CLASSES) if with_class else None
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


def test_ways_between_samples_begin_and_end_at_them(name):
    model, _ = perturbed(name)
    prior = model.prior if isinstance(model, Latent) else model
    if isinstance(prior, GAN | VAE | LadderVAE | Diffusion):
        cond = classes(model, torch.arange(6) % CLASSES)
        if isinstance(prior, Diffusion):
            prior.sampler = Heun(num_steps=3)  # what a stochastic one draws later is a row's own
        rows = model.between(6, 4, cond, seed=5, first=2)
        if not isinstance(prior, Diffusion):
            model.sampler = replace(model.sampler, noise=False)  # a VAE's mean
        for end, first in ((0, 2), (-1, 8)):
            samples = model.sample(6, cond, seed=5, first=first)
            torch.testing.assert_close(rows[:, end], samples, atol=1e-4, rtol=1e-4)
        own = model.between(6, 4, seed=5)  # of its own condition
        torch.testing.assert_close(own[:, 0], model.sample(6, seed=5), atol=1e-4, rtol=1e-4)
        part = model.between(3, 2, None if cond is None else cond[:3], seed=5, first=2)
        torch.testing.assert_close(part[:, 0], rows[:3, 0], atol=1e-4, rtol=1e-4)
    else:
        assert model.between(2, 3) is None


def test_the_weights_are_the_whole_model(name):
    a, batch = perturbed(name)
    b, _ = build(name)
    assert not torch.equal(a.sample(24), b.sample(24))
    b.load_state_dict(a.state_dict())
    assert torch.equal(a.sample(24), b.sample(24))
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
    if CASES[name][1] not in (POINTS, TABLE, WAVE):  # there it is a density
        assert (log_prob < 0).all()  # of something discrete


def test_what_is_given_stays_or_is_refused(name):
    model, batch = perturbed(name)
    mask = torch.zeros_like(batch["x"], dtype=torch.bool)
    first = slice(None, 1)
    mask[(slice(None), first) if CASES[name][1] == ROLLS else (..., first)] = True  # frames: whole
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
    if isinstance(model, GAN | VQVAE):
        # batch norm sees the share only, spectral norm and a codebook move with each pass
        model.eval()
    torch.manual_seed(7)
    whole = model.loss(batch)["loss"]
    halves = []
    for rank in (0, 1):
        torch.manual_seed(7)
        with share_of(rank, 2):
            part = {k: v[4 * rank : 4 * rank + 4] for k, v in batch.items()}
            halves.append(model.loss(part)["loss"])
    torch.testing.assert_close(torch.cat(halves), whole, atol=1e-3, rtol=1e-3)
