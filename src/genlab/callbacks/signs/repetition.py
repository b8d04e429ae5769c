"""Repetition: a sequence model's samples end in a loop, or are all the same.

Measured at a look, beside held-out examples: the share whose last half repeats with one period
(Holtzman et al. 2020, arXiv 1904.09751, section 3), and how many of them differ.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.callbacks.signs.base import Finding, Past, Shown, Sign

FEWEST, SHORTEST, PERIODS = 8, 16, 256  # sequences; tokens of one; periods that are tried
SAME = 0.95  # of the last half that repeats


class Repetition(Sign):
    def __init__(self, *, loops: float = 0.25, distinct: float = 0.5) -> None:
        """Told where a larger share of samples `loops` than of held-out examples, by this much, or
        a smaller share is `distinct`, by this factor."""
        if not 0 <= loops <= 1 or not 0 <= distinct <= 1:
            raise ValueError(
                f"callbacks.doctor.signs.repetition: loops={loops}, distinct={distinct}: 0 to 1"
            )
        self.loops, self.distinct = loops, distinct

    def measure(self, shown: Shown) -> dict[str, float]:
        if shown.model.takes not in ("tokens", "frames") or shown.samples is None:
            return {}
        x, real = as_tokens(shown.samples), as_tokens(shown.real["x"][: len(shown.samples)])
        if min(len(x), len(real)) < FEWEST:
            return {}
        stop = getattr(getattr(shown.model, "sampler", None), "stop", None)
        mask = shown.real.get("mask")
        known = None if mask is None else mask[: len(real)].unsqueeze(-1).flatten(2).any(2).sum(1)
        found = {
            "distinct": len(x.unique(dim=0)) / len(x),
            "distinct_real": len(real.unique(dim=0)) / len(real),
        }
        for name, rows, lengths in (("", x, ends(x, stop)), ("_real", real, known)):
            periods = loops(rows, lengths)
            found[f"loops{name}"] = float((periods > 0).float().mean())
            if not name and (periods > 0).any():
                found["period"] = float(periods[periods > 0].median())
        return found

    def judge(self, past: Past) -> Finding | None:
        if not past.lasts(lambda look: bool(self.said(look))):
            return None
        draw = {"sampler.temperature": 1.0, "sampler.top_k": None, "sampler.top_p": None}
        node = past.setting("sampler") or {}
        if "temperature" not in node:  # the likeliest token, always
            remedies: tuple[str, ...] = ("sampler=sample",)
        else:
            changed = [k for k, v in draw.items() if past.setting(k) not in (v, None)]
            remedies = tuple(f"{k}={'null' if draw[k] is None else draw[k]}" for k in changed)
        return Finding(
            "repetition", "; ".join(self.said(past.looks[-1])), remedies or ("net.dropout=0.1",)
        )

    def said(self, look: dict[str, float]) -> list[str]:
        if "signs/loops" not in look:
            return []
        found, num = [], look["signs/samples"]
        mine, real = look["signs/loops"], look["signs/loops_real"]
        if mine >= real + self.loops and mine > 0:
            found.append(
                f"{mine * num:.0f} of {num:.0f} samples end in a loop, of about"
                f" {look['signs/period']:.0f} tokens; of held-out examples {real:.0%}"
            )
        mine, real = look["signs/distinct"], look["signs/distinct_real"]
        if mine < self.distinct * real:
            found.append(
                f"{mine * num:.0f} of {num:.0f} samples differ; of held-out ones {real:.0%}"
            )
        return found


def as_tokens(x: Tensor) -> Tensor:
    """Tokens [N, T]; of frames [N, T, K] the number of each frame among all."""
    if x.dim() == 2:
        return x.long()
    return torch.unique(x.flatten(0, 1).flatten(1), dim=0, return_inverse=True)[1].view(x.shape[:2])


def ends(x: Tensor, stop: int | None) -> Tensor | None:
    """How long each sequence is [N], up to the token that ends it."""
    if stop is None:
        return None
    ended = x == stop
    return torch.where(ended.any(1), ended.int().argmax(1), x.shape[1])


def loops(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The period with which each sequence's last half repeats, a quarter of it at most [N].

    0 where it does not, or is too short to tell.
    """
    lengths = torch.full((len(x),), x.shape[1]) if lengths is None else lengths.cpu()
    found = torch.zeros(len(x), dtype=torch.long)
    for length in lengths.unique().tolist():
        if length < SHORTEST:
            continue
        rows = lengths == length
        whole, half = x[rows, :length], length // 2
        period = torch.zeros(len(whole), dtype=torch.long)
        for p in range(1, min(length // 4, PERIODS) + 1):
            same = (whole[:, half:] == whole[:, half - p : length - p]).float().mean(1) >= SAME
            period = torch.where((period == 0) & same, p, period)
        found[rows] = period
    return found
