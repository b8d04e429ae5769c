"""Shapes: the few tensor reshapings that every layer needs."""

from __future__ import annotations

from torch import Tensor


def append_dims(t: Tensor, like: Tensor) -> Tensor:
    """[B] -> [B, 1, ..., 1] with as many dimensions as `like`, to broadcast over an example."""
    return t.reshape(t.shape + (1,) * (like.ndim - t.ndim))


def per_example(t: Tensor) -> Tensor:
    """Mean over all but the first dimension: [B, ...] -> [B]."""
    return t.flatten(1).mean(1) if t.ndim > 1 else t


def sum_example(t: Tensor) -> Tensor:
    """Sum over all but the first dimension: [B, ...] -> [B]."""
    return t.flatten(1).sum(1) if t.ndim > 1 else t
