"""Sounds: their spectrograms measured as pictures are, and their waveforms as they are heard.

Read: `SoundEvaluation` is `ImageEvaluation` (image.py) on spectrograms, with the features of a
classifier of the training spectrograms, and three numbers more:

  mel_distance     Frechet distance of the bands' means and spreads over time, for endless sets; in
                   units of x. It needs no trained network
  heard_agreement  the classifier's agreement on the spectrograms of the decoded waveforms: what
                   counts is what is heard, and the way back to a waveform loses something
  silence_share, clipped_share
                   decoded sounds without a sound, and such that go beyond full scale

The floors of the last three are held-out sounds that went the same way: to a spectrogram and back.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.metrics import two_sets
from genlab.metrics.base import Samples, is_labels
from genlab.metrics.image import ImageEvaluation
from genlab.metrics.interval import num_groups, share_interval
from genlab.metrics.reference import pictures
from genlab.metrics.report import Data, Model, Report, gather, subset

BANDS = 16  # that neighbouring mel bands are averaged to, before means and spreads are taken
HEARD = 200  # samples, and held-out sounds, that are decoded
SILENT = -50.0  # dB of full scale, root mean square: what is below is silence
CLIPPED = 1e-3  # the share of a sound's samples beyond full scale from which on it is clipped


class SoundEvaluation(ImageEvaluation):
    """Sounds, measured as spectrograms and as waveforms against the held-out split."""

    kind = "sound"

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        super().compare(report, model, data, samples)
        if not len(samples.x):
            return
        self.bands(report, data, samples)
        self.heard(report, data, samples)

    def bands(self, report: Report, data: Data, samples: Samples) -> None:
        """mel_distance, exact for equal laws: 0."""
        real = gather(data.val, torch.arange(len(data.val)))
        asked = samples.cond if samples.cond is not None and is_labels(samples.cond, data) else None
        least = min(len(samples.x), len(data.val))
        groups = num_groups(len(samples.x), len(data.val))
        mine, theirs = (statistics(data.spectrogram(x)) for x in (samples.x, real["x"]))
        if least < 2 * mine.shape[1] or not groups:
            report.notes["mel_distance"] = (
                f"none: it needs {2 * mine.shape[1]} sounds, here {least}"
            )
            return
        labels = None if asked is None else real["cond"].long()
        sides = two_sets.Side(mine, asked, groups), two_sets.Side(theirs, labels, groups)
        values = two_sets.compare(*sides)
        report.metrics["mel_distance"] = values.metrics["frechet_infinity"]
        report.interval["mel_distance"] = values.interval["frechet_infinity"]
        report.floor["mel_distance"] = 0.0

    def heard(self, report: Report, data: Data, samples: Samples) -> None:
        """What the decoded waveforms are like, and those of held-out sounds after the same way."""
        ids = subset(len(data.val), HEARD)
        real = gather(data.val, ids)
        some = subset(len(samples.x), HEARD)
        asked = None
        if samples.cond is not None and is_labels(samples.cond, data):
            asked = samples.cond[some]
        for x, cond, values, interval in (
            (samples.x[some], asked, report.metrics, report.interval),
            (real["x"], real.get("cond"), report.floor, report.floor_interval),
        ):
            self.tell("listening", 0 if values is report.metrics else 0.5)
            waves = np.stack(data.decode(x))
            hits = {"silence_share": silent(waves), "clipped_share": clipped(waves)}
            if asked is not None and self.real(data).labels is not None:
                _, probs = self.real(data).features(pictures(data, data.encode(waves)))
                hits["heard_agreement"] = (probs.argmax(1) == cond).numpy()
            for name, found in hits.items():
                values[name] = float(found.mean())
                interval[name] = share_interval(int(found.sum()), len(found))
        report.notes["num_heard"] = len(some)


def statistics(x: Tensor) -> Tensor:
    """Spectrograms [N, 1, M, T] -> mean and spread over time of BANDS bands each [N, 2 BANDS]."""
    bands = F.adaptive_avg_pool2d(x.float(), (min(BANDS, x.shape[2]), x.shape[3]))[:, 0]
    return torch.cat([bands.mean(2), bands.std(2, correction=0)], 1)


def silent(waves: np.ndarray) -> np.ndarray:
    """Which waveforms [N, samples] are below SILENT throughout [N]."""
    power = np.square(waves.astype(np.float64)).mean(1)
    return power < 10 ** (SILENT / 10)


def clipped(waves: np.ndarray) -> np.ndarray:
    """Which waveforms [N, samples] are beyond full scale in over CLIPPED of their samples [N]."""
    return (np.abs(waves) > 1).mean(1) > CLIPPED
