"""One way to a model: weights of other runs, of named parts, adapters; a class of one's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from running import TINY, fit, genlab_here

import genlab
from genlab.rows import read_rows
from genlab.runs.folder.checkpoint import newest, read
from genlab.runs.folder.load import load_model

GPT = ["data=digits_pixels", "model=autoregressive", "net.width=16", "net.depth=2", "net.heads=2"]


@pytest.fixture(scope="module")
def gpt(tmp_path_factory) -> Path:
    return fit(GPT, tmp_path_factory.mktemp("runs") / "gpt")


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read(newest(run))["state_dict"]


def test_an_adapter_trains_reloads_and_merges_on_export(gpt: Path, tmp_path: Path) -> None:
    run = fit([*GPT, f"init_from={gpt}", "adapt=lora", "adapt.rank=2"], tmp_path / "lora")
    mine, theirs = weights(run), weights(gpt)
    assert theirs.keys() < mine.keys()
    assert all(torch.equal(mine[k], theirs[k]) for k in theirs)  # only the update has learnt
    assert any(mine[k].abs().sum() > 0 for k in mine if k.endswith("lora_b"))
    x = load_model(run).sample(4, seed=3)
    assert not torch.equal(x, load_model(gpt).sample(4, seed=3))
    done = genlab_here("export", f"run={run}", f"to={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    plain = genlab.load(tmp_path / "out")
    assert plain.state_dict().keys() == theirs.keys()
    assert torch.equal(plain.sample(4, seed=3), x)


def test_a_resumed_adapter_goes_on_to_the_bit(gpt: Path, tmp_path: Path) -> None:
    words = [*GPT, f"init_from={gpt}", "adapt=lora", "optim.decay=constant", "callbacks=no_ema"]
    whole = fit(words, tmp_path / "whole")
    broken = fit([*words, "budget.examples=128"], tmp_path / "broken")
    again = {"budget": {"examples": 256, "minutes": None}}
    fit(words, broken, resume=True, **again)
    mine, theirs = weights(broken), weights(whole)
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def test_partial_weights_say_what_was_taken_and_what_not(gpt: Path, tmp_path: Path, capsys) -> None:
    run = fit([*GPT, "net.depth=3", "data.num_classes=null", f"init_from={gpt}",
               "optim.optimizer.lr=0", "callbacks=no_ema"], tmp_path / "deeper")  # fmt: skip
    told = next(x for x in capsys.readouterr().err.splitlines() if "init_from" in x)
    for part in (
        "tensors taken",
        "of the weights",
        "new here: net.blocks.2",
        "only there: net.cl",
    ):
        assert part in told, told
    mine, theirs = weights(run), weights(gpt)
    assert torch.equal(mine["net.embed.weight"], theirs["net.embed.weight"])


def test_a_named_part_takes_its_part_alone(gpt: Path, tmp_path: Path) -> None:
    words = [*GPT, "optim.optimizer.lr=0", "callbacks=no_ema", f"init_from={{net: {gpt}}}"]
    mine, theirs = weights(fit(words, tmp_path / "net")), weights(gpt)
    assert all(torch.equal(mine[k], theirs[k]) for k in theirs)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model=vae", "init_from={run}"], "name a run of the same family"),
        ([*GPT, "init_from={{codec: {run}}}"], "no such part; it has net"),
        ([*GPT, "init_from=nowhere"], "nowhere"),
    ],
)
def test_what_does_not_fit_is_one_line(words, told, gpt: Path, tmp_path: Path) -> None:
    words = [w.format(run=gpt) for w in words] if words != GPT else words
    done = genlab_here("train", *TINY, *words, f"hydra.run.dir={tmp_path / 'run'}")
    lines = [x for x in done.stderr.splitlines() if told in x]
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    assert not (tmp_path / "run").exists()


OWN = """
from genlab.models.gan import GAN


class Own(GAN):
    pass
"""


def test_a_subclass_of_a_gan_trains_as_the_original(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "own_gan.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    small = ["model=gan", "net.generator.width=8", "net.discriminator.width=8", "trainer.clip=1.0"]
    own = [*small, "model._target_=own_gan.Own", "trust=[own_gan]"]
    runs = [fit(w, tmp_path / n) for n, w in (("gan", small), ("own", own))]
    losses = [[r["train/loss"] for r in read_rows(r / "metrics.jsonl") if r["kind"] == "train"]
              for r in runs]  # fmt: skip
    assert losses[0] == losses[1] and len(losses[0]) == 16
    done = genlab_here("train", *TINY, *own, "trainer.accumulate=2",
                       f"hydra.run.dir={tmp_path / 'parts'}")  # fmt: skip
    assert done.returncode == 2 and "the step of a Own takes the whole batch" in done.stderr
    sys.modules.pop("own_gan", None)
