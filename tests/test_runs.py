"""Whole runs: resume is bitwise, processes agree, commands work on what training wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from running import TINY, fit, genlab_here, looks, losses, on_two_processes, settled

import genlab as package
from genlab.rows import read_rows
from genlab.runs import train
from genlab.runs.folder.checkpoint import newest, read
from genlab.runs.folder.load import load_model
from genlab.runs.settings.plan import Plan

pytestmark = pytest.mark.whole
FAMILIES = {
    "gan": ["model=gan", "net.generator.width=8", "net.discriminator.width=8"],
    "gan_ada": ["model=gan", "net.generator.width=8", "net.discriminator.width=8", "augment=ada",
                "augment.examples=600", "augment.target=-0.5", "objective=relativistic",
                "optim_discriminator.optimizer.lr=4e-4"],
    "vae": ["model=vae", "net.encoder.width=8", "net.decoder.width=8"],
    "ladder_vae": ["model=ladder_vae", "net.widths=[16,8]", "net.latent_dims=[4,1]",
                   "net.rungs=[1,1]", "objective.warmup=200"],
    "diffusion": ["model=diffusion", "net.width=8", "sampler.num_steps=4"],
    "flow_matching": ["model=flow_matching", "net.width=8", "sampler.num_steps=4"],
    "gpt": ["data=digits_pixels", "model=autoregressive", "net.width=16", "net.depth=1",
            "net.heads=2", "net.dropout=0.1"],
    "vqvae": ["model=vqvae", "net.latent_map=[4,2,2]", "net.codes=[4]",
              "objective.quantiser.vocab=9", "net.encoder.width=8", "net.decoder.width=8"],
    "vqgan": ["model=vqgan", "net.latent_map=[4,2,2]", "objective.quantiser.vocab=9",
              "net.discriminator.layers=1", "net.discriminator.width=8", "model.start=96",
              "net.encoder.width=8", "net.decoder.width=8"],
    "rvq": ["model=vqvae", "objective=rvq", "net.latent_map=[4,2,2]", "objective.quantiser.vocab=9",
            "objective.quantiser.stages=2", "objective.quantiser.dropout=true",
            "net.encoder.width=8", "net.decoder.width=8"],
    "gru": ["data=digits_pixels", "model=autoregressive", "net=gru", "net.width=16"],
    "normalising_flow": ["model=normalising_flow", "net.width=16", "net.steps=2"],
    "masked_diffusion": ["data=digits_pixels", "model=masked_diffusion", "net.width=16",
                         "net.depth=1", "net.heads=2", "sampler.num_steps=4"],
}  # fmt: skip


def digest(value) -> str:
    """The sha256 of nested plain data and tensors."""
    h = hashlib.sha256()

    def add(v) -> None:
        if isinstance(v, torch.Tensor):
            h.update(str((v.dtype, tuple(v.shape))).encode() + v.contiguous().numpy().tobytes())
        elif isinstance(v, dict):
            for k in v:
                h.update(str(k).encode())
                add(v[k])
        elif isinstance(v, list | tuple):
            for x in v:
                add(x)
        else:
            h.update(repr(v).encode())

    add(value)
    return h.hexdigest()


def parts(run: Path) -> dict[str, str]:
    """Hashes of what a resumed run must have in common with one that never stopped."""
    held = read(newest(run))
    names = ("state_dict", "current_model_state", "optimizer_states", "clock")
    found = {n: digest(held[n]) for n in names if n in held}
    rows = [
        {k: v for k, v in r.items() if k != "seconds" and not k.startswith("speed")}
        for r in read_rows(run / "metrics.jsonl")
        if r["kind"] not in ("end", "notice")
    ]
    found["ledger"] = digest(rows)
    found["samples"] = digest([p.read_bytes() for p in sorted((run / "samples").glob("[!f]*"))])
    return found


def some_slow(names: Iterable[str], *quick: str) -> list:
    """All of them, of which the fast tests run the quick ones."""
    return [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in names]


@pytest.mark.parametrize("family", some_slow(FAMILIES, "vae", "gan", "gpt"))
def test_bf16_with_clipped_gradients(family: str, tmp_path: Path) -> None:
    """What a GPU does by default, on the CPU: near float32's loss, and weights kept in float32."""
    more = ["budget.examples=128", "trainer.clip=1.0", "callbacks.ledger.log_every=4"]
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        run = fit(
            [*FAMILIES[family], *more, f"trainer.precision={precision}"], tmp_path / precision
        )
        rows = read_rows(run / "metrics.jsonl")
        losses[precision] = [r["train/loss"] for r in rows if "train/loss" in r]
        held = read(newest(run))["state_dict"]
        assert {v.dtype for v in held.values() if v.is_floating_point()} == {torch.float32}
    assert losses["bf16-mixed"] != losses["32-true"]
    assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=0.03)


