"""Canaries: held-out examples that are put into train, each so often, to see what is remembered.

They are chosen by lot, so what is not chosen is what they would be had they not been trained on:
the held-out examples are an exact control (Steinke et al. 2023, arXiv 2305.08846, section 3).
`metric=membership` measures their exposure (Carlini et al. 2019, arXiv 1802.08232).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from genlab.data.base import Examples
from genlab.data.edits.base import Edit, Joined, Picked, refuse_unnumbered, slots
from genlab.rng import generator

if TYPE_CHECKING:
    from genlab.data.base import DataModule


class Planted(Picked):
    """The canaries, and how often each is seen in an epoch [N]."""

    def __init__(self, examples: Examples, ids: torch.LongTensor, repeats: torch.Tensor) -> None:
        super().__init__(examples, ids)
        self.repeats = repeats


class Canaries(Edit):
    """`num` held-out examples for each of `repeats`: seen so many times in an epoch."""

    def __init__(self, *, repeats: Sequence[int] = (1, 10, 100), num: int = 16) -> None:
        for name, values in (("repeats", repeats), ("num", [num])):
            if not values or any(not isinstance(v, int) or v < 1 for v in values):
                raise ValueError(f"edits.canaries.{name}={values}: write whole numbers from 1 on")
        self.repeats, self.num = list(repeats), num

    def __call__(self, splits: dict[str, Examples], data: DataModule) -> dict[str, Examples]:
        refuse_unnumbered("canaries", splits, data)
        val, wanted = splits["val"], self.num * len(self.repeats)
        if wanted > len(val) // 2:
            most = len(val) // 2 // len(self.repeats)
            remedy = f"write edits.canaries.num={most}" if most else "hold out more"
            raise ValueError(
                f"edits.canaries: {wanted} canaries are more than half of the {len(val)} held-out"
                f" examples: {remedy}, or fewer repeats"
            )
        drawn = torch.randperm(len(val), generator=generator("canaries", data.seed))
        chosen, rest = drawn[:wanted], drawn[wanted:].sort().values
        repeats = torch.tensor(self.repeats).repeat_interleave(self.num)
        listed = chosen.repeat_interleave(repeats * slots(splits, data))
        return {
            **splits,
            "train": Joined([splits["train"], Picked(val, listed)]),
            "val": Picked(val, rest),
            "own": splits["train"],  # without them
            "canaries": Planted(val, chosen, repeats),
        }

    def said(self) -> str:
        times = ", ".join(map(str, self.repeats))
        return f"{self.num} held-out examples each put into train {times} times an epoch"
