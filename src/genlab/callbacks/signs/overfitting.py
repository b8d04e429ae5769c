"""Over-fitting: the loss of training examples falls on while that of held-out ones rises.

Not where two players share a loss: theirs says nothing of how good the samples are.
"""

from __future__ import annotations

import itertools
import math

from genlab.callbacks.signs.base import Finding, Past, Sign
from genlab.shown import figure


class Overfitting(Sign):
    never = ("loss_discriminator",)

    def __init__(self, *, rise: float = 0.02, looks: int = 2) -> None:
        """Told where the held-out loss rose at the last `looks` looks, and since its best one by
        `rise` of what it had fallen until then, while the training loss fell."""
        if looks < 1:
            raise ValueError(f"callbacks.doctor.signs.overfitting.looks={looks}: at least 1")
        self.rise, self.looks = rise, looks

    def judge(self, past: Past) -> Finding | None:
        looks = [k for k in past.looks if math.isfinite(k.get("val/loss", math.nan))]
        held = [k["val/loss"] for k in looks]
        if len(held) < self.looks + 2:  # the baseline, the best one, and those since
            return None
        best = min(range(1, len(held)), key=held.__getitem__)
        recent = held[-self.looks - 1 :]
        rising = all(a < b for a, b in itertools.pairwise(recent))
        rose, learnt = held[-1] - held[best], held[0] - held[best]
        if not rising or best > len(held) - 1 - self.looks or rose < self.rise * learnt:
            return None
        then, now = looks[best], looks[-1]
        if "since/loss" not in then or "since/loss" not in now:
            return None
        fell = then["since/loss"] - now["since/loss"]
        if not fell > 2 * math.hypot(then["since/error"], now["since/error"]):
            return None
        at, losses = figure(int(then["examples"])), (held[best], held[-1])
        evidence = (
            f"the held-out loss rose from {losses[0]:.4g} at {at} examples to {losses[1]:.4g},"
            f" while the training loss fell from {then['since/loss']:.4g} to"
            f" {now['since/loss']:.4g}"
        )
        remedies = ["callbacks.checkpoint.best=val/loss", f"budget.examples={then['examples']:.0f}"]
        dropout = past.setting("net.dropout")
        if dropout is not None and dropout < 0.5:
            remedies.insert(1, f"net.dropout={max(0.1, min(0.5, 2 * dropout)):g}")
        return Finding("over-fitting", evidence, tuple(remedies))
