"""Lightning's import without what it hardly uses, which is whole for whoever asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAN = """
import sys
import genlab, pytorch_lightning
heavy = {"torchvision", "torchmetrics.functional", "scipy.signal", "torch._inductor", "matplotlib"}
heavy &= set(sys.modules)
assert not heavy, heavy
from pytorch_lightning.core.module import Metric as lightnings
from torchmetrics import Metric, MeanMetric
import torchmetrics, torchmetrics.functional
assert Metric is lightnings is torchmetrics.metric.Metric and issubclass(MeanMetric, Metric)
assert torchmetrics.__version__ and "torchmetrics.functional" in sys.modules
mean = MeanMetric(); mean.update(2.0); mean.update(4.0)
assert float(mean.compute()) == 3.0
"""
COMPILED = """
import torch, genlab
from lightning_fabric.wrappers import OptimizedModule as fabrics
from pytorch_lightning.utilities.compile import OptimizedModule as lightnings, to_uncompiled
net = torch.nn.Linear(2, 2)
assert not isinstance(net, fabrics) and not isinstance(net, lightnings)
optimizer = torch.optim.AdamW(net.parameters())
net(torch.ones(3, 2)).sum().backward(); optimizer.step()
import sys
assert "torch._inductor" not in sys.modules  # training does not need it either
compiled = torch.compile(net)
assert isinstance(compiled, fabrics) and isinstance(compiled, lightnings)
assert isinstance(compiled, torch._dynamo.OptimizedModule)  # the module itself, with all it has
assert torch._dynamo.config and torch._dynamo.disable is torch._dynamo.decorators.disable
torch.compile(lambda: optimizer.step(), backend="eager")()
"""
SHAPES = """
import sys, torch, genlab
from genlab.shapes import shapes_alone
with shapes_alone():
    net = torch.nn.Linear(2, 3)
    assert (net(torch.randn(4, 2)) * 2 + 1).exp().shape == (4, 3)
    assert "torch._inductor" not in sys.modules
    import torch._dynamo.eval_frame  # a part of it: all of it comes
    from torch._dynamo.eval_frame import OptimizedModule
    assert OptimizedModule is torch._dynamo.OptimizedModule
    assert torch.compile(net).weight.is_meta
compiled = torch.compile(torch.nn.Linear(2, 3), backend="eager")
assert compiled(torch.ones(4, 2)).shape == (4, 3)
with shapes_alone():
    assert (torch.randn(4, 2) + 1).is_meta
"""
PLOTTED = """
import matplotlib; matplotlib.use("agg")
import genlab, pytorch_lightning
from torchmetrics import MeanMetric
mean = MeanMetric(); mean.update(2.0)
figure, axes = mean.plot()
import matplotlib.figure
assert isinstance(figure, matplotlib.figure.Figure)
from torchmetrics.utilities.plot import plot_confusion_matrix
"""
AFTERWARDS = """
import torchmetrics
before = torchmetrics.MeanMetric
import genlab
assert torchmetrics.MeanMetric is before
"""


SLOW = [pytest.param(code, marks=pytest.mark.slow) for code in (COMPILED, AFTERWARDS, PLOTTED)]


@pytest.mark.parametrize("code", [LEAN + SHAPES, *SLOW])
def test_lightning_is_imported_lean_and_the_rest_is_whole_when_asked_for(
    code: str,
) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
