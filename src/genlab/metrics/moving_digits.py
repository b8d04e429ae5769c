"""Moving digits, whose law is known: does a sample fly straight, bounce, and stay itself?

Read: `misfit`. Of each frame the centre of brightness is taken; of all straight lines with
reflecting ends (data/sources/moving_digits.py has the law) the one that fits best is found on a
grid. Of clips of one digit alone.

  path_error    the median over clips of the root mean square distance to that path, in pixels. Real
                clips have some: digits stand at whole pixels, and the grid is not endlessly fine
  path_share    clips that are no farther from a path than 99 % of the held-out ones
  mass_change   the mean over clips of how much the sum of brightness varies over time (deviation
                over mean): 0 where a digit stays what it is
"""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.metrics.base import Samples
from genlab.metrics.interval import bootstrap_interval, mean_interval, share_interval
from genlab.metrics.reference import pictures
from genlab.metrics.report import Data, Model, Report
from genlab.metrics.video import VideoEvaluation, grey, split_frames

START, STEP = 0.25, 0.1  # pixels between the grid's places; pixels a frame between its speeds
CLOSE = 0.99  # the share of held-out clips that fly as the law says


class MovingDigitsEvaluation(VideoEvaluation):
    """Clips of one moving digit, beside what clips are measured by."""

    def __init__(self, *, digit: int = 8, fastest: float = 3.0, **settings) -> None:
        """`digit`: its side in pixels, `fastest`: pixels a frame; what a path may be."""
        super().__init__(**settings)
        self.digit, self.fastest = digit, fastest

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        super().compare(report, model, data, samples)
        if len(samples.x) <= self.k:
            return
        found = []
        for shown in (pictures(data, samples.x), self.real(data).val):
            x = grey(split_frames(shown, data.shape[1]))
            rooms = [side - self.digit for side in x.shape[2:]]
            mass = x.sum((2, 3))
            error = misfit(centres(x), rooms, self.fastest)
            found.append((error, mass.std(1, correction=0) / mass.mean(1).clamp(min=1e-6)))
        limit = found[1][0].quantile(CLOSE)
        for (error, change), values, interval in zip(
            found, (report.metrics, report.floor), (report.interval, report.floor_interval)
        ):
            hits = int((error <= limit).sum())
            values |= {
                "path_error": float(error.median()),
                "path_share": hits / len(error),
                "mass_change": float(change.mean()),
            }
            interval |= {
                "path_error": bootstrap_interval(torch.median, error),
                "path_share": share_interval(hits, len(error)),
                "mass_change": mean_interval(change),
            }


def centres(x: Tensor) -> Tensor:
    """The centre of brightness [N, T, H, W] of each frame, down and across: [N, T, 2]."""
    mass = x.sum((2, 3)).clamp(min=1e-6)
    down, across = (torch.arange(s, dtype=x.dtype) for s in x.shape[2:])
    return torch.stack([(x.sum(3) * down).sum(2) / mass, (x.sum(2) * across).sum(2) / mass], -1)


def misfit(places: Tensor, rooms: list[int], fastest: float) -> Tensor:
    """The distance of places [N, T, 2] from the nearest path, root mean square over time [N].

    Where in the digit its centre of brightness lies is not known: the mean gap is taken away.
    """
    times, total = torch.arange(places.shape[1], dtype=places.dtype), 0.0
    for axis, room in enumerate(rooms):
        starts = torch.arange(0, room + START / 2, START, dtype=places.dtype)
        steps = torch.arange(-fastest, fastest + STEP / 2, STEP, dtype=places.dtype)
        line = starts[:, None, None] + steps[:, None] * times
        paths = (room - (line.remainder(2 * room) - room).abs()).flatten(0, 1)  # [P, T]
        paths = paths - paths.mean(1, keepdim=True)
        mine = places[..., axis] - places[..., axis].mean(1, keepdim=True)
        nearest = torch.cat([torch.cdist(part, paths).amin(1) for part in mine.split(256)])
        total = total + nearest.square()
    return (total / places.shape[1]).sqrt()
