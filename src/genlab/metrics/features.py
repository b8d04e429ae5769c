"""A small classifier of the training pictures, whose features the distances are measured in.

Published FID uses Inception features, which need a download and were not learnt from 8x8 digits.
This network is trained on the training split itself (seconds), always in the same way; it is kept
in a cache, and the hash of its weights stands beside every number. Numbers compare only under the
same hash: another machine's arithmetic may give another one.

Read: RECIPE -> FeatureNet -> train -> feature_net (the cache). Pictures are uint8 [N, C, H, W], as
a viewer sees them. Data without classes trains it to tell by how many quarter turns a picture was
turned (Gidaris et al. 2018). It runs on the CPU, whatever the model runs on, and touches no global
random state, so that it may be called in the middle of training.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.rng import generator, seed_of

RECIPE = {  # a change of what is below changes "version"; every entry is part of the cache's key
    "version": 1,
    "width": 32,
    "features": 64,
    "max_side": 64,  # larger pictures are judged at this size
    "shift": 1,  # pixels
    "batch": 128,
    "lr": 5e-3,
    "weight_decay": 0.05,
    "min_examples": 60_000,  # or two epochs, if that is more
}
CHUNK = 500
Progress = Callable[[float], None]  # told the share that is done


class FeatureNet(nn.Module):
    """uint8 pictures [B, C, H, W] -> features [B, 64] (after a ReLU) and logits [B, K]."""

    def __init__(self, shape: tuple[int, int, int], num_outputs: int) -> None:
        super().__init__()
        channels, *sides = shape
        self.side = min(max(sides), RECIPE["max_side"])
        width, side = RECIPE["width"], self.side
        layers = conv(channels, width, 1 if side <= 8 else 2)
        side = side if side <= 8 else (side + 1) // 2
        channels, width = width, 2 * width
        while side > 4:
            layers += conv(channels, width, 2)
            channels, side = width, (side + 1) // 2
        layers += conv(channels, width, 1)
        flat, dim = width * side * side, RECIPE["features"]
        self.body = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(flat, dim), nn.BatchNorm1d(dim), nn.ReLU()
        )
        self.head = nn.Linear(dim, num_outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(self.scaled(x))
        return h, self.head(h)

    def scaled(self, x: Tensor) -> Tensor:
        """uint8 -> float in [-1, 1], square, at most max_side."""
        x = x.float() / 127.5 - 1
        if x.shape[2:] != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True)
        return x


def conv(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


@dataclass(frozen=True)
class Features:
    """A trained feature network, and what has to be said beside the numbers it gives."""

    net: FeatureNet
    task: str  # "classes", or "quarter turns" where the data has no classes
    hash: str  # of the weights
    accuracy: float  # at its task, on held-out pictures

    def __call__(
        self, pictures: Tensor, *, progress: Progress = lambda share: None
    ) -> tuple[Tensor, Tensor]:
        """Features [N, 64] and class probabilities [N, K] of uint8 pictures [N, C, H, W]."""
        rows = []
        with apart(), torch.no_grad():
            for part in pictures.cpu().split(CHUNK):
                progress(len(rows) * CHUNK / len(pictures))
                rows.append(self.net(part))
        return torch.cat([r[0] for r in rows]), torch.cat([r[1].softmax(1) for r in rows])


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Within: plain float32 on one CPU thread, whatever the caller set; the RNG stays as found.

    One thread, because sums are added in an order that depends on the number of threads, and then
    so would the weights' hash; and products this small gain little from more.
    """
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    with (
        torch.inference_mode(False),
        torch.random.fork_rng(devices=[]),
        torch.autocast("cpu", enabled=False),
    ):
        # "medium" would let CPU products run in bfloat16, and the weights' hash depend on a setting
        torch.set_float32_matmul_precision("highest")
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(precision)
            torch.set_num_threads(threads)


