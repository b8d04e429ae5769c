"""What a user may ask of `sample`: classes and known parts, checked before anything is drawn."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from genlab.batch import Batch, Given
from genlab.rng import Draws


def labels(cond: Tensor | None, num: int, num_classes: int | None, device) -> Tensor | None:
    """The classes to draw, [num] on the device; None where none were asked for.

    A model without classes warns that they have no effect.
    """
    if cond is None:
        return None
    if num_classes is None:
        warnings.warn("cond has no effect: the model was built without classes", stacklevel=3)
        return None
    if cond.shape != (num,):
        raise ValueError(f"cond has shape {list(cond.shape)}: must be [{num}], a class per example")
    cond = cond.to(device=device, dtype=torch.long)
    if int(cond.min()) < 0 or int(cond.max()) >= num_classes:
        raise ValueError(
            f"cond goes from {int(cond.min())} to {int(cond.max())}: "
            f"classes are 0 to {num_classes - 1}"
        )
    return cond


def labels_or_random(cond: Tensor | None, draws: Draws, num_classes: int | None) -> Tensor | None:
    """As `labels`; where none were asked for, each example draws its own, uniformly."""
    num = len(draws.generators)
    if cond is None and num_classes is not None:
        return (draws.rand() * num_classes).long().clamp(max=num_classes - 1)
    return labels(cond, num, num_classes, draws.device)


def batch_labels(batch: Batch, num_classes: int | None) -> Tensor | None:
    """The batch's classes, if the model knows of classes."""
    return batch.get("cond") if num_classes is not None else None


def known(given: Given, num: int, device) -> tuple[Tensor, Tensor]:
    """x and mask of what is given, on the device; one row per example, of one shape."""
    x, mask = given["x"].to(device), given["mask"].to(device, torch.bool)
    if x.shape != mask.shape or len(x) != num:
        raise ValueError(
            f"given.x has shape {list(x.shape)} and given.mask {list(mask.shape)}: "
            f"both must be of one shape, with {num} rows"
        )
    return x, mask
