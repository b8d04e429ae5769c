"""Shapes: the few tensor reshapings that every layer needs."""

from __future__ import annotations

from torch import Tensor


def append_dims(t: Tensor, like: Tensor) -> Tensor:
    """[B] -> [B, 1, ..., 1] with as many dimensions as `like`, to broadcast over an example."""
    return t.reshape(t.shape + (1,) * (like.ndim - t.ndim))


def as_input(out: Tensor, x: Tensor, net: str = "net") -> Tensor:
    """`out`, which a net gave for x; a ValueError where it would only broadcast to x."""
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