def test_clip_bounds_the_gradients_norm(tmp_path: Path) -> None:
    """With eps = 1, Adam's update of a tiny gradient is about lr times it: nothing moves."""
    more = ["budget.examples=64", "+optim.optimizer.eps=1.0", "callbacks.ema=null"]
    held = {}
    for clip in ("1e-9", "null"):
        run = fit([*FAMILIES["diffusion"], *more, f"trainer.clip={clip}"], tmp_path / clip)
        held[clip] = read(newest(run))["state_dict"]
    start = fit([*FAMILIES["diffusion"], *more, "optim.optimizer.lr=0"], tmp_path / "start")
    start = read(newest(start))["state_dict"]
    moved = {
        c: max((v - start[k]).abs().max().item() for k, v in h.items()) for c, h in held.items()
    }
    assert moved["1e-9"] < 1e-8 < 1e-6 < moved["null"]


class Stop(Exception):
    """Stands for whatever ends a run in the middle."""


def stopped_at(batches: int, overrides: list[str], run: Path, *, resume: bool = False) -> None:
    """A run that saves after `batches` and then breaks in the next batch."""
    from pytorch_lightning import Callback

    class Break(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
            if pl_module.clock.batches == batches:
                raise Stop(str(trainer.run.folder))

    settings = settled([*TINY, *overrides, f"save_every={16 * batches}"])
    run.mkdir(parents=True, exist_ok=True)
    train.write_yaml(run / "config.yaml", settings)
    original = train.Training.assemble

    def with_break(*arguments, **options):
        data, model, trainer = original(*arguments, **options)
        trainer.callbacks.insert(0, Break())
        return data, model, trainer

    train.Training.assemble = with_break
    try:
        with pytest.raises(Stop):
            train.Training(Plan(settings), run).fit(resume=resume)
    finally:
        train.Training.assemble = original


EMA = [(family, "default") for family in FAMILIES]
NO_EMA = [
    pytest.param(f, "no_ema", marks=[] if f in ("vae", "gan") else pytest.mark.slow)
    for f in FAMILIES
]


@pytest.mark.parametrize(("family", "ema"), [*EMA, *NO_EMA])
def test_resume_is_bitwise(family: str, ema: str, tmp_path: Path) -> None:
    overrides = [*FAMILIES[family], f"callbacks={ema}", "optim.warmup=64"]
    whole = fit(overrides, tmp_path / "whole")
    broken = tmp_path / "broken"
    stopped_at(5, overrides, broken)  # in the middle of an epoch and of a look's distance
    stopped_at(11, overrides, broken, resume=True)  # a second time
    fit(overrides, broken, resume=True)
    assert parts(broken) == parts(whole)


def test_the_last_save_holds_the_last_weights_wherever_it_falls(tmp_path: Path) -> None:
    """At a save's distance, or past the last one: as where a budget of minutes ends."""
    at, past = (fit([*FAMILIES["vae"], f"save_every={n}"], tmp_path / str(n)) for n in (128, 96))
    assert parts(past) == parts(at)


def test_the_check_of_resume_sees_a_difference(tmp_path: Path) -> None:
    """A negative control: one state left out is caught."""
    overrides = FAMILIES["diffusion"]
    whole = fit(overrides, tmp_path / "whole")
    broken = tmp_path / "broken"
    stopped_at(5, overrides, broken)
    from genlab.runs.folder.checkpoint import save

    path = newest(broken)
    held = read(path)
    for state in held["optimizer_states"][0]["state"].values():
        state["exp_avg_sq"].zero_()
    save(held, path)
    fit(overrides, broken, resume=True)
    mine, theirs = parts(broken), parts(whole)
    assert mine["state_dict"] != theirs["state_dict"] and mine["samples"] != theirs["samples"]


def test_the_same_command_gives_the_same_bits(tmp_path: Path) -> None:
    runs = [fit(FAMILIES["vae"], tmp_path / str(i)) for i in range(2)]
    assert parts(runs[0]) == parts(runs[1])
    other = fit([*FAMILIES["vae"], "seed=1"], tmp_path / "other")
    assert parts(other)["state_dict"] != parts(runs[0])["state_dict"]


@pytest.mark.parametrize(
    "family",
    [
        "diffusion",
        *(
            pytest.param(f, marks=pytest.mark.faults)
            for f in ("gpt", "vae", "flow_matching", "normalising_flow")
        ),
    ],
)
def test_accumulated_parts_see_the_same_batches_and_noise(family: str, tmp_path: Path) -> None:
    overrides = [o for o in FAMILIES[family] if "dropout" not in o]
    whole = fit(overrides, tmp_path / "a")
    parts_ = fit([*overrides, "trainer.accumulate=2"], tmp_path / "b")
    assert losses(parts_) == pytest.approx(losses(whole), rel=1e-3)


@pytest.mark.parametrize(
    "family",
    [
        "diffusion",
        *(
            pytest.param(f, marks=pytest.mark.faults)
            for f in ("gan", "vae", "gpt", "vqvae", "normalising_flow")
        ),
    ],
)
def test_two_processes_give_the_curve_of_one(family: str, tmp_path: Path) -> None:
    overrides = [o for o in FAMILIES[family] if "dropout" not in o]
    one = fit(overrides, tmp_path / "one")
    two = on_two_processes(overrides, tmp_path / "two")
    assert losses(two) == pytest.approx(losses(one), rel=1e-3)
    assert looks(two) == pytest.approx(looks(one), rel=2e-2)


def test_adas_p_moves_and_is_in_the_ledger_and_the_checkpoint(tmp_path: Path) -> None:
    run = fit(FAMILIES["gan_ada"], tmp_path / "run")
    seen = [r["train/augment_p"] for r in read_rows(run / "metrics.jsonl") if r["kind"] == "train"]
    assert len(set(seen)) > 2 and max(seen) > 0  # a step of 64 / 600 every fourth of 16 batches
    held = read(newest(run))
    states = [held["state_dict"], held["current_model_state"]]
    assert states[1]["augment.p"].item() == pytest.approx(seen[-1])
    rates = [r["train/lr"] for r in read_rows(run / "metrics.jsonl") if r["kind"] == "train"]
    assert rates[-1] == 2e-4 and held["optimizer_states"][1]["param_groups"][0]["lr"] == 4e-4


@pytest.mark.faults
def test_two_processes_have_adas_p_of_one(tmp_path: Path) -> None:
    """r_t is of the whole batch, and each process changes its share as one would."""
    one = fit(FAMILIES["gan_ada"], tmp_path / "one")
    two = on_two_processes(FAMILIES["gan_ada"], tmp_path / "two")
    of_one, of_two = (
        [r["train/augment_p"] for r in read_rows(run / "metrics.jsonl") if r["kind"] == "train"]
        for run in (one, two)
    )
    assert of_two == pytest.approx(of_one) and max(of_one) > 0
    assert losses(two) == pytest.approx(losses(one), rel=5e-3)


def test_load_needs_only_the_checkpoint(tmp_path: Path) -> None:
    run = fit(FAMILIES["diffusion"], tmp_path / "run")
    path = newest(run)
    alone = tmp_path / "elsewhere" / "x.ckpt"
    alone.parent.mkdir()
    alone.write_bytes(path.read_bytes())
    a = package.load(run).sample(3, torch.arange(3), seed=5)
    b = package.load(alone).sample(3, torch.arange(3), seed=5)
    assert torch.equal(a, b) and a.shape == (3, 1, 8, 8)
    raw = load_model(run, raw=True).sample(3, torch.arange(3), seed=5)
    assert not torch.equal(a, raw)  # the running average and the last weights differ


def test_every_command_on_one_run(tmp_path: Path) -> None:
    """train -> sample -> evaluate -> report -> export -> load, as a user types them."""
    run = tmp_path / "run"
    more = ["net.width=8", "callbacks.look.num=4", f"hydra.run.dir={run}"]
    done = genlab_here("train", "debug=smoke", *more)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "report.html" in done.stderr and (run / "report.html").is_file()
    assert json.loads((run / "provenance.json").read_text())["versions"]["torch"]
    found = json.loads((run / "evaluation.json").read_text())
    assert found["metrics"] and found["floor"]
    done = genlab_here("sample", f"run={run}", "num=5", "cond=7", "sampler.num_steps=3")
    assert done.returncode == 0, done.stderr
    assert len(list(run.glob("samples/seed0_first0_num5_cond7_num-steps3_at*.png"))) == 1
    done = genlab_here("sample", f"run={run}", "num=2", "sampler=euler", "sampler.num_stps=3")
    assert done.returncode == 2 and "num_steps" in done.stderr
    done = genlab_here("evaluate", str(run), "metric.num_samples=16", f"to={tmp_path / 'e'}")
    assert done.returncode == 0 and "frechet" in done.stdout, done.stderr
    done = genlab_here("report", str(run))
    assert done.returncode == 0, done.stderr
    done = genlab_here("export", f"run={run}", f"to={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    a = package.load(tmp_path / "out").sample(2, torch.arange(2))
    assert torch.equal(a, package.load(run).sample(2, torch.arange(2)))
    done = genlab_here("train", f"resume={run}")
    assert "is finished" in done.stderr and done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_networks_give_the_same_losses(family: str, tmp_path: Path) -> None:
    """With looks, a baseline, and (GAN) a penalty of second derivatives in between."""
    more = ["budget.examples=256", "callbacks.ledger.log_every=4", "look_every=128"]
    losses = {}
    for compile in ("true", "false"):
        run = fit([*FAMILIES[family], *more, f"trainer.compile={compile}"], tmp_path / compile)
        rows = read_rows(run / "metrics.jsonl")
        losses[compile] = [r["train/loss"] for r in rows if "train/loss" in r]
    assert losses["true"] == pytest.approx(losses["false"], rel=1e-3)
