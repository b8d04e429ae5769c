"""precision=auto: which of float32 and bfloat16 trains this model quicker here, by trying both.

Read: `choose` is what a run calls, once and in its first process. What a processor's flags promise
says little about a model: some layers have a slow bfloat16 kernel, and small ones pay for casts.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from genlab.batch import Batch
from genlab.models.base import GenerativeModel
from genlab.rng import share_of

PAIRS = 3  # rounds of one step of each, after one that warms up
GAIN = 0.95  # bfloat16 loses digits: it is taken where it saves a twentieth of the time or more


def choose(
    model: GenerativeModel,
    batch: Batch,
    device: torch.device | str,
    *,
    pairs: int = PAIRS,
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """The quicker for passes of `model` forth and back on `batch`: "bf16-mixed" or "32-true".

    Rounds of one step of each are compared, so that what else the machine does meets both. Weights,
    gradients, buffers, clock, terms and random generators are as before. Model and batch are moved
    to `device`, the model back again afterwards.
    """
    device = torch.device(device)
    if not bf16_runs(device):
        return "32-true"
    home = model.device
    with untouched(model, device):
        moved = {k: v.to(device) for k, v in batch.items()}
        model.to(device).train()
        try:
            for bf16 in (False, True):
                step(model, moved, bf16=bf16, clock=clock)
            ratios = []
            for _ in range(pairs):
                narrow = step(model, moved, bf16=True, clock=clock)
                ratios.append(narrow / max(step(model, moved, bf16=False, clock=clock), 1e-12))
        finally:
            model.to(home)
    return "bf16-mixed" if statistics.median(ratios) <= GAIN else "32-true"


def bf16_runs(device: torch.device) -> bool:
    """Whether bfloat16 is worth a try: nowhere on Apple's GPUs, nor where CUDA would emulate it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu"


def step(model: GenerativeModel, batch: Batch, *, bf16: bool, clock: Callable[[], float]) -> float:
    """Seconds of one forward and backward pass."""
    device = batch["x"].device
    with share_of(0, 1, torch.Generator(device).manual_seed(0)):
        began = clock()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = model.loss(batch)["loss"].mean()
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - began


@contextlib.contextmanager
def untouched(model: GenerativeModel, device: torch.device) -> Iterator[None]:
    """Within: the model may be trained on; afterwards it and torch's generators are as before."""
    values = {name: t.detach().clone() for name, t in tensors(model).items()}
    grads = {name: p.grad for name, p in model.named_parameters()}
    modes = {m: m.training for m in model.modules()}
    devices = [device] if device.type == "cuda" else []
    for p in model.parameters():
        p.grad = None
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            with torch.no_grad():
                for name, t in tensors(model).items():
                    t.copy_(values[name])
            for name, p in model.named_parameters():
                p.grad = grads[name]
            for module, mode in modes.items():
                module.training = mode


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers, also those that no checkpoint holds."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
