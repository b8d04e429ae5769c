"""Shapes: the few tensor reshapings that every layer needs, and tensors of a shape alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def append_dims(t: Tensor, like: Tensor) -> Tensor:
    """[B] -> [B, 1, ..., 1] with as many dimensions as `like`, to broadcast over an example."""
    return t.reshape(t.shape + (1,) * (like.ndim - t.ndim))


def as_input(out: Tensor, x: Tensor, net: str = "net") -> Tensor:
    """`out`, which a net gave for x; a ValueError where it would only broadcast to x."""
    if not torch.is_tensor(out):
        raise ValueError(f"{net}: for x it gives several things: it is a net of another family")
    if out.shape != x.shape:
        raise ValueError(
            f"{net}: for x {list(x.shape)} it gives {list(out.shape)}: they must be alike"
        )
    return out


def per_example(t: Tensor) -> Tensor:
    """Mean over all but the first dimension: [B, ...] -> [B]."""
    return t.flatten(1).mean(1) if t.ndim > 1 else t


def sum_example(t: Tensor) -> Tensor:
    """Sum over all but the first dimension: [B, ...] -> [B]."""
    return t.flatten(1).sum(1) if t.ndim > 1 else t


FILL = (Tensor.normal_, Tensor.uniform_)
MAKE = (torch.randn, torch.rand)


class _NothingDrawn(TorchFunctionMode):
    """A tensor without memory is not filled: torch would import its compiler to draw no number."""

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in FILL or getattr(func, "__module__", None) == "torch.nn.init":
            filled = args[0] if args else kwargs["tensor"]
            if filled.is_meta:
                return filled
        if func in MAKE and torch.device(kwargs.get("device") or "meta").type == "meta":
            func, kwargs = torch.empty, {k: v for k, v in kwargs.items() if k != "generator"}
        return func(*args, **kwargs)


@contextmanager
def shapes_alone() -> Iterator[None]:
    """What is built here lies on torch's meta device: shapes and types without memory."""
    with torch.device("meta"), _NothingDrawn():
        yield
