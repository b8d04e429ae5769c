"""Piano rolls: pieces of music as frames of 88 keys, each sounding or not.

Read: `PieceExamples` (pieces of any length in a batch), then `Rolls` (splits, units, beginnings).
Where the pieces come from is a source (sources/rolls.py). x is [B, T, 88] of 0 and 1, T the longest
piece of the batch; the mask [B, T] says which frames count. An example's `weight` is its share of
the batch's frames, so that the mean of weighted means is the mean over all frames, whoever computes
which part of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Given
from genlab.data.base import DataModule, Examples
from genlab.data.sources.rolls import KEYS, LOWEST, RollSource
from genlab.data.stated import sha256
from genlab.views.score import Score, notes_of

KEPT = 8  # frames of a held-out piece that samples go on from, where mask does not say


class PieceExamples(Examples):
    """Pieces, one after another in one tensor; in a batch they are filled up with silence."""

    ragged = True

    def __init__(
        self, pieces: Sequence[np.ndarray], *, window: int | None = None, given: int = 0
    ) -> None:
        """`window`: frames that are taken of a longer piece, at a place that is drawn; the first
        `given` frames of a piece are read and do not count."""
        self.lengths = torch.tensor([len(p) for p in pieces])
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.frames = torch.from_numpy(np.concatenate(pieces)).bool()  # [frames, 88]
        self.window, self.given = window, given
        self.draws = 0 if window is None else 1
        shown = self.lengths if window is None else self.lengths.clamp(max=window)
        self.shown, self.counts = shown, (shown - given).clamp(min=0)

    def __len__(self) -> int:
        return len(self.lengths)

    def chosen(self, ids: Tensor) -> PieceExamples:
        parts = self.frames.split(self.lengths.tolist())
        some = [parts[i].numpy() for i in ids.tolist()]
        return PieceExamples(some, window=self.window, given=self.given)

    def weights(self, ids: LongTensor) -> Tensor:
        """The frames that count in each, by the mean of all pieces [B]."""
        return self.counts[ids] / self.counts.double().mean()

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        lengths = self.shown[ids]
        skipped = torch.zeros_like(lengths)  # frames before the window
        if draws is not None:
            skipped = (draws[:, 0] * (self.lengths[ids] - lengths + 1)).long()
        t = torch.arange(int(lengths.max()))
        inside = t < lengths[:, None]
        at = (self.starts[ids] + skipped)[:, None] + t
        x = self.frames[at.clamp(max=len(self.frames) - 1)] & inside[..., None]
        batch = Batch(x=x.float(), mask=inside & (t >= self.given))
        if draws is not None:
            before = self.frames[(self.starts[ids] + skipped - 1).clamp(min=0)]
            batch["start"] = (before & (skipped > 0)[:, None]).float()
        batch["weight"] = self.weights(ids).float()
        return batch


class Rolls(DataModule):
    """Pieces as frames of keys: whole in val and test, whole or in windows in training."""

    kind = "rolls"
    noun = "pieces"
    made_of = "frames"

    def __init__(
        self,
        *,
        source: RollSource,
        frames: int,
        batch_size: int,
        seed: int,
        shape: Sequence[int] | None = None,
        window: int | None = None,
        given_frames: int = 1,
        num_classes: int | None = None,
        vocab: int | None = None,
        levels: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`frames` of a piece that is drawn; `window`: frames of a training example, None for
        whole pieces; `given_frames`: the first of a held-out piece, which do not count."""
        least = {
            "frames": (frames, 1),
            "window": (1 if window is None else window, 1),
            "given_frames": (given_frames, 0),
        }
        for key, (value, low) in least.items():
            if not isinstance(value, int) or value < low:
                raise ValueError(f"data.{key}={value}: write a whole number from {low} on")
        if shape is not None and list(shape) != [frames, KEYS]:
            raise ValueError(
                f"data.shape={list(shape)}: rolls have [data.frames, {KEYS}], here {[frames, KEYS]}"
            )
        for key, value in (("num_classes", num_classes), ("vocab", vocab), ("levels", levels)):
            if value is not None:
                raise ValueError(f"data.{key}={value}: rolls have none; write data.{key}=null")
        super().__init__(
            shape=(frames, KEYS), batch_size=batch_size, seed=seed, std=std,
            val_examples=val_examples,
        )  # fmt: skip
        self.source, self.window, self.given_frames = source, window, given_frames
        self.view = Score(frames_per_quarter=source.frames_per_quarter)

    # --- reading --------------------------------------------------------------------------------

    def prepare(self) -> None:
        self.source.prepare()

    def read(self) -> dict[str, Examples]:
        found = self.source.pieces()
        for split, pieces in found.items():
            if odd := [p.shape for p in pieces if p.ndim != 2 or p.shape[1] != KEYS]:
                raise ValueError(f"{self.source.name} has a piece {odd[0]}: it must be [T, {KEYS}]")
            short = min(map(len, pieces))
            if split != "train" and short <= self.given_frames:
                raise ValueError(
                    f"data.given_frames={self.given_frames} but a piece of {self.source.name} has"
                    f" {short} frames: write data.given_frames={short - 1} or less"
                )
        return {
            split: PieceExamples(pieces, window=self.window)
            if split == "train"
            else PieceExamples(pieces, given=self.given_frames)
            for split, pieces in found.items()
        }

    def measured_std(self, most: int = 1024) -> float:
        """sqrt(p (1 - p)) of a key that sounds with probability p, over all frames."""
        p = self.train.frames.double().mean()
        return float((p * (1 - p)).sqrt())

    def size(self) -> str:
        frames = ", ".join(f"{len(s.frames):,}" for s in (self.train, self.split("val")))
        return f"{super().size()} ({frames} frames)"

    def notes(self) -> list[str]:
        return [*super().notes(), *self.source.notes()]

    def digest(self) -> str:
        parts = [t for s in self._splits.values() for t in (s.frames, s.lengths)]
        return sha256(*parts)

    # --- batches --------------------------------------------------------------------------------

    def train_batch(self, k: int, **share: int) -> Batch:
        """As the base's; `weight` has mean 1 over the global batch."""
        batch = super().train_batch(k, **share)
        mean = self.train.weights(self.train_ids(k)).mean()
        batch["weight"] = (batch["weight"] / mean).float()
        return batch

    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]:
        """nats_per_frame: over all frames that count, long pieces and short ones alike."""
        return {"nats_per_frame": -totals.log_prob / totals.values}

    # --- samples --------------------------------------------------------------------------------

    def decode(self, x: Tensor) -> list[np.ndarray]:
        """Pieces [T, 88] bool, without the silence after their last note."""
        rolls = x.detach().cpu().numpy() > 0.5
        last = [np.flatnonzero(r.any(1)) for r in rolls]
        return [r[: at[-1] + 1 if len(at) else 0] for r, at in zip(rolls, last)]

    def heard(self, x: Tensor) -> list[np.ndarray]:
        """Frames x [B, T, 88] as notes [N, 3]: start and length in quarters, pitch."""
        return [self._heard(r) for r in x.detach().cpu().numpy() > 0.5]

    def tunes(
        self, examples: PieceExamples, ids: Sequence[int] | None = None, *, whole: bool = True
    ) -> list[np.ndarray]:
        """Pieces of a split as notes [N, 3], by default all: whole, or as long as a sample."""
        rolls = examples.frames.split(examples.lengths.tolist())
        rolls = rolls if ids is None else [rolls[i] for i in ids]
        return [self._heard(r[: None if whole else self.shape[0]].numpy()) for r in rolls]

    def _heard(self, roll: np.ndarray) -> np.ndarray:
        found = np.array(notes_of(roll), float).reshape(-1, 3)
        return found / ([self.source.frames_per_quarter] * 2 + [1]) + [0, 0, LOWEST]

    def beginning(self, examples: PieceExamples, i: int) -> Tensor:
        """The first frames of piece i, as x has them [frames, 88]."""
        length, most = int(examples.lengths[i]), self.shape[0]
        roll = examples.frames[int(examples.starts[i]) :][: min(length, most)].float()
        return torch.nn.functional.pad(roll, (0, 0, 0, most - len(roll)))

    def asked_given(
        self, num: int, prompt: str | None, given: str | None, mask: str | None
    ) -> Given | None:
        """given=3 mask=16: samples go on from the first 16 frames of held-out piece 3."""
        super().asked_given(num, prompt, None, mask if given is None else None)
        if given is None:
            return None
        self.load()
        number, kept = _whole("given", given, len(self.val) - 1), mask
        length = int(self.val.lengths[number])
        kept = KEPT if mask is None else _whole("mask", mask, min(length, self.shape[0]))
        x = self.val.batch(torch.tensor([number]))["x"][:, :kept].repeat(num, 1, 1)
        return Given(x=x, mask=torch.ones_like(x, dtype=torch.bool))


def _whole(key: str, text: str, most: int) -> int:
    if not str(text).isdecimal() or int(text) > most:
        what = {"given": "the number of a held-out piece", "mask": "how many of its frames"}[key]
        raise ValueError(f"{key}={text}: write {what}, 0 to {most}")
    return int(text)
