"""What flows: a batch of examples on its way in, and what is already known on the way out."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torch import Tensor


class Batch(TypedDict):
    """Examples and what belongs to them; the first dimension of every entry is the example."""

    x: Tensor  # [B, *shape] the data: floats, or int64 tokens
    cond: NotRequired[Tensor]  # [B, ...] what the model is conditioned on: class labels, tokens
    mask: NotRequired[Tensor]  # [B, *shape] bool, which positions count in the loss; absent: all
    start: NotRequired[Tensor]  # [B] the token that stands before x; absent: x is a beginning


class Given(TypedDict):
    """What is already known of the examples to draw: a prompt, an image's left half, columns."""

    x: Tensor  # [num, *shape] (a prompt may be shorter than the example)
    mask: Tensor  # the same shape, bool: True where x is known
