"""The real pictures that samples are compared with, and their features and neighbours.

What is computed from the data alone (features, the neighbours of held-out pictures) is kept in the
cache beside the feature network, so that only a data set's first evaluation takes that time.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.metrics import memorisation
from genlab.metrics.features import RECIPE, Features, cache_folder, feature_net, write_tensors
from genlab.metrics.memorisation import Neighbours, neighbours
from genlab.metrics.report import Data, Examples, subset

COMPARED = 2000  # held-out pictures, and samples, whose nearest training pictures are searched
VERSION = 1  # of what is computed here; a part of the cache's key
Progress = Callable[[str, float], None]


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
    val_neighbours: Neighbours  # of at most COMPARED held-out pictures, among `train`


def reference(data: Data, *, most: int, cache: Path | None, tell: Progress) -> Reference:
    """At most `most` pictures of each split, and what the cache holds or is computed of them."""
    train, labels = real_pictures(data, data.train, most)
    val, val_labels = real_pictures(data, data.val, most)
    features = feature_net(
        train,
        labels,
        (val, val_labels),
        num_classes=data.num_classes,
        fingerprint=data.fingerprint(),
        cache=cache,
        progress=lambda share: tell("training the feature network", share),
    )
    file = (cache or cache_folder()) / f"{_key(data, features, train, val)}.reference.safetensors"
    kept = read_tensors(file)
    if kept is None:
        kept = computed(features, train, val, tell)
        write_tensors(file, kept)
    return Reference(
        fingerprint=data.fingerprint(),
        features=features,
        train=train,
        labels=labels,
        val=val,
        val_labels=val_labels,
        train_features=kept["train_features"],
        val_features=kept["val_features"],
        val_probs=kept["val_probs"],
        val_neighbours=Neighbours(kept["distance"], kept["ratio"], kept["index"]),
    )


def computed(features: Features, train: Tensor, val: Tensor, tell: Progress) -> dict[str, Tensor]:
    """What an evaluation needs of real pictures alone."""
    stage = "features of the real pictures"
    val_features, probs = features(val)
    train_features, _ = features(train, progress=lambda share: tell(stage, share))
    near = neighbours(
        val[subset(len(val), COMPARED)],
        train,
        progress=lambda share: tell("neighbours of held-out pictures", share),
    )
    return {
        "train_features": train_features,
        "val_features": val_features,
        "val_probs": probs,
        **{name: rows.contiguous() for name, rows in vars(near).items()},
    }


def _key(data: Data, features: Features, train: Tensor, val: Tensor) -> str:
    search = [VERSION, COMPARED, memorisation.SIDE, memorisation.COARSE, memorisation.NEAREST]
    shown = [[*x.shape, hashlib.sha256(x.numpy()).hexdigest()] for x in (train, val)]
    told = [data.fingerprint(), features.hash, shown, search]
    return hashlib.sha256(json.dumps([told, RECIPE], sort_keys=True).encode()).hexdigest()[:32]


def read_tensors(file: Path) -> dict[str, Tensor] | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(file) if file.exists() else None
    except (SafetensorError, OSError) as error:
        warnings.warn(f"{file} is damaged ({error}): it is computed anew", stacklevel=2)
        return None
    return found


def pictures(data: Data, x: Tensor) -> Tensor:
    """Examples [N, *shape], pixels or tokens, as a viewer sees them: uint8 [N, C, H, W].

    Data that people do not look at (sounds) say by `pictured` what a classifier is shown instead.
    """
    shown = getattr(data, "pictured", data.decode)(x)
    return torch.from_numpy(np.stack(shown)).movedim(-1, 1).contiguous()


def real_pictures(data: Data, examples: Examples, most: int) -> tuple[Tensor, Tensor | None]:
    """Pictures of a split, at most `most` and always the same; labels if the data has classes."""
    shown, labels = [], []
    for part in subset(len(examples), most).split(2048):
        batch = examples.batch(part, None)
        shown.append(pictures(data, batch["x"]))
        if data.num_classes is not None:
            labels.append(batch["cond"].long())
    return torch.cat(shown), torch.cat(labels) if labels else None
