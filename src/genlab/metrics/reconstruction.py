"""Codecs, measured by what they give back of held-out examples: no sample is drawn.

Read: `Reconstruction.compare_back` is the order of the numbers.

  psnr             of x, whose full range is 2, in dB
  class_agreement  the share of reconstructions that the classifier of features.py takes for their
                   class; its floor is the originals
  look_kept        the share whose nearest held-out example, by the classifier's features, is their
                   own original; 1 / N by chance
  codes_used       the share of the vocabulary that stands in the held-out examples' codes
  bits             of an example's codes, each as long as the others
  si_sdr           of waveforms, in dB; bits_per_second
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genlab.metrics.base import Samples, check_count
from genlab.metrics.image import ImageEvaluation
from genlab.metrics.interval import share_interval
from genlab.metrics.reference import pictures
from genlab.metrics.report import Data, Model, Report, gather, subset


class Reconstruction(ImageEvaluation):
    """Pictures that went through a codec, beside what they were."""

    def __init__(
        self,
        *,
        num_examples: int | None = 1000,
        chunk: int = 50,
        max_train: int = 60_000,
        likelihood_examples: int | None = None,
        cache: str | None = None,
    ) -> None:
        """`num_examples`: held-out ones, null for all; the others are an ImageEvaluation's."""
        check_count("num_examples", num_examples, 2)
        super().__init__(
            chunk=chunk, max_train=max_train, likelihood_examples=likelihood_examples, cache=cache
        )
        self.num_examples = num_examples

    def __call__(
        self, model: Model, data: Data, *, num: int | None = None, seed: int = 0
    ) -> Report:
        """`num` instead of num_examples; nothing here is drawn."""
        if not hasattr(model, "latent_vocab"):
            raise ValueError(
                f"metric: a {type(model).__name__} gives nothing back, only a codec does; leave"
                " metric out"
            )
        report = Report()
        self.likelihood(report, model, data, seed)
        self.compare_back(report, model, data, num or self.num_examples)
        return report

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        """Nothing: no sample is drawn."""

    def compare_back(self, report: Report, codec: Model, data: Data, num: int | None) -> None:
        """What `codec` (encode, decode) gives back of held-out examples."""
        ids = subset(len(data.val), num or len(data.val))
        x, codes, back = gather(data.val, ids)["x"], [], []
        for part in x.split(self.chunk):
            self.tell("encoding and decoding", len(back) * self.chunk / len(x))
            codes.append(codec.encode(part.to(codec.device)))
            back.append(codec.decode(codes[-1]).cpu())
        self.count(report, codec, torch.cat(codes).cpu())
        self.values(report, data, x, torch.cat(back))
        self.seen(report, data, ids, x, torch.cat(back))
        report.notes["num_held_out"] = len(x)
        report.pictures["samples"] = torch.cat(back)

    def count(self, report: Report, codec: Model, codes: Tensor) -> None:
        """Codes in use, and their bits."""
        if codec.latent_vocab is None:
            report.notes["codes"] = "none: its latents are values"
            return
        report.metrics["codes_used"] = len(codes.unique()) / codec.latent_vocab
        report.metrics["bits"] = codes[0].numel() * math.log2(codec.latent_vocab)

    def values(self, report: Report, data: Data, x: Tensor, back: Tensor) -> None:
        """How near the values are."""
        error = (x - back).double().square().flatten(1).mean(1)
        noted(report, "psnr", 10 * (4 / error.clamp(min=1e-10)).log10())

    def seen(self, report: Report, data: Data, ids: Tensor, x: Tensor, back: Tensor) -> None:
        """Whether they still look like their class, and like themselves."""
        real = self.real(data)
        report.notes |= {
            "feature_hash": real.features.hash,
            "feature_task": real.features.task,
            "feature_accuracy": real.features.accuracy,
        }
        theirs, own = (real.features(pictures(data, part)) for part in (x, back))
        nearest = torch.cdist(own[0].double(), theirs[0].double()).argmin(1)
        self.share(report, "look_kept", nearest == torch.arange(len(x)))
        if real.labels is not None:
            labels = gather(data.val, ids)["cond"].long()
            self.share(report, "class_agreement", own[1].argmax(1) == labels)
            hits = theirs[1].argmax(1) == labels
            report.floor["class_agreement"] = float(hits.float().mean())
            report.floor_interval["class_agreement"] = share_interval(int(hits.sum()), len(hits))

    def share(self, report: Report, name: str, hits: Tensor) -> None:
        report.metrics[name] = float(hits.float().mean())
        report.interval[name] = share_interval(int(hits.sum()), len(hits))


class SoundReconstruction(Reconstruction):
    """Waveforms (data=fsdd_waves and the like) that went through a codec."""

    kind = "sound"

    def count(self, report: Report, codec: Model, codes: Tensor) -> None:
        super().count(report, codec, codes)
        self.bits = report.metrics.get("bits")

    def values(self, report: Report, data: Data, x: Tensor, back: Tensor) -> None:
        if x.ndim != 3:
            raise ValueError(
                "metric: signals are compared as waveforms; write data=fsdd_waves, esc10_waves or"
                " audio_waves"
            )
        if self.bits is not None:
            report.metrics["bits_per_second"] = self.bits * data.rate / x.shape[-1]
        noted(report, "si_sdr", si_sdr(x[:, 0], back[:, 0]))
        bands = [data.spectrogram(part) for part in (x, back)]
        noted(report, "mel_error", (bands[0] - bands[1]).abs().flatten(1).mean(1))


def si_sdr(x: Tensor, y: Tensor) -> Tensor:
    """The scale-invariant signal-to-distortion ratio of y [B, N] to signals x, in dB [B].

    Le Roux et al. 2019 (arXiv 1811.02508), eq. 4: 10 log10 |a x|^2 / |a x - y|^2, a the scale that
    fits best.
    """
    x, y = x.double(), y.double()
    scale = (x * y).sum(1, keepdim=True) / x.square().sum(1, keepdim=True).clamp(min=1e-12)
    target = scale * x
    power = target.square().sum(1), (target - y).square().sum(1)
    return 10 * ((power[0] + 1e-12) / (power[1] + 1e-12)).log10()


def noted(report: Report, name: str, values: Tensor) -> None:
    """The mean over examples [B], and where it lies with 95 % confidence."""
    found = values.double().numpy()
    mean, error = float(found.mean()), 1.96 * float(found.std(ddof=1)) / math.sqrt(len(found))
    report.metrics[name], report.interval[name] = mean, (mean - error, mean + error)
