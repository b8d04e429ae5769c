"""Whether a step's batch fits the memory of the device: told before training, not after a minute.

The networks' outputs for one batch are counted on torch's meta device, as `genlab check` shows
them; the step keeps nearly all of them for the gradient.
"""

from __future__ import annotations

import math
from typing import Any

from genlab.runs.devices.processes import memory_here, processes_here
from genlab.runs.say.errors import UserError
from genlab.runs.settings.plan import Plan

# not looked at: the count takes a part of a second, which an ordinary batch need not wait for
ORDINARY_BATCH, ORDINARY_NUMBERS = 1024, 2**22


def check_batch(plan: Plan) -> None:
    """Refuse a batch whose activations alone are more than the memory."""
    batch, shape = plan["data"]["batch_size"], plan["data"]["shape"]
    if batch <= ORDINARY_BATCH and batch * math.prod(shape) <= ORDINARY_NUMBERS:
        return
    there, sharing = memory_of(plan["trainer"])
    needed = activations(plan) / plan["trainer"]["accumulate"] / sharing
    if needed <= there:
        return
    fits = 2 ** int(math.log2(max(1, batch * there / needed / 2)))
    raise UserError(
        f"data.batch_size={batch}: a step keeps at least {needed / 2**30:,.0f} GiB of the networks'"
        f" outputs, the device has {there / 2**30:,.0f}: write data.batch_size={fits} or less"
    )


def activations(plan: Plan) -> int:
    """Bytes of what the networks put out for one whole batch; 0 where that cannot be counted."""
    from genlab.models.flow import flow

    try:
        model, data = plan.model_of_shapes(), plan["data"]
        size = (data["batch_size"], *data["shape"])
        num = flow(model, size, tokens=data["vocab"] is not None)[1]
    except Exception:  # whatever it is, it is told where the model is built in earnest
        return 0
    # auto may choose bfloat16, and what is refused must be at least so much
    size = 4 if str(plan["trainer"]["precision"]).startswith("32") else 2
    return num * size


def memory_of(trainer: dict[str, Any]) -> tuple[int, int]:
    """Bytes of a GPU's or this machine's memory, and how many of those a batch is shared by."""
    import torch

    if trainer["accelerator"] == "cpu" or not torch.cuda.is_available():
        return memory_here(), trainer["num_nodes"]
    gpus = processes_here({**trainer, "num_nodes": 1}) * trainer["num_nodes"]
    return torch.cuda.get_device_properties(0).total_memory, gpus
