"""Lightning's import without all of torchmetrics, which is whole for whoever asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAN = """
import sys
import genlab, pytorch_lightning
heavy = {"torchvision", "torchmetrics.functional", "scipy.signal"} & set(sys.modules)
assert not heavy, heavy
from pytorch_lightning.core.module import Metric as lightnings
from torchmetrics import Metric, MeanMetric
import torchmetrics, torchmetrics.functional
assert Metric is lightnings is torchmetrics.metric.Metric and issubclass(MeanMetric, Metric)
assert torchmetrics.__version__ and "torchmetrics.functional" in sys.modules
mean = MeanMetric(); mean.update(2.0); mean.update(4.0)
assert float(mean.compute()) == 3.0
"""
AFTERWARDS = """
import torchmetrics
before = torchmetrics.MeanMetric
import genlab
assert torchmetrics.MeanMetric is before
"""


@pytest.mark.parametrize("code", [LEAN, pytest.param(AFTERWARDS, marks=pytest.mark.slow)])
def test_lightning_is_imported_lean_and_torchmetrics_is_whole_when_asked_for(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
