"""A batch that no memory holds is refused before training; what is counted is what a step keeps."""

from __future__ import annotations

import pytest
import torch
from running import settled

from genlab.runs.devices import memory
from genlab.runs.say.errors import UserError
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
