"""Clips: measured whole as pictures are, by frame, by how they move, and by their order in time.

Read: `VideoEvaluation` is `ImageEvaluation` (image.py) on clips as one picture of all their frames
(a channel each), with the features of a classifier of such pictures, and more:

  frame_kernel_distance, frame_frechet_distance
                   of one frame of each clip, drawn, in the features of a classifier of frames: how
                   frames look, whatever their order
  motion_distance  Frechet distance for endless sets of `motion`: how much changes where, from one
                   frame to the next and to the one after, and which way; no trained network
  adjacent_correlation
                   of neighbouring frames of a clip, about the clip's own mean: frozen clips have 1
  still_share      clips that move less than all but 1 % of the training clips
  order_real       clips that a classifier, which learnt to tell training clips from the same ones
                   with their frames shuffled, takes for real ones
  order_preferred  clips that it thinks more real than themselves with their frames shuffled: also
                   of frames as no real clip has them; chance is 0.5
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.metrics import two_sets
from genlab.metrics.base import Samples, is_labels
from genlab.metrics.features import Features, feature_net
from genlab.metrics.image import ImageEvaluation
from genlab.metrics.interval import mean_interval, num_groups, share_interval
from genlab.metrics.reference import pictures
from genlab.metrics.report import Data, Model, Report
from genlab.metrics.retrieval import RetrievalEvaluation
from genlab.rng import generator

FIELDS = 4  # of a frame, across and down, in which its motion is measured
LAGS = (1, 2)  # frames apart
STILL = 0.01  # the share of training clips that move less than the limit
SHUFFLES = 2  # of each training clip, that the judge of order learns from


class VideoEvaluation(ImageEvaluation):
    """Clips, measured against the held-out split."""

    kind = "video"

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        super().compare(report, model, data, samples)
        if len(samples.x) <= self.k:
            return
        real, frames = self.real(data), data.shape[1]
        asked = samples.cond if samples.cond is not None and is_labels(samples.cond, data) else None
        mine = split_frames(pictures(data, samples.x), frames)
        train, held = (split_frames(shown, frames) for shown in (real.train, real.val))
        self.frames(report, data, mine, train, held)
        self.motion(report, mine, train, held, asked, real.val_labels)
        self.order(report, data, mine, train, held)

    def frames(self, report: Report, data: Data, mine: Tensor, train: Tensor, held: Tensor) -> None:
        """One frame of each clip, so that they are independent; clips [N, T, C, H, W] uint8."""
        groups = num_groups(len(mine), len(held))
        if not groups:
            report.notes["frames"] = "none: they need 8 samples and 8 held-out clips"
            return
        parts = [one_frame(clips) for clips in (train, held)]
        judge = feature_net(
            parts[0], None, (parts[1], None), num_classes=None,
            fingerprint=f"frames {data.fingerprint()}", cache=self.cache,
            progress=lambda share: self.tell("training the network of frames", share),
        )  # fmt: skip
        sides = [two_sets.Side(judge(one_frame(c))[0], None, groups) for c in (mine, held)]
        found = two_sets.compare(*sides)
        for name in ("kernel_distance", "frechet_distance"):
            report.metrics[f"frame_{name}"] = found.metrics[name]
            report.interval[f"frame_{name}"] = found.interval[name]
        report.floor["frame_kernel_distance"] = 0.0
        report.notes["frame_hash"] = judge.hash

    def motion(
        self, report: Report, mine: Tensor, train: Tensor, held: Tensor,
        asked: Tensor | None, labels: Tensor | None,
    ) -> None:  # fmt: skip
        """How clips move, beside training and held-out ones."""
        scale = spread(motion(train))
        found, theirs = motion(mine) / scale, motion(held) / scale
        least, groups = min(len(found), len(theirs)), num_groups(len(found), len(theirs))
        if least < 2 * found.shape[1] or not groups:
            report.notes["motion_distance"] = (
                f"none: it needs {2 * found.shape[1]} clips, here {least}"
            )
        else:
            values = two_sets.compare(
                two_sets.Side(found, asked, groups),
                two_sets.Side(theirs, labels if asked is not None else None, groups),
            )
            report.metrics["motion_distance"] = values.metrics["frechet_infinity"]
            report.interval["motion_distance"] = values.interval["frechet_infinity"]
            report.floor["motion_distance"] = 0.0
        limit = speed(train).quantile(STILL)
        for clips, values, interval in (
            (mine, report.metrics, report.interval),
            (held, report.floor, report.floor_interval),
        ):
            near = adjacent_correlation(clips)
            values["adjacent_correlation"] = float(near.mean())
            interval["adjacent_correlation"] = mean_interval(near)
            still = int((speed(clips) < limit).sum())
            values["still_share"] = still / len(clips)
            interval["still_share"] = share_interval(still, len(clips))

    def order(self, report: Report, data: Data, mine: Tensor, train: Tensor, held: Tensor) -> None:
        """Is the order of frames as in real clips? The floor: held-out clips, the same way."""
        judge = self.judge(data, train, held)
        report.notes |= {"order_hash": judge.hash, "order_accuracy": judge.accuracy}
        for clips, values, interval in (
            (mine, report.metrics, report.interval),
            (held, report.floor, report.floor_interval),
        ):
            as_is, other = real_odds(judge, clips), real_odds(judge, shuffled(clips, "pairs"))
            hits = {"order_real": as_is > 0, "order_preferred": as_is > other}
            for name, hit in hits.items():
                ties = int((as_is == other).sum()) // 2 if name == "order_preferred" else 0
                num = int(hit.sum()) + ties
                values[name] = num / len(clips)
                interval[name] = share_interval(num, len(clips))
        control = real_odds(judge, shuffled(held, "pairs")) > 0
        report.notes["order_real_shuffled"] = float(control.double().mean())

    def judge(self, data: Data, train: Tensor, held: Tensor) -> Features:
        """The classifier of order: label 1 is a real clip, 0 the same one shuffled."""
        told = [torch.cat([train] * SHUFFLES + [shuffled(train, i) for i in range(SHUFFLES)])]
        told += [torch.cat([held, shuffled(held, 0)])]
        labels = [torch.arange(len(clips)) < len(clips) // 2 for clips in told]
        shown = [clips.flatten(1, 2) for clips in told]
        return feature_net(
            shown[0], labels[0].long(), (shown[1], labels[1].long()), num_classes=2,
            fingerprint=f"order {data.fingerprint()}", cache=self.cache,
            progress=lambda share: self.tell("training the judge of order", share),
        )  # fmt: skip


class CaptionedVideoEvaluation(VideoEvaluation, RetrievalEvaluation):
    """And whether a sample shows what its own caption says, as of pictures (retrieval.py)."""


def split_frames(shown: Tensor, frames: int) -> Tensor:
    """Clips as one picture each, uint8 [N, T * C, H, W] -> [N, T, C, H, W]."""
    return shown.unflatten(1, (frames, -1))


def one_frame(clips: Tensor) -> Tensor:
    """A frame of each clip [N, T, C, H, W], drawn, the same in every run: [N, C, H, W]."""
    draws = generator("one frame", len(clips))
    at = torch.randint(clips.shape[1], (len(clips),), generator=draws)
    return clips[torch.arange(len(clips)), at]


def shuffled(clips: Tensor, which: int | str) -> Tensor:
    """Each clip [N, T, ...] with its frames in another order, drawn, the same in every run."""
    num, frames = clips.shape[:2]
    draws = generator("shuffled", which, num)
    order = torch.rand(num, frames, generator=draws).argsort(1)
    same = (order == torch.arange(frames)).all(1)
    order[same] = order[same].roll(1, 1)
    return clips[torch.arange(num)[:, None], order]


def real_odds(judge: Features, clips: Tensor) -> Tensor:
    """log P(real) / P(shuffled) of clips [N, T, C, H, W], float64 [N]."""
    probs = judge(clips.flatten(1, 2))[1].double().clamp(min=1e-12)
    return (probs[:, 1] / probs[:, 0]).log()


def grey(clips: Tensor) -> Tensor:
    """uint8 [N, T, C, H, W] -> brightness [N, T, H, W] from 0 to 1, float64."""
    return clips.double().mean(2) / 255


def motion(clips: Tensor) -> Tensor:
    """How clips [N, T, C, H, W] move: float64 [N, 2 * 16 + 4].

    The mean change of FIELDS x FIELDS fields over frames that are 1 and 2 apart (0 where there are
    too few); then the normal flow, down and across: by how many pixels one movement of the whole
    picture would best explain its changes (Lucas and Kanade 1981 with one window, as large as the
    picture), its mean over time and the mean of its size.
    """
    x = grey(clips)
    found = []
    for lag in LAGS:
        if x.shape[1] <= lag:
            found.append(torch.zeros(len(x), FIELDS**2, dtype=x.dtype))
            continue
        change = (x[:, lag:] - x[:, :-lag]).abs().mean(1, keepdim=True)
        found.append(F.adaptive_avg_pool2d(change, FIELDS).flatten(1))
    flow = whole_flow(x)
    return torch.cat([*found, flow.mean(1), flow.abs().mean(1)], 1)


def spread(found: Tensor) -> Tensor:
    """What `motion` is divided by [36]: the deviation over clips, one number for the fields of each
    lag and one for the flow, since a field in which nothing ever moves has none of its own."""
    parts = found.var(0).split([FIELDS**2] * len(LAGS) + [found.shape[1] - len(LAGS) * FIELDS**2])
    return torch.cat([p.mean().sqrt().clamp(min=1e-6).expand(len(p)) for p in parts])


def whole_flow(x: Tensor) -> Tensor:
    """Of brightness [N, T, H, W], pixels a frame, down and across: [N, T - 1, 2].

    Least squares of d/dt + u d/dy + v d/dx = 0 over all inner pixels; a little ridge, so that an
    even picture has none.
    """
    middle = (x[:, 1:] + x[:, :-1]) / 2
    dt = (x[:, 1:] - x[:, :-1])[..., 1:-1, 1:-1]
    dy = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) / 2
    dx = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) / 2
    yy, xx, xy = (p.mean((2, 3)) for p in (dy * dy, dx * dx, dy * dx))
    ty, tx = (p.mean((2, 3)) for p in (dy * dt, dx * dt))
    yy, xx = yy + 1e-6, xx + 1e-6
    det = yy * xx - xy * xy
    return torch.stack([(xy * tx - xx * ty) / det, (xy * ty - yy * tx) / det], -1)


def speed(clips: Tensor) -> Tensor:
    """The mean change from one frame to the next, of full scale [N]."""
    x = grey(clips)
    return (x[:, 1:] - x[:, :-1]).abs().mean((1, 2, 3))


def adjacent_correlation(clips: Tensor) -> Tensor:
    """Of each clip's neighbouring frames, about its mean brightness [N]; even ones have 1."""
    x = grey(clips)
    x = (x - x.mean((1, 2, 3), keepdim=True)).flatten(2)
    a, b = x[:, :-1], x[:, 1:]
    both, power = (a * b).sum((1, 2)), a.square().sum((1, 2)) + b.square().sum((1, 2))
    return torch.where(power > 1e-9, 2 * both / power.clamp(min=1e-9), torch.ones_like(both))
