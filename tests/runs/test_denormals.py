"""Numbers below the least normal one: 0 while a model trains, and as ever before and after."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from running import fit

from genlab.runs.devices.denormals import flushed

TWO = """
import torch
from genlab.runs.devices.denormals import flushed
torch.set_num_threads(2)
with flushed():
    print(int((torch.full((2_000_000,), 1e-30) * 1e-10 != 0).sum()))
"""


def small() -> float:
    return float(torch.full((1000,), 1e-30).mul(1e-10).max())


def test_they_are_0_within_alone():
    assert small() > 0
    with flushed():
        assert small() == 0
    assert small() > 0
    with pytest.raises(ZeroDivisionError), flushed():
        _ = 1 / 0
    assert small() > 0


def test_threads_made_within_take_it_on():
    done = subprocess.run([sys.executable, "-c", TWO], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_a_step_of_training_has_none(tmp_path, monkeypatch):
    from genlab.models.diffusion import Diffusion

    seen, step = [], Diffusion.training_step

    def watched(self, batch, batch_idx):
        seen.append(small())
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Diffusion, "training_step", watched)
    fit(["data=ring", "model=diffusion", "budget.examples=32"], tmp_path / "run")
    assert seen and not any(seen)
    assert small() > 0
