"""Two-stage models as they are run: codec, prior of its latents, resume, load, another sampler."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest
import torch
from running import TINY, fit, genlab_here, looks, losses, on_two_processes, settled
from test_memory import kept
from test_runs import parts, stopped_at
from test_sharded import two

import genlab
from genlab.metrics.likelihood import held_out
from genlab.models.latent import Latent
from genlab.models.vae import VAE
from genlab.models.vqvae import VQVAE
from genlab.rows import read_rows
from genlab.runs.devices import memory
from genlab.runs.export import export
from genlab.runs.folder.load import load_data, read_run
from genlab.runs.say.errors import UserError
from genlab.runs.settings.overrides import changed
from genlab.runs.settings.plan import Plan

pytestmark = pytest.mark.whole
SMALL = ["net.encoder.width=8", "net.decoder.width=8"]
KL = ["model=vae", "net=conv_codec", "net.latent_shape=[2,2,2]", "conditions=none", *SMALL]
VQ = [
    "model=vqvae",
    "net.latent_map=[4,2,2]",
    "net.codes=[4]",
    "objective.quantiser.vocab=9",
    *SMALL,
]
PRIORS = {
    "kl": [
        "model=latent_diffusion",
        "net.width=8",
        "net.multipliers=[1]",
        "net.attention=[]",
        "sampler.num_steps=4",
    ],
    "vq": ["model=vq_transformer", "net.width=16", "net.depth=1", "net.heads=2"],
}
NAMES = pytest.mark.parametrize("name", PRIORS)


@pytest.fixture(scope="module")
def codecs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("codecs")
    return {n: fit(words, folder / n) for n, words in (("kl", KL), ("vq", VQ))}


def train(name: str, codecs: dict[str, Path], run: Path, *words: str, **changes) -> Path:
    return fit([*words_of(name, codecs), *words], run, **changes)


def words_of(name: str, codecs: dict[str, Path]) -> list[str]:
    return [*PRIORS[name], f"codec={codecs[name]}"]


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
def test_resume_is_bitwise_without_the_codecs_run(name, codecs, tmp_path):
    """A checkpoint is enough by itself: the run that trained the codec may be gone."""
    first = shutil.copytree(codecs[name], tmp_path / "codec")
    words = [*PRIORS[name], f"codec={first}", "optim.warmup=64"]
    whole, broken = fit(words, tmp_path / "whole"), tmp_path / "broken"
    stopped_at(5, words, broken)
    held = read_run(broken)["state_dict"]
    shutil.rmtree(first)
    done = genlab_here("train", f"resume={broken}")
    assert done.returncode == 0, done.stderr
    assert parts(broken) == parts(whole)
    after = read_run(broken)["state_dict"]
    assert all(torch.equal(after[k], v) for k, v in held.items() if k.startswith("codec."))


@NAMES
def test_steps_on_kept_latents_run_no_encoder(name, codecs, tmp_path, monkeypatch):
    """64 examples, seen four times: the losses are those of an encoder in every step."""
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    family, inside, calls = VAE if name == "kl" else VQVAE, [], []
    loss, encode = Latent.loss, family.encode

    def watched_loss(self, batch):
        inside.append(self.training)
        try:
            return loss(self, batch)
        finally:
            inside.pop()

    def watched_encode(self, x):
        calls.extend([len(x)] if inside and inside[-1] else [])
        return encode(self, x)

    monkeypatch.setattr(Latent, "loss", watched_loss)
    monkeypatch.setattr(family, "encode", watched_encode)
    words = [*words_of(name, codecs), "data.limit=64"]
    run = fit(words, tmp_path / "kept")
    assert not calls and len(list((tmp_path / "cache" / "latents").glob("*.latents"))) == 1
    each = fit([*words, "model.keep=false"], tmp_path / "each")
    assert sum(calls) == 256
    assert losses(run) == pytest.approx(losses(each), rel=1e-5)
    fit([*words, "budget.examples=112"], tmp_path / "less than two epochs")
    assert sum(calls) == 256 + 112


def test_a_run_goes_on_to_the_same_bits_where_the_kept_latents_were_lost(
    codecs, tmp_path, monkeypatch
):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    words = [*words_of("kl", codecs), "data.limit=64"]
    whole, broken = fit(words, tmp_path / "whole"), tmp_path / "broken"
    stopped_at(5, words, broken)
    shutil.rmtree(tmp_path / "cache" / "latents")
    done = genlab_here("train", f"resume={broken}")
    assert done.returncode == 0, done.stderr
    assert parts(broken) == parts(whole)


def test_flipped_pictures_are_encoded_in_every_step(codecs, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    fit([*words_of("kl", codecs), "data.limit=64", "data.flip=true"], tmp_path / "run")
    assert "encodes in every step" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "cache" / "latents").exists()


@NAMES
def test_a_fixed_codecs_outputs_are_not_counted_as_kept(name, codecs):
    plan = Plan(settled([*TINY, *words_of(name, codecs)]))
    assert memory.activations(plan) <= kept(plan)


def test_the_last_run_is_named_by_its_folder(codecs, tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    here = tmp_path / "kl_vae" / "there"
    shutil.copytree(codecs["kl"], here)
    assert settled([*PRIORS["kl"], "codec=last"])["init_from"] == {"codec": str(here)}
    assert settled(["init_from=last"])["init_from"] == str(here)
    swept = genlab_here("train", "-m", "seed=1,2", "init_from=last")
    assert swept.returncode == 2 and "name the run's folder" in swept.stderr


def test_one_command_trains_the_codec_first_and_takes_it_again(tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path / "o"))
    file = tmp_path / "conf" / "experiment" / "tiny_vq.yaml"
    file.parent.mkdir(parents=True)
    small = "evaluate: false\nlogger: null\nlook_every: 64\nsave_every: 64\n"
    nodes = "net: {latent_map: [4, 2, 2], encoder: {width: 8}, decoder: {width: 8}}\n"
    file.write_text(
        "# @package _global_\n# tiny\ndefaults:\n  - override /model: vqvae\n  - _self_\n"
        "data: {batch_size: 16}\nobjective: {quantiser: {vocab: 9}}\nbudget: {examples: 64}\n"
        f"callbacks: {{look: {{num: 0}}}}\n{nodes}{small}"
    )
    words = [*TINY, *PRIORS["vq"], "codec=experiment:tiny_vq"]
    words += ["--config-dir", str(tmp_path / "conf")]
    early = genlab_here("check", *words)
    assert early.returncode == 2 and "trains it first" in early.stderr.replace("\n", " ")
    run, codec = tmp_path / "run", tmp_path / "o" / "tiny_vq" / "codec"
    done = genlab_here("train", *words, f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    assert "first the codec: genlab train experiment=tiny_vq" in done.stdout + done.stderr
    held, theirs = (read_run(p)["state_dict"] for p in (run, codec))
    assert all(torch.equal(held[f"codec.{k}"], v) for k, v in theirs.items())
    (before,) = (codec / "checkpoints").glob("*.ckpt")
    stamp = before.stat().st_mtime_ns
    again = genlab_here("train", *words, f"hydra.run.dir={tmp_path / 'again'}")
    assert again.returncode == 0, again.stderr
    assert [p.stat().st_mtime_ns for p in (codec / "checkpoints").glob("*.ckpt")] == [stamp]
    file.write_text(file.read_text().replace("vocab: 9", "vocab: 8"))
    other = genlab_here("train", *words, f"hydra.run.dir={tmp_path / 'other'}")
    assert other.returncode == 2 and "has ended without a codec" in other.stderr
    swept = genlab_here("train", "-m", *words, "seed=1,2")
    assert swept.returncode == 2 and "write codec=RUN" in swept.stderr


@pytest.mark.parametrize("name", ["kl", pytest.param("vq", marks=pytest.mark.slow)])
def test_halves_of_a_batch_lose_what_the_whole_does(name, codecs, tmp_path):
    """In two accumulated parts, and on two processes: held-out losses and samples too."""
    words = words_of(name, codecs)
    one = fit(words, tmp_path / "one")
    halves = fit([*words, "trainer.accumulate=2"], tmp_path / "halves")
    assert losses(halves) == pytest.approx(losses(one), rel=1e-3)
    two = on_two_processes(words, tmp_path / "two")
    assert losses(two) == pytest.approx(losses(one), rel=1e-3)
    assert looks(two) == pytest.approx(looks(one), rel=2e-2)
    codec = read_run(codecs[name])["state_dict"]
    held = read_run(two)["state_dict"]
    assert all(torch.equal(held[f"codec.{k}"], v) for k, v in codec.items())


@NAMES
@pytest.mark.faults
def test_weights_are_shared_out_and_the_codec_stays(name, codecs, tmp_path):
    """trainer=fsdp, against the same halves in one process."""
    words = words_of(name, codecs)
    one = fit([*words, "trainer.accumulate=2"], tmp_path / "one")
    run = two(words, tmp_path / "two")
    assert losses(run) == pytest.approx(losses(one), rel=1e-5)
    assert looks(run) == pytest.approx(looks(one), rel=1e-5)
    codec, held = read_run(codecs[name])["state_dict"], read_run(run)["state_dict"]
    assert all(torch.equal(held[f"codec.{k}"], v) for k, v in codec.items())
    draws = [genlab.load(x).sample(2, seed=3) for x in (one, run)]
    assert draws[0].shape == draws[1].shape


@NAMES
def test_an_export_is_enough_by_itself(name, codecs, tmp_path):
    run = train(name, codecs, tmp_path / "run")
    done = genlab_here("export", f"run={run}", f"to={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    cond = torch.tensor([0, 1, 2])
    here, there = genlab.load(tmp_path / "out"), genlab.load(run)
    assert torch.equal(here.sample(3, cond, seed=4), there.sample(3, cond, seed=4))
    card = (tmp_path / "out" / "card.md").read_text()
    family, sampler = {"kl": ("Diffusion", "Heun("), "vq": ("Autoregressive", "Sample(")}[name]
    assert f"Latent (codec {'VAE' if name == 'kl' else 'VQVAE'}, prior {family})" in card
    assert f"sampler: {sampler}" in card


@NAMES
def test_check_shows_the_priors_networks_and_what_is_fixed(name, codecs):
    done = genlab_here("check", *words_of(name, codecs))
    assert done.returncode == 0, done.stderr
    codec = read_run(codecs[name])["state_dict"]
    for row in ("codec.encoder", "prior.net"):
        assert row in done.stdout, done.stdout
    learnt = {k for k in codec if "codebook" not in k and "usage" not in k and "begun" not in k}
    assert f"({sum(codec[k].numel() for k in learnt):,} of them fixed)" in done.stdout


def test_check_shows_all_of_a_codec():
    done = genlab_here("check", *VQ)
    assert done.returncode == 0, done.stderr
    assert "encoder" in done.stdout and "decoder" in done.stdout and "[128, 4, 2, 2]" in done.stdout


@NAMES
def test_a_likelihood_is_measured_where_there_is_one(name, codecs, tmp_path):
    run = train(name, codecs, tmp_path / "run")
    model, data = genlab.load(run), load_data(run)
    data.load()
    batches = [data.val.batch(torch.arange(20))]
    found, _ = held_out(model, data, batches)
    if name == "kl":
        assert model.likelihood == "none" and set(found) == {"loss"}
        return
    assert model.likelihood == "bound" and found["bits_per_dim_bound"] > 0
    bound = model.log_prob(batches[0])
    z = model.encode(batches[0]["x"])
    codes = model.prior.log_prob({"x": z, "cond": batches[0]["cond"]})
    uniform = -4 * torch.tensor(9.0).log()
    torch.testing.assert_close(bound - codes, model.codec.log_prob(batches[0]) - uniform)


@pytest.mark.slow
@NAMES
def test_compile_reaches_the_prior(name, codecs, tmp_path):
    from torch._dynamo.utils import counters

    more = ["budget.examples=128", "callbacks.ledger.log_every=4"]
    plain = train(name, codecs, tmp_path / "plain", *more)
    counters.clear()
    run = train(name, codecs, tmp_path / "run", *more, "trainer.compile=true")
    assert counters["stats"]["unique_graphs"] > 0
    assert losses(run) == pytest.approx(losses(plain), rel=1e-3)


def test_codec_is_a_part_of_init_from(codecs, tmp_path):
    settings = settled(words_of("kl", codecs))
    assert settings == settled([*PRIORS["kl"], f"init_from={{codec: {codecs['kl']}}}"])
    assert "codec" not in settings and "codec" not in settled([])
    run = train("kl", codecs, tmp_path / "run")
    again = [
        *words_of("kl", codecs),
        f"init_from={run}",
        "optim.optimizer.lr=0",
        "callbacks=no_ema",
    ]
    mine, theirs = (
        read_run(fit(again, tmp_path / "again"))["state_dict"],
        read_run(run)["state_dict"],
    )
    assert all(torch.equal(mine[k], v) for k, v in theirs.items() if k.startswith("prior."))


def test_an_exported_codec_is_a_codec(codecs, tmp_path):
    out = export(str(codecs["vq"]), tmp_path / "out")
    held = read_run(fit([*PRIORS["vq"], f"codec={out}"], tmp_path / "run"))["state_dict"]
    codec = read_run(codecs["vq"])["state_dict"]
    assert all(torch.equal(held[f"codec.{k}"], v) for k, v in codec.items())


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
    with pytest.raises(UserError, match="ancestral, consistency, ddim"):
        changed(settings, [("sampler", "greedy")])
    done = genlab_here(
        "sample", f"run={run}", "num=4", "sampler=ddim", "sampler.num_steps=2", f"to={tmp_path}/o"
    )
    assert done.returncode == 0, done.stderr


def test_a_codec_without_a_sampler_is_sampled(codecs, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # it was asked for nothing
        done = genlab_here("sample", f"run={codecs['vq']}", "num=2", f"to={tmp_path}/o")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=latent_diffusion"], r"model.codec comes from a run .* write codec=RUN$"),
        (["model=latent_diffusion", "codec=nowhere"], "^codec=nowhere: nowhere is no run folder"),
        (["model=latent_diffusion", "init_from={codec: nowhere}"], "nowhere is no run folder"),
        (["codec={kl}"], "this model has none; write model=latent_diffusion"),
        (["model=latent_diffusion", "codec={vq}"], "takes values, .*model=vae net=conv_codec"),
        (["model=vq_transformer", "codec={kl}"], "takes codes, .* name a run of model=vqvae"),
        (["model=latent_diffusion", "codec={kl}", "init_from={{codec: {kl}}}"], "another codec"),
        (["model=latent_diffusion", "codec={kl}/config.yaml"], "name the run's folder"),
        (["model=latent_diffusion", "codec={run}"], "a Diffusion is no codec; name a run of"),
        (
            ["model=latent_diffusion", "codec={kl}", "data.shape=[1,16,16]"],
            r"examples of shape \[1, 8, 8\], data has \[1, 16, 16\]",
        ),
    ],
)
def test_a_codec_that_does_not_do_is_one_line(words, message, codecs, tmp_path):
    run = tmp_path / "run"
    if "codec={run}" in words:
        run = fit(["net.width=8", "budget.examples=32"], run)
    words = [
        w.format(**codecs, run=run) if "{kl" in w or "{vq" in w or "{run" in w else w for w in words
    ]
    with pytest.raises(UserError, match=message) as error:
        settled(words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("objective", "code"), [("vq", 2), ("fsq", 0)])
def test_a_learned_codebook_takes_the_whole_batch(objective, code, tmp_path):
    words = ["model=vqvae", f"objective={objective}", "net.latent_map=[4,2,2]"]
    words += ["trainer.accumulate=2", f"hydra.run.dir={tmp_path / 'run'}"]
    done = genlab_here("train", *TINY, *words)
    assert done.returncode == code, done.stderr
    assert ("or write objective=fsq" in done.stderr) == bool(code)
    assert (tmp_path / "run").exists() != bool(code)
