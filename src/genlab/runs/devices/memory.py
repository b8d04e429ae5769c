"""Whether a model and its batch fit the device's memory: told before training, not a minute later.

Read: `weights` and `activations` count on torch's meta device what `genlab check` shows; a step
keeps nearly all of its networks' outputs for the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from genlab import machine
from genlab.runs.devices.processes import processes_here
from genlab.runs.gate.files import walk
from genlab.runs.say.errors import UserError
from genlab.runs.settings.plan import Plan

# not looked at: the count takes a part of a second, which an ordinary batch need not wait for
ORDINARY_BATCH, ORDINARY_NUMBERS = 1024, 2**22
ORDINARY_SIZE = 2048  # no network whose numbers are all below fills a machine's memory


def check_weights(plan: Plan) -> None:
    """Refuse a model whose weights, with what trains them, are more than the device's memory."""
    sizes = (v for _, v in walk(plan.get("net")) if type(v) in (int, float))
    if max(sizes, default=0) <= ORDINARY_SIZE or plan["trainer"].get("strategy") == "fsdp":
        return  # with FSDP each process holds a share
    try:
        needed = weights(plan.model_of_shapes())
    except Exception:  # whatever it is, it is told where the model is built in earnest
        return
    there = memory_of(plan["trainer"])[0]
    if needed > there:
        raise UserError(
            f"net: its weights, gradients and moments take {needed / 2**30:,.0f} GiB to train, the"
            f" device has {there / 2**30:,.0f}: a smaller net.width"
        )


def weights(model: Any) -> int:
    """Bytes of float32 weights, of those that learn with a gradient and two moments too."""
    return sum(4 * p.numel() * (4 if p.requires_grad else 1) for p in model.parameters())


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


def check_drawing(plan: Plan, size: Sequence[int], *, tokens: bool) -> None:
    """Refuse to draw a batch of `size` where the networks take more than this machine's memory."""
    from genlab.models.flow import peak

    num, *shape = size
    needed = peak(plan.model_of_shapes(), (1, *shape), tokens=tokens)
    there = machine.memory()
    if needed > there:
        raise UserError(
            f"one sample of shape {shape} takes {needed / 2**30:,.0f} GiB in the networks,"
            f" here are {there / 2**30:,.0f}"
        )
    if num * needed > there:
        raise UserError(
            f"batch_size={num}: so many samples at a time take {num * needed / 2**30:,.0f} GiB in"
            f" the networks, here are {there / 2**30:,.0f}: batch_size={there // needed // 2 or 1}"
        )


def memory_of(trainer: dict[str, Any]) -> tuple[float, int]:
    """Bytes of a GPU's or this machine's memory, and how many of those a batch is shared by."""
    import torch

    if trainer["accelerator"] == "cpu" or not torch.cuda.is_available():
        return machine.memory(), trainer["num_nodes"]
    gpus = processes_here({**trainer, "num_nodes": 1}) * trainer["num_nodes"]
    return torch.cuda.get_device_properties(0).total_memory, gpus


def checkpoint_size(trainer: Any, model: Any) -> int:
    """Bytes of one checkpoint: weights, their average where there is one, two moments of Adam's."""
    from pytorch_lightning.callbacks import WeightAveraging

    weights = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    return weights * (3 + any(isinstance(c, WeightAveraging) for c in trainer.callbacks))