def train(
    pictures: Tensor,
    labels: Tensor | None,
    *,
    num_classes: int | None,
    progress: Progress = lambda share: None,
) -> FeatureNet:
    """Fit the classifier to uint8 pictures [N, C, H, W] and labels [N] (None: quarter turns)."""
    with apart(), torch.enable_grad():
        torch.manual_seed(seed_of("features", RECIPE["version"]))
        net = FeatureNet(tuple(pictures.shape[1:]), 4 if labels is None else num_classes).train()
        lr, decay, size = RECIPE["lr"], RECIPE["weight_decay"], min(RECIPE["batch"], len(pictures))
        steps = max(RECIPE["min_examples"], 2 * len(pictures)) // size
        adam = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, lr, total_steps=steps, pct_start=0.2)
        draws = generator("features", RECIPE["version"])
        for step, at in zip(range(steps), batches(len(pictures), size, draws)):
            if step % 50 == 0:
                progress(step / steps)
            x = shifted(pictures[at], draws)
            x, y = turned(x, draws) if labels is None else (x, labels[at].long())
            loss = F.cross_entropy(net(x)[1], y)
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
        return net.eval()


def batches(num: int, size: int, draws: torch.Generator) -> Iterator[Tensor]:
    """Index batches [size], epoch after epoch, without the short last one."""
    while True:
        yield from torch.randperm(num, generator=draws)[: num // size * size].split(size)


def shifted(x: Tensor, draws: torch.Generator) -> Tensor:
    """The pictures, moved together by up to RECIPE["shift"] pixels; the edge is repeated."""
    by, (height, width) = RECIPE["shift"], x.shape[2:]
    top, left = torch.randint(0, 2 * by + 1, (2,), generator=draws).tolist()
    padded = F.pad(x.float(), [by] * 4, mode="replicate")
    return padded[:, :, top : top + height, left : left + width]


def turned(x: Tensor, draws: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """A batch, shuffled, its examples turned by 0, 1, 2, 3, 0, ... quarter turns; and how often."""
    if draws is not None:
        x = x[torch.randperm(len(x), generator=draws)]
    side = max(x.shape[2:])
    if x.shape[2] != x.shape[3]:
        x = F.interpolate(x.float(), (side, side), mode="bilinear", antialias=True)
    turns = torch.arange(len(x)) % 4
    out = x.clone()
    for k in (1, 2, 3):
        out[turns == k] = x[turns == k].rot90(k, (2, 3))
    return out, turns


def accuracy(net: FeatureNet, pictures: Tensor, labels: Tensor | None) -> float:
    """The share of held-out pictures [N, C, H, W] that it gets right."""
    with apart(), torch.no_grad():
        right = 0
        for at in torch.arange(len(pictures)).split(CHUNK):
            x, y = turned(pictures[at], None) if labels is None else (pictures[at], labels[at])
            right += int((net(x)[1].argmax(1) == y).sum())
    return right / max(1, len(pictures))


def feature_net(
    pictures: Tensor,
    labels: Tensor | None,
    held_out: tuple[Tensor, Tensor | None],
    *,
    num_classes: int | None,
    fingerprint: str,
    cache: Path | None = None,
    progress: Progress = lambda share: None,
) -> Features:
    """The feature network of this data: from the cache, or trained and put there.

    The key is the data's fingerprint, the shapes and RECIPE. A file that does not read as it should
    is replaced; a cache that cannot be written costs a warning.
    """
    told = [fingerprint, list(pictures.shape), num_classes, labels is None, RECIPE]
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    file = (cache or cache_folder()) / f"{key[:32]}.safetensors"
    net = read(file, tuple(pictures.shape[1:]), 4 if labels is None else num_classes)
    if net is None:
        net = train(pictures, labels, num_classes=num_classes, progress=progress)
        write_tensors(file, net.state_dict())
    task = "quarter turns" if labels is None else "classes"
    return Features(net, task, weights_hash(net), accuracy(net, *held_out))


def cache_folder() -> Path:
    base = os.environ.get("GENLAB_CACHE") or Path.home() / ".cache" / "genlab"
    return Path(base) / "features"


def weights_hash(net: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()[:12]


def read(file: Path, shape: tuple[int, int, int], num_outputs: int) -> FeatureNet | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.exists():
        return None
    with apart():
        net = FeatureNet(shape, num_outputs)
    try:
        net.load_state_dict(load_file(file))
    except (SafetensorError, RuntimeError, OSError) as error:
        warnings.warn(
            f"{file} is damaged ({error}): the feature network is trained anew", stacklevel=2
        )
        return None
    return net.eval()


def write_tensors(file: Path, tensors: dict[str, Tensor]) -> None:
    """Under another name first, so that a reader never meets half a file."""
    from safetensors.torch import save

    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(save(tensors, metadata={"recipe": json.dumps(RECIPE)}))
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"{file.name} is not kept: {error}", stacklevel=2)
