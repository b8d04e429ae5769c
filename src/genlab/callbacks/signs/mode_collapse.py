"""Mode collapse: a generator draws a part of the data's law, or the same thing again and again.

Measured at a look, in the coordinates of the data: how far samples of one class lie apart, beside
real ones; and for samples without a class, how many of the data's classes (or of its clusters,
where it has none) they come near to. Goodfellow 2016 (arXiv 1701.00160), section 5.1.1; bins of
the data as in Richardson & Weiss 2018 (arXiv 1805.12462).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genlab.callbacks.signs.base import Finding, Past, Shown, Sign, labels

FEWEST = 16  # samples
CELLS, TURNS = 16, 20  # clusters of data without classes, and turns of Lloyd's to find them
NEAR = 3.0  # a sample further from the data than so many times its own distances is like no mode


class ModeCollapse(Sign):
    """Needs two players: other families fail otherwise."""

    needs = ("loss_discriminator",)
    never = ("commitment",)  # a codec's draws are of uniform codes, not of what it has learned

    def __init__(self, *, spread: float = 0.15, modes: float = 0.5) -> None:
        """Told below this share of the data's `spread`, or of the `modes` of real examples."""
        for key, value in (("spread", spread), ("modes", modes)):
            if not 0 <= value < 1:
                raise ValueError(f"callbacks.doctor.signs.mode_collapse.{key}={value}: 0 to 1")
        self.spread, self.modes = spread, modes

    def measure(self, shown: Shown) -> dict[str, float]:
        x, real_x = shown.samples, shown.real["x"]
        if x is None or len(x) < FEWEST or len(real_x) < FEWEST:
            return {}
        x, real = (shown.data.coordinates(v).flatten(1).float() for v in (x, real_x))
        if not (x.isfinite().all() and real.isfinite().all()):
            return {}
        asked, is_of = labels(shown.cond), labels(shown.real.get("cond"))
        found = {"spread": spread_ratio(x, real, asked, is_of)}
        if asked is None:
            cells = is_of if is_of is not None else cells_of(real, shown.data)
            near = torch.cdist(x, real).min(1)
            at_home = near.values <= NEAR * nearest_other(real).quantile(0.95)
            found |= {
                "near": float(at_home.float().mean()),
                "modes": float(len(cells[near.indices[at_home]].unique())),
                "modes_real": float(len(cells[: len(x)].unique())),
            }
        return found

    def judge(self, past: Past) -> Finding | None:
        if not past.lasts(lambda look: bool(self.said(look))):
            return None
        steps = past.setting("objective.r1_gamma")
        remedies = ("objective=wgan_gp",)
        if steps is not None:
            remedies = (f"objective.r1_gamma={max(1.0, 10 * steps):g}", *remedies)
        return Finding("mode collapse", "; ".join(self.said(past.looks[-1])), remedies)

    def said(self, look: dict[str, float]) -> list[str]:
        """What a look shows of it; nothing where it shows none."""
        found, of = [], f"{look.get('signs/samples', 0):.0f} samples"
        spread, modes = look.get("signs/spread"), look.get("signs/modes")
        if modes is not None and look["signs/near"] >= 0.5:
            there = look["signs/modes_real"]
            if modes <= self.modes * there:
                found.append(
                    f"{of} show {modes:.0f} of the {there:.0f} modes that held-out ones show"
                )
        if spread is not None and spread < self.spread:
            found.append(f"{of} lie apart {spread:.3g} times as far as held-out examples")
        return found


def cells_of(real: Tensor, data: Any) -> Tensor:
    """The mode that each real example is of [N]: the law's, where it is known, else its cluster."""
    modes = getattr(data, "modes", None)
    if modes is None:
        return clusters(real, CELLS)
    return torch.cdist(real, modes.flatten(1).to(real)).argmin(1)


def spread_ratio(x: Tensor, real: Tensor, asked: Tensor | None, is_of: Tensor | None) -> float:
    """The mean distance of two samples over that of two real ones; of one class where they have
    one: then the mean over the classes."""
    if asked is not None and is_of is not None:
        pairs = [(x[asked == c], real[is_of == c]) for c in asked.unique()]
        pairs = [(a, b) for a, b in pairs if min(len(a), len(b)) > 1]
    else:
        pairs = []
    ratios = [apart(a) / apart(b) for a, b in pairs or [(x, real)] if apart(b) > 0]
    return sum(ratios) / len(ratios) if ratios else 1.0


def apart(x: Tensor) -> float:
    """The mean distance of two different rows."""
    return float(torch.pdist(x).mean())


def nearest_other(x: Tensor) -> Tensor:
    """How far each row's nearest other one is [N]."""
    return torch.cdist(x, x).fill_diagonal_(torch.inf).min(1).values


def clusters(x: Tensor, num: int) -> Tensor:
    """The cluster of each row [N]: Lloyd's, from centres far apart. Nothing is drawn by chance."""
    far = torch.cdist(x, x.mean(0, keepdim=True))[:, 0]
    centres = [x[far.argmax()]]
    near = torch.cdist(x, centres[0][None])[:, 0]
    while len(centres) < min(num, len(x)):
        centres.append(x[near.argmax()])
        near = torch.minimum(near, torch.cdist(x, centres[-1][None])[:, 0])
    middle = torch.stack(centres)
    for _ in range(TURNS):
        cell = torch.cdist(x, middle).argmin(1)
        sums = torch.zeros_like(middle).index_add_(0, cell, x)
        counts = torch.bincount(cell, minlength=len(middle))[:, None]
        middle = torch.where(counts > 0, sums / counts.clamp(min=1), middle)
    return torch.cdist(x, middle).argmin(1)
