"""What flows: a batch of examples on its way in, conditions, and what is already known on the way
out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict

import torch
from torch import Tensor

# conditions as a batch holds them: one row an example; of several kinds, by name
Cond = Tensor | dict[str, Tensor]
# conditions as a user asks for them (models/conditions.py)
Asked = Cond | Mapping[str, Any] | int | Sequence[int] | None


class Batch(TypedDict):
    """Examples and what belongs to them; the first dimension of every entry is the example."""

    x: Tensor  # [B, *shape] the data: floats, or int64 tokens
    cond: NotRequired[Cond]  # [B, ...] what the model is conditioned on: class labels, tokens
    # [B, *shape] bool, or its first dimensions: which positions count in the loss; absent: all
    mask: NotRequired[Tensor]
    start: NotRequired[Tensor]  # [B, ...] what stands right before x; absent: x is a beginning
    # [B] what an example counts for in the mean of losses, 1 in the mean; absent: all the same
    weight: NotRequired[Tensor]
    z: NotRequired[Tensor]  # [B, *latent] what a fixed codec makes of x, where it is kept
    rejected: NotRequired[Tensor]  # [B, *shape] the other one of a pair of which x was preferred


class Given(TypedDict):
    """What is already known of the examples to draw: a prompt, an image's left half, columns."""

    x: Tensor  # [num, *shape] (a prompt may be shorter than the example)
    mask: Tensor  # the same shape, bool: True where x is known


class Context(NamedTuple):
    """A sequence that a net attends to: an encoded caption, attributes."""

    states: Tensor  # [B, L, D]
    mask: Tensor  # [B, L] bool: True where a state counts; at least one in each row


def each(fn: Callable[..., Tensor], first: Any, *others: Any) -> Any:
    """fn of the tensors of one or more conditions of the same make; None of None."""
    if first is None:
        return None
    if isinstance(first, Mapping):
        return {k: each(fn, v, *(other[k] for other in others)) for k, v in first.items()}
    if isinstance(first, Context):
        return Context(*(fn(*parts) for parts in zip(first, *others)))
    return fn(first, *others)


def rows_of(cond: Cond) -> tuple[int, torch.device]:
    """How many rows the conditions have, and where they are."""
    first = next(iter(cond.values())) if isinstance(cond, Mapping) else cond
    return len(first), first.device
