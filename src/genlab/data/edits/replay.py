"""Examples of an earlier run's training come again while new ones are learned.

What a model knew fades when it is trained on; a share of what it was trained on holds it up
(Rolnick et al. 2019, arXiv 1811.11682). The share is of all training examples that are seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from genlab.data.base import Examples
from genlab.data.edits.base import Edit, Joined, Picked, refuse_unnumbered
from genlab.rng import generator

if TYPE_CHECKING:
    from genlab.data.base import DataModule


class Replay(Edit):
    """`share` of train become examples of the train split of `data`, the earlier run's."""

    def __init__(self, *, run: str, data: DataModule, share: float = 0.1) -> None:
        """`run` is where `data` are from: a run's folder, in words."""
        if not 0 < share < 1:
            raise ValueError(f"edits.replay.share={share}: write a number between 0 and 1")
        self.run, self.data, self.share = run, data, share

    def __call__(self, splits: dict[str, Examples], data: DataModule) -> dict[str, Examples]:
        refuse_unnumbered("replay", splits, data)
        before = self.data
        before.prepare()
        for name in ("shape", "num_classes", "vocab"):
            old, new = getattr(before, name), getattr(data, name)
            if old != new:
                raise ValueError(
                    f"edits.replay: {name} of its examples is {old}, here {new}: replay a run of"
                    " data that are like these"
                )
        refuse_unnumbered("replay", {"train": before.train}, before)
        num = max(1, round(len(splits["train"]) * self.share / (1 - self.share)))
        draws = generator("replay", data.seed)
        rounds = -(-num // len(before.train))
        ids = torch.cat([torch.randperm(len(before.train), generator=draws) for _ in range(rounds)])
        return {
            **splits,
            "train": Joined([splits["train"], Picked(before.train, ids[:num])]),
            "before": before.val,
        }

    def adds(self) -> DataModule:
        return self.data

    def said(self) -> str:
        of = self.data.fingerprint()
        return f"{self.share:g} of train from {self.data.source_name} ({of[:12]})"
