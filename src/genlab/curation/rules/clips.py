"""Rules of clips: how many frames, whether anything moves, the same clip again."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from genlab.curation.base import Each, Example, Leave
from genlab.curation.kinds.clips import Clip
from genlab.curation.rules.pictures import Look


class Moving(Each):
    """Too few or too many frames, or next to nothing that moves."""

    kinds = ("video",)

    def __init__(self, *, least: int = 8, most: int = 512, change: float = 0.5) -> None:
        """`change`: grey levels by which neighbouring frames differ in the mean, at the least."""
        if not 2 <= least <= most or change < 0:
            raise ValueError(f"least={least} most={most} change={change}")
        self.least, self.most, self.change = least, most, change

    def __call__(self, example: Example) -> Leave | None:
        frames = example.data.frames
        if not self.least <= len(frames) <= self.most:
            few = len(frames) < self.least
            return Leave(f"under {self.least}" if few else f"over {self.most}", len(frames))
        found = float(np.abs(np.diff(frames.astype(np.int16), axis=0)).mean())
        return Leave("nothing moves", round(found, 3)) if found < self.change else None


class Stills(Look):
    """Four frames of a clip, from its first to its last, side by side as one picture."""

    kinds: ClassVar = ("video",)

    def of(self, data: Clip) -> bytes:
        at = np.linspace(0, len(data.frames) - 1, 4).round().astype(int)
        return b"".join(super(Stills, self).of(frame) for frame in data.frames[at])
