"""What enters and leaves each network of a model: one batch of shapes flows through its loss.

On torch's meta device: no memory is taken and nothing is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from genlab.batch import Batch, each
from genlab.models.base import GenerativeModel
from genlab.models.loop import networks
from genlab.rng import Draws
from genlab.shapes import shapes_alone


class Passed(NamedTuple):
    """One network: its parameters, and the shapes that it was first given and gave."""

    name: str
    parameters: int
    taken: str
    given: str


def flow(model: GenerativeModel, size: Sequence[int], *, tokens: bool) -> tuple[list[Passed], int]:
    """The networks that a batch x of `size` passes; the numbers put out for the gradient.

    `model` must be on the meta device. ValueError where a network does not take such a batch.
    """
    passed: dict[str, Passed] = {}
    total = 0

    def count(module: nn.Module, args: Any, out: Any) -> None:
        nonlocal total
        if torch.is_grad_enabled():  # a fixed codec's are not kept
            total += sum(t.numel() for t in _tensors(out))

    def note(name: str):
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            if name not in passed:
                num = sum(p.numel() for p in module.parameters())
                passed[name] = Passed(name, num, _shapes(args), _shapes(out))

        return hook

    handles = [net.register_forward_hook(note(name)) for name, net in networks(model)]
    leaves = [m for m in model.modules() if not list(m.children())]
    handles += [m.register_forward_hook(count) for m in leaves]
    batch: Batch = {
        "x": torch.zeros(tuple(size), dtype=torch.long if tokens else None, device="meta")
    }
    if (one := model.conditions.drawn(Draws(0, 0, 1))) is not None:
        batch["cond"] = each(lambda c: c.to("meta").expand(size[0], *c.shape[1:]), one)
    model.eval()  # a codebook that is not placed yet asks for numbers, where there are shapes alone
    try:
        with shapes_alone():
            model.loss(batch)
    except (RuntimeError, ValueError, IndexError) as error:
        first = str(error).splitlines()[0]
        if "meta" not in first and "data-dependent" not in first:
            raise ValueError(
                f"the net does not take what the data gives (shape {list(size[1:])}): {first}"
            ) from error
    finally:
        for handle in handles:
            handle.remove()
    return list(passed.values()), total


def _tensors(values: Any) -> list[Tensor]:
    return [t for t in (values if isinstance(values, tuple) else (values,)) if torch.is_tensor(t)]


def _shapes(values: Any) -> str:
    return ", ".join(str(list(t.shape)) for t in _tensors(values))
