"""The real pictures that samples are compared with, and their features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.metrics.features import Features, feature_net
from genlab.metrics.report import Data, Examples, subset


@dataclass
class Reference:
    """Pictures as a viewer sees them, uint8 [N, C, H, W]; labels [N] where there are classes."""

    fingerprint: str  # of the data
    features: Features
    train: Tensor
    labels: Tensor | None
    val: Tensor
    val_labels: Tensor | None
    train_features: Tensor  # [N, F]
    val_features: Tensor  # [M, F]
    val_probs: Tensor  # [M, K]


def reference(data: Data, *, most: int, cache: Path | None = None) -> Reference:
    """At most `most` pictures of each split; the feature network is in the cache, or trained."""
    train, labels = real_pictures(data, data.train, most)
    val, val_labels = real_pictures(data, data.val, most)
    features = feature_net(
        train,
        labels,
        (val, val_labels),
        num_classes=data.num_classes,
        fingerprint=data.fingerprint(),
        cache=cache,
    )
    val_features, probs = features(val)
    return Reference(
        fingerprint=data.fingerprint(),
        features=features,
        train=train,
        labels=labels,
        val=val,
        val_labels=val_labels,
        train_features=features(train)[0],
        val_features=val_features,
        val_probs=probs,
    )


def pictures(data: Data, x: Tensor) -> Tensor:
    """Examples [N, *shape], pixels or tokens, as a viewer sees them: uint8 [N, C, H, W]."""
    return torch.from_numpy(np.stack(data.decode(x))).movedim(-1, 1).contiguous()


def real_pictures(data: Data, examples: Examples, most: int) -> tuple[Tensor, Tensor | None]:
    """Pictures of a split, at most `most` and always the same; labels if the data has classes."""
    shown, labels = [], []
    for part in subset(len(examples), most).split(2048):
        batch = examples.batch(part, None)
        shown.append(pictures(data, batch["x"]))
        if data.num_classes is not None:
            labels.append(batch["cond"].long())
    return torch.cat(shown), torch.cat(labels) if labels else None
