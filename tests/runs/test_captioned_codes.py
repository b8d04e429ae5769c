"""Pictures by caption from codes: trained, asked in words, judged as any model of captions is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from running import fit, genlab_here

import genlab
from genlab.data.shapes import PARTS
from genlab.runs.folder.load import load_data

pytestmark = pytest.mark.whole

SHORT = ["budget.examples=32", "look_every=null"]
CODEC = ["experiment=captioned_vq", "net.encoder.width=8", "net.decoder.width=8", *SHORT]
CODES = ["experiment=captioned_codes", "net.width=16", "net.depth=1", "net.heads=2"]
WORDS = ["conditions.encoder.width=16", "conditions.encoder.depth=1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("captioned")
    codec = fit(CODEC, folder / "codec")
    return fit([*CODES, *WORDS, *SHORT, f"codec={codec}"], folder / "run")


def test_the_exact_reader_judges_it_by_the_same_metrics(run: Path, tmp_path: Path) -> None:
    small = ["metric.num_samples=12", "metric.chunk=6", "metric.likelihood_examples=12"]
    done = genlab_here("evaluate", f"run={run}", *small, f"to={tmp_path / 'e'}")
    assert done.returncode == 0, done.stderr
    found = json.loads(next((tmp_path / "e").rglob("evaluation.json")).read_text())
    shares = {"_".join(("right", *part)) for part in PARTS} & set(found["floor"])
    assert shares and all(found["floor"][name] == 1.0 for name in shares)
    assert shares <= set(found["metrics"]) and "readable_share" in found["metrics"]
    assert found["metrics"]["nats_per_example_bound"] > 0
    assert found["notes"]["sampler"].startswith("Sample(")


def test_it_is_asked_in_words(run: Path, tmp_path: Path) -> None:
    words = "cond='a red circle left of a blue square'"
    done = genlab_here("sample", f"run={run}", "num=2", words, f"to={tmp_path / 'o'}")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "o").rglob("*.png"))) == 1
    done = genlab_here("sample", f"run={run}", "num=1", "cond=a red circel")
    assert done.returncode == 2 and "near it: circle" in done.stderr


def test_the_caption_reaches_the_prior(run: Path) -> None:
    model, data = genlab.load(run), load_data(run)
    data.load()
    batch = data.val.batch(torch.arange(4))
    asked = [data.asked(4, cond=c)[0] for c in ("a red circle", "three white squares")]
    losses = [model.loss({"x": batch["x"], "cond": cond})["loss"] for cond in asked]
    assert not torch.allclose(*losses, rtol=1e-6)
    assert model.sample(2, asked[0][:2]).shape == (2, 3, 32, 32)
