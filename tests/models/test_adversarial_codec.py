"""The adversarial codec: the VQ-VAE that it is before it is judged, and its step by hand."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from families import IMAGE, batch_of, vqgan, vqvae
from torch.utils.data import DataLoader

from genlab.objectives.adversarial import WGANGP
from genlab.objectives.quantisation import FSQ
from genlab.optim import Optim

SGD = Optim(partial(torch.optim.SGD, lr=1e-3))
NETS = ("encoder", "decoder", "objective")


def fit(model, steps: int = 1):
    trainer = pl.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, DataLoader([batch_of(IMAGE)] * steps, batch_size=None))
    assert trainer.global_step == steps, "a batch is a step"
    return model


def made(make, **options):
    torch.manual_seed(0)
    model = make(FSQ(levels=(4, 3)), **options)
    model.optim = model.optim_discriminator = SGD
    return model


def alike(plain):
    """The VQ-VAE with the weights that the adversarial codec begins with."""
    judged = made(vqgan)
    for net in NETS:
        getattr(plain, net).load_state_dict(getattr(judged, net).state_dict())
    return plain


def test_before_it_is_judged_it_learns_as_its_vqvae():
    judged, plain = fit(made(vqgan), 5), fit(alike(made(vqvae)), 5)
    for net in NETS:
        theirs = getattr(plain, net).state_dict()
        for key, value in getattr(judged, net).state_dict().items():
            assert torch.equal(value, theirs[key]), (net, key)
    fresh = made(vqgan).discriminator.logits.parametrizations.weight.original1
    assert not torch.equal(judged.discriminator.logits.parametrizations.weight.original1, fresh)
    first, second = fit(made(vqgan), 21), fit(alike(made(vqvae)), 21)  # it starts with the 20th
    assert not torch.equal(first.decoder.last.weight, second.decoder.last.weight)


def test_a_step_is_eq_7_by_hand():
    model = made(vqgan, weight=0.7, perceptual=0.3)
    model.start, x = 0, batch_of(IMAGE)["x"]
    before = copy.deepcopy(model)
    after = fit(model)
    before.train().discriminator.load_state_dict(after.discriminator.state_dict())
    judge = before.discriminator.eval()  # its weights after its step
    params, codes, distance = before._coded(x)
    fake = params.clamp(-1, 1)
    reconstruction = before.objective.loss(x, params, codes, distance)["loss"]
    [real_layers], [layers] = judge(x), judge(fake)
    for a, b in zip(real_layers[:-1], layers[:-1], strict=True):
        far = (a - b).abs().flatten(1).mean(1) / a.abs().flatten(1).mean(1)
        reconstruction = reconstruction + 0.3 * 64 * far / (len(layers) - 1)
    game = -layers[-1].flatten(1).mean(1)
    last = before.decoder.last.weight
    slopes = [
        torch.autograd.grad(t.mean(), last, retain_graph=True)[0] for t in (reconstruction, game)
    ]
    balance = (slopes[0].norm() / (slopes[1].norm() + 1e-6)).clamp(max=1e4)
    ours, theirs = ([p for net in NETS for p in getattr(m, net).parameters()]
                    for m in (before, after))  # fmt: skip
    grads = torch.autograd.grad((reconstruction + 0.7 * balance * game).mean(), ours)
    moved = [(q - p).detach() for p, q in zip(ours, theirs, strict=True)]
    assert slopes[1].norm() > 0 and 0.7 * balance > 1e-3
    torch.testing.assert_close(moved, [-1e-3 * g for g in grads], rtol=2e-2, atol=1e-5)
    terms = after.flush()
    assert terms["adaptive_weight"] == pytest.approx(balance.item(), rel=2e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "model.weight=-1.0"),
        ({"perceptual": -1.0}, "model.perceptual=-1.0"),
        ({"game": WGANGP()}, "objective@model.game=hinge"),
    ],
)
def test_errors_name_the_key(options, message):
    with pytest.raises(ValueError, match=message):
        vqgan(FSQ(levels=(4, 3)), **options)
