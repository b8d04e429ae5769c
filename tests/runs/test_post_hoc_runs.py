"""Snapshots of two averages, in a run that is stopped and goes on."""

from __future__ import annotations

import pytest
import torch
from running import fit, genlab_here
from safetensors.torch import load_file
from test_runs import parts, stopped_at

pytestmark = pytest.mark.whole
WORDS = ["model=diffusion", "net.width=8", "net.multipliers=[1]", "net.attention=[]"]
WORDS += ["sampler.num_steps=2", "callbacks=post_hoc", "callbacks.post_hoc.snapshot_every=48"]


def test_snapshots_of_a_resumed_run_are_the_same_to_the_last_bit(tmp_path):
    whole, broken = fit(WORDS, tmp_path / "whole"), tmp_path / "broken"
    stopped_at(5, WORDS, broken)
    done = genlab_here("train", f"resume={broken}")
    assert done.returncode == 0, done.stderr
    assert parts(broken) == parts(whole)
    names = sorted(p.name for p in (whole / "ema").iterdir())
    assert names == sorted(p.name for p in (broken / "ema").iterdir()) and len(names) == 6
    for name in names:
        ours, theirs = (load_file(run / "ema" / name) for run in (whole, broken))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[k], theirs[k]) for k in ours), name
