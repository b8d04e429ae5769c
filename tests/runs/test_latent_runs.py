"""Two-stage models as they are run: codec, prior of its latents, resume, load, another sampler."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from running import fit, genlab_here, settled

import genlab
from genlab.rows import read_rows
from genlab.runs.folder.load import read_run
from genlab.runs.say.errors import UserError
from genlab.runs.settings.overrides import changed

KL = ["model=vae", "net=conv_codec", "net.latent_shape=[2,2,2]", "conditions=none"]
VQ = [
    "model=vqvae",
    "net.latent_map=[4,2,2]",
    "net.codes=[4]",
    "objective.quantiser.vocab=9",
]
PRIORS = {
    "kl": ["model=latent_diffusion", "net.width=8", "net.multipliers=[1]", "net.attention=[]"],
    "vq": ["model=vq_transformer", "net.width=16", "net.depth=1", "net.heads=2"],
}
NAMES = pytest.mark.parametrize("name", PRIORS)


@pytest.fixture(scope="module")
def codecs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("codecs")
    return {n: fit(words, folder / n) for n, words in (("kl", KL), ("vq", VQ))}


def train(name: str, codecs: dict[str, Path], run: Path, *words: str, **changes) -> Path:
    first = f"init_from={{codec: {codecs[name]}}}"
    return fit([*PRIORS[name], first, *words], run, **changes)


@NAMES
def test_the_checkpoint_holds_the_codec_as_it_was(name, codecs, tmp_path):
    run = train(name, codecs, tmp_path / "run")
    held, codec = (read_run(p)["state_dict"] for p in (run, codecs[name]))
    for key, value in codec.items():
        assert torch.equal(held[f"codec.{key}"], value), key
    raw = read_run(run)["current_model_state"]
    assert all(torch.equal(raw[f"codec.{k}"], v) for k, v in codec.items())
    if name == "kl":
        assert held["latent_std"] != 1 and held["latent_std"] == raw["latent_std"]
    model = genlab.load(run)
    x = model.sample(3, torch.tensor([0, 1, 2]))
    assert x.shape == (3, 1, 8, 8) and torch.isfinite(x).all()
    looks = [r for r in read_rows(run / "metrics.jsonl") if r["kind"] == "look"]
    assert len(looks) == 3 and len(list((run / "samples").glob("[0-9]*.png"))) == 3


@NAMES
def test_a_run_that_is_cut_goes_on_bit_for_bit(name, codecs, tmp_path):
    whole = read_run(train(name, codecs, tmp_path / "whole", "optim.decay=constant"))
    cut = train(name, codecs, tmp_path / "cut", "optim.decay=constant", "budget.examples=128")
    codec = {k: v.clone() for k, v in read_run(cut)["state_dict"].items() if "codec." in k}
    train(name, codecs, cut, "optim.decay=constant", resume=True)
    again = read_run(cut)
    for kind in ("state_dict", "current_model_state"):
        assert all(torch.equal(again[kind][k], v) for k, v in whole[kind].items())
    assert all(torch.equal(again["state_dict"][k], v) for k, v in codec.items())


def test_space_is_the_codecs(codecs):
    settings = settled([*PRIORS["kl"], f"init_from={{codec: {codecs['kl']}}}"])
    assert settings["space"] == {"shape": [2, 2, 2], "vocab": None, "std": 1.0}
    assert settings["net"]["shape"] == settings["model"]["prior"]["shape"] == [2, 2, 2]
    assert settings["objective"]["sigma_data"] == 1.0
    settings = settled([*PRIORS["vq"], f"init_from={{codec: {codecs['vq']}}}"])
    assert (settings["space"]["shape"], settings["space"]["vocab"]) == ([4], 9)
    assert settings["net"]["vocab"] == 9 and settings["net"]["max_length"] == 4
    assert settled([])["space"]["shape"] == [1, 8, 8]


@pytest.mark.parametrize("data", ["digits", "fashion_mnist"])
def test_edm_is_told_the_datas_own_deviation(data):
    settings = settled([f"data={data}"])
    assert settings["objective"]["sigma_data"] == settings["data"]["std"] > 0.6


def test_another_sampler_reaches_the_prior(codecs, tmp_path):
    run = train("kl", codecs, tmp_path / "run")
    settings = read_run(run)["genlab"]["settings"]
    other = changed(settings, [("sampler", "ddim"), ("sampler.num_steps", "3")])["model"]
    assert other["prior"]["sampler"]["_target_"].endswith(".DDIM") and "sampler" not in other
    assert other["prior"]["sampler"]["num_steps"] == 3
    with pytest.raises(UserError, match="ancestral, ddim"):
        changed(settings, [("sampler", "greedy")])
    done = genlab_here(
        "sample", f"run={run}", "num=4", "sampler=ddim", "sampler.num_steps=2", f"to={tmp_path}/o"
    )
    assert done.returncode == 0, done.stderr


def test_a_codec_without_a_sampler_is_sampled(codecs, tmp_path):
    done = genlab_here("sample", f"run={codecs['vq']}", "num=2", f"to={tmp_path}/o")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=latent_diffusion"], r"model.codec comes from a run .*init_from=\{codec: RUN\}"),
        (["model=latent_diffusion", "init_from={codec: nowhere}"], "nowhere is no run folder"),
    ],
)
def test_a_codec_that_is_not_there_is_named(words, message):
    with pytest.raises(UserError, match=message):
        settled(words)
