"""trainer=fsdp on two CPU processes: the curve and the file of one process, resume, the guard."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from running import TINY, fit, genlab, genlab_here, looks, losses
from test_runs import parts

import genlab as package
from genlab.runs.folder.checkpoint import newest, read

pytestmark = pytest.mark.whole
TWO = ["trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.threads=1"]
VAE = ["model=vae", "net.encoder.width=8", "net.decoder.width=8"]
TOKENS = ["data=digits_pixels", "model=autoregressive", "net.width=16"]
GPT = [*TOKENS, "net.depth=2", "net.heads=2", "net.dropout=0"]
# eps: what the gradients' norm is, and so whether it was bounded, shows in Adam's update
SEEN = ["trainer.clip=1.0", "+optim.optimizer.eps=0.01", "optim.weight_decay=0.1"]
FAMILIES = {
    "vae": [*VAE, *SEEN],
    "ladder_vae": ["model=ladder_vae", "net.widths=[16,8]", "net.latent_dims=[4,1]",
                   "net.rungs=[1,1]", *SEEN],
    "diffusion": ["model=diffusion", "net.width=8", *SEEN],
    "flow_matching": ["model=flow_matching", "net=dit", "net.width=16", "net.depth=2",
                      "net.heads=2", "callbacks=no_ema"],
    "normalising_flow": ["model=normalising_flow", "net.width=16", "net.steps=2", *SEEN],
    "gpt": [*GPT, "optim=adamw", *SEEN],
    "masked_diffusion": ["data=digits_pixels", "model=masked_diffusion", "net.width=16",
                         "net.depth=2", "net.heads=2", *SEEN],
    "gru": [*TOKENS, "net=gru", "trainer.accumulate=2"],
    "compiled": [*GPT, "trainer.compile=true", "budget.examples=64"],
    "muon": ["model=diffusion", "net.width=32", "net.multipliers=[1]", "net.attention=[]",
             "optim=muon", "trainer.clip=1.0"],
    "bf16": [*GPT, "trainer.precision=bf16-mixed"],
    "vae_bf16": [*VAE, *SEEN, "trainer.precision=bf16-mixed"],
}  # fmt: skip


def two(overrides: list[str], outputs: Path, *, code: int = 0) -> Path:
    """A run of two processes that share the weights out, and its folder."""
    words = [*(o for o in TINY if o != "trainer=cpu"), *TWO, *overrides]
    done = genlab("train", *words, GENLAB_OUTPUTS=str(outputs), OMP_NUM_THREADS="1")
    assert done.returncode == code, done.stderr[-2000:]
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    began = re.findall(rf"^genlab: \w+ in {re.escape(str(outputs))}", done.stderr, re.M)
    assert len(began) == 1, "one process speaks"
    return next(outputs.rglob("config.yaml")).parent


def gap(a: list[float], b: list[float]) -> float:
    """The largest relative difference."""
    return max(abs(x / y - 1) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    "family", ["vae", *(pytest.param(f, marks=pytest.mark.faults) for f in list(FAMILIES)[1:])]
)
def test_shards_train_as_one_process_does(family: str, tmp_path: Path) -> None:
    """Two processes see the halves of a batch that one process sees as two accumulated parts.

    Half a batch gives the same numbers on both sides, to the bit: the same kernels on the same
    shapes, and the mean of two gradients is exact. Only sums over processes differ (the gradient's
    norm, the mean of the losses), by an ulp or two of float32, 1.2e-7.

    The whole batch at once is no yardstick under bfloat16: a gradient is rounded to 8 bits for
    each part before the parts are added, so halves and whole differ (measured: up to 1.8e-5 of the
    loss, in one process as in two; in float32 1.3e-7). An ulp of float32 can also move a weight to
    the next bfloat16 (2.8e-6 of the loss, by the gradient's norm). So where bfloat16 is used, two
    processes may differ from one by what halves and whole do in one, here and on this processor.
    """
    overrides = FAMILIES[family]
    parts = 4 if family == "gru" else 2  # as many as two processes see together
    plain = [o for o in overrides if "compile" not in o and "accumulate" not in o]
    one = fit([*plain, f"trainer.accumulate={parts}"], tmp_path / "one")
    run = two(overrides, tmp_path / "two")
    near = 1e-5 if family == "compiled" else 1e-6  # fused kernels round elsewhere
    if "bf16" in family or family == "muon":  # whose iteration is in bfloat16
        near += gap(losses(fit(plain, tmp_path / "whole")), losses(one))
    assert losses(run) == pytest.approx(losses(one), rel=near)
    # held-out batches are cut in two too, and here one process sees them whole
    near = 1e-3 if "bf16" in family else 1e-5
    assert len(looks(run)) == (2 if family == "compiled" else 3)
    assert looks(run) == pytest.approx(looks(one), rel=near)
    # film.gif comes with the report, which a whole command writes
    names = [sorted(p.name for p in (x / "samples").glob("[!f]*")) for x in (one, run)]
    assert names[0] == names[1] and len(names[1]) == len(looks(run)) + 1  # and real data
    ours, theirs = read(newest(one)), read(newest(run))
    assert ours.keys() == theirs.keys()
    for states in ("state_dict", "current_model_state"):
        a, b = ours.get(states, {}), theirs.get(states, {})
        assert list(a) == list(b)
        for name in a:
            torch.testing.assert_close(b[name], a[name], rtol=1e-3, atol=1e-3)
    draws = [package.load(x).sample(2, seed=3) for x in (one, run)]
    assert draws[0].shape == draws[1].shape


HALVED = """
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from genlab.nn.transformer import GPT
from genlab.runs.devices.sharding import shard
torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
model = torch.nn.Module()
model.net = GPT(vocab=31, max_length=8, width=32, depth=2, heads=2)
whole = {name: p.shape for name, p in model.named_parameters()}
shard(model, init_device_mesh("cpu", (2,)))
assert {name: p.shape for name, p in model.named_parameters()} == whole
assert all(2 * p.to_local().numel() == p.numel() for p in model.parameters())
kinds = [type(b).__name__ for b in model.net.blocks] + [type(model.net).__name__]
assert kinds == ["FSDPBlock", "FSDPBlock", "FSDPGPT"], kinds
"""


@pytest.mark.faults
def test_a_process_holds_half_of_the_weights() -> None:
    subprocess.run([sys.executable, "-c", HALVED], check=True)


@pytest.mark.faults
@pytest.mark.parametrize("family", ["vae", "gpt"])
def test_resume_of_shards_is_bitwise(family: str, tmp_path: Path) -> None:
    overrides = [*FAMILIES[family], "optim.decay=constant"]
    whole = two(overrides, tmp_path / "whole")
    broken = two([*overrides, "budget.examples=128"], tmp_path / "broken")
    more = genlab("train", f"resume={broken}", "budget.examples=256", OMP_NUM_THREADS="1")
    assert more.returncode == 0, more.stderr[-2000:]
    assert parts(broken) == parts(whole)


@pytest.mark.faults
@pytest.mark.parametrize(("what", "code"), [("stop", 20), ("skip", 0)])
def test_the_guard_sees_all_shards(what: str, code: int, tmp_path: Path) -> None:
    overrides = [*GPT, "optim.optimizer.lr=1e30", f"callbacks.guard.not_finite={what}"]
    run = two(overrides, tmp_path, code=code)
    assert (run / "not_finite.jsonl").read_text()
    if what == "skip":  # the first update was finite, the others were left out on both processes
        held = read(newest(run))["current_model_state"]
        assert all(torch.isfinite(v).all() for v in held.values())


def test_a_gan_is_refused_before_training(tmp_path: Path) -> None:
    done = genlab_here("train", "model=gan", *TWO, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "trainer.strategy=fsdp" in done.stderr and "trainer=ddp" in done.stderr


def test_all_cpus_is_no_number_of_processes(tmp_path: Path) -> None:
    words = ["trainer=fsdp", "trainer.accelerator=cpu", f"hydra.run.dir={tmp_path / 'run'}"]
    done = genlab_here("train", *words)
    assert done.returncode == 2 and "trainer.devices=2" in done.stderr
