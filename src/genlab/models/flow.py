"""What enters and leaves each network of a model: one batch of shapes flows through its loss.

On torch's meta device: no memory is taken and nothing is computed.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

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
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        first = str(error).splitlines()[0]
        if isinstance(error, TypeError) and "forward()" not in first:
            raise  # a fault; else a net of another family, which is called in another way
        if "meta" not in first and "data-dependent" not in first:
            raise ValueError(
                f"the net does not take what the data gives (shape {list(size[1:])}): {first}"
            ) from error
    finally:
        for handle in handles:
            handle.remove()
    return list(passed.values()), total


class Peak(TorchDispatchMode):
    """Within: how many bytes of tensors were alive at once, of those that were made within."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self.now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            if tensor._is_view() or id(tensor) in self._known:
                continue
            size = tensor.numel() * tensor.element_size()
            self._known.add(id(tensor))
            weakref.finalize(tensor, self._free, id(tensor), size)
            self.now += size
            self.most = max(self.most, self.now)
        return out

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class Fused(TorchFunctionMode):
    """Within: attention keeps no matrix of weights, as on a device, where shapes alone would."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.scaled_dot_product_attention:
            return args[0].new_empty(*args[0].shape[:-1], args[2].shape[-1])
        return func(*args, **(kwargs or {}))


def peak(model: GenerativeModel, size: Sequence[int], *, tokens: bool) -> int:
    """Bytes that a batch of `size` takes at once on its way through the networks, no gradient."""
    with torch.no_grad(), Fused(), Peak() as found:
        flow(model, size, tokens=tokens)
        if hasattr(model, "codec"):  # what is drawn goes through the half that no loss needs
            with shapes_alone():
                x = torch.zeros(tuple(size), dtype=torch.long if tokens else None, device="meta")
                model.decode(model.encode(x))
    return found.most


def flops(model: GenerativeModel, size: Sequence[int], *, tokens: bool) -> int:
    """Floating-point operations of training on a batch of `size`: its loss, and twice that back.

    Products of matrices, convolutions and attention alone, as is the custom; a model with several
    networks passes each as its loss does.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        flow(model, size, tokens=tokens)
    return 3 * counter.get_total_flops()


def _tensors(values: Any) -> list[Tensor]:
    return [t for t in (values if isinstance(values, tuple) else (values,)) if torch.is_tensor(t)]


def _shapes(values: Any) -> str:
    """Of tensors, and of lists of tensors in brackets; other things are left out."""
    found = []
    for value in values if isinstance(values, tuple) else (values,):
        if torch.is_tensor(value):
            found.append(str(list(value.shape)))
        elif isinstance(value, list) and value and all(map(torch.is_tensor, value)):
            found.append(f"({_shapes(tuple(value))})")
    return ", ".join(found)
