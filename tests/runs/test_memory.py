"""A batch that no memory holds is refused before training; what is counted is what a step keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from running import settled

from genlab.runs.devices import memory
from genlab.runs.devices.memory import check_drawing
from genlab.runs.say.errors import UserError
from genlab.runs.settings.compose import plan_of
from genlab.runs.settings.plan import Plan


def kept(plan: Plan) -> int:
    """Bytes that autograd keeps of one step."""
    data, storages, held = plan.build("data"), {}, []
    data.load()
    model = plan.model()

    def keep(t: torch.Tensor) -> torch.Tensor:
        if not isinstance(t, torch.nn.Parameter):
            storages[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        held.append(t)
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        model.loss(data.train_batch(0))["loss"].mean()
    return sum(storages.values())


@pytest.mark.parametrize(
    "words",
    [["data=ring", "data.batch_size=2000"], ["net.width=16", "data.batch_size=64"],
     ["data=ring", "model=vae", "data.batch_size=2000"]],
)  # fmt: skip
def test_what_is_counted_is_no_more_than_a_step_keeps_and_no_less_than_half(words) -> None:
    plan = Plan(settled([*words, "trainer=cpu", "trainer.precision=32-true"]))
    counted, found = memory.activations(plan), kept(plan)
    assert 0.5 * found < counted <= found


def test_a_batch_that_does_not_fit_says_which_does(monkeypatch) -> None:
    settings = settled(
        ["data=ring", "data.batch_size=4096", "trainer=cpu", "trainer.precision=32-true"]
    )
    plan = Plan(settings)
    counted = memory.activations(plan)
    monkeypatch.setattr(memory.machine, "memory", lambda: counted + 1)
    memory.check_batch(plan)
    monkeypatch.setattr(memory.machine, "memory", lambda: counted - 1)
    with pytest.raises(UserError, match=r"data.batch_size=4096: .*write data.batch_size=1024"):
        memory.check_batch(plan)
    settings["trainer"]["accumulate"] = 2
    memory.check_batch(Plan(settings))


PEAK = """
import re
from pathlib import Path

import torch
from genlab.models.flow import peak
from genlab.runs.settings.compose import plan_of

def mark():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

torch.set_num_threads(1)
plan = plan_of(["model=diffusion", "data=cifar10", "net.width=32"])[0]
told = peak(plan.model_of_shapes(), (1, 3, 256, 256), tokens=False)
model = plan.model()
with torch.no_grad():
    model.loss({"x": torch.randn(1, 3, 32, 32)})
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark is what is there now
    before = mark()
    model.loss({"x": torch.randn(4, 3, 256, 256)})
print(4 * told / (mark() - before))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak")
def test_what_drawing_takes_is_foreseen() -> None:
    """Of shapes alone, against what a process's memory grew by: attention keeps no matrix."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK], capture_output=True, text=True, check=True, timeout=120
    )
    assert 0.6 < float(done.stdout) < 1.6, done.stdout


def test_more_samples_at_a_time_than_memory_are_refused(monkeypatch) -> None:
    plan = plan_of(["model=diffusion", "data=cifar10"])[0]

    def ask(num: int) -> None:
        check_drawing(plan, [num, 3, 256, 256], tokens=False)

    monkeypatch.setattr("genlab.machine.memory", lambda: 2**30)
    ask(8)
    with pytest.raises(UserError, match=r"batch_size=64: .* take 5 GiB .* batch_size=6"):
        ask(64)
    monkeypatch.setattr("genlab.machine.memory", lambda: 2**24)
    with pytest.raises(UserError, match=r"one sample of shape \[3, 256, 256\] takes"):
        ask(22)
