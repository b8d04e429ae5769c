"""Progress counted in examples seen: what schedules, logs, looks and checkpoints go by.

Lightning's `global_step` counts every optimiser's step; the clock counts batches and examples, once
each, in every family, so curves compare across batch sizes and optimisers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Clock:
    """Batches and examples seen since the first step of the run; saved in every checkpoint."""

    batches: int = 0
    examples: int = 0

    def tick(self, examples: int) -> None:
        self.batches += 1
        self.examples += examples

    def state_dict(self) -> dict[str, int]:
        return {"batches": self.batches, "examples": self.examples}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.batches, self.examples = int(state["batches"]), int(state["examples"])


def steps(examples: int, batch: int) -> int:
    """Batches of `batch` examples until `examples` have been seen.

    Rounded up for the budget and for what comes at equal distances in it, so that the last of these
    is the end: k steps(n) >= steps(k n).
    """
    return -(-examples // batch)


def warmup_decay(
    examples: int,
    *,
    warmup: int,
    horizon: int | None,
    decay: str,
    final: float,
    spent: float = 0.0,
    milestones: Sequence[int] = (),
    drop: float = 1.0,
) -> float:
    """Learning-rate factor after `examples`: linear warm-up to 1, then constant, linear or cosine.

    The decay ends at `final` when `horizon` examples have been seen or all time is spent (1), and
    stays there. By "steps" the factor is multiplied by `drop` at each of the `milestones`.
    """
    if warmup > 0 and examples < warmup:
        return (examples + 1) / (warmup + 1)
    if decay == "steps":
        return drop ** sum(examples >= m for m in milestones)
    if decay == "constant" or horizon is None:
        return 1.0
    done = min(1.0, max(spent, (examples - warmup) / max(1, horizon - warmup)))
    shape = 0.5 * (1 + math.cos(math.pi * done)) if decay == "cosine" else 1 - done
    return final + (1 - final) * shape
