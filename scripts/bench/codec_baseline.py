"""What a codec of waveforms is to be compared with: two plain codecs at as many bits.

python scripts/bench/codec_baseline.py [experiment=fsdd_codec] [mels=16] [frames=32] [low=512]

Held-out sounds of the experiment's data become `mels` x `frames` decibels of `bits` bits each (8),
evenly spaced, and sounds again by mel.py's inverse (Griffin-Lim); or `low` samples, below half of
whose rate all is kept, of 8 bits each by the mu-law of telephones (ITU-T G.711, mu = 255).
Printed is what metric=sound_reconstruction says of them, so that `genlab evaluate` of a codec's run
stands beside.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from torch import Tensor

from genlab.data.mel import Mel
from genlab.metrics.report import Report
from genlab.runs.settings.compose import plan_of


class MelCodec:
    """Codes are the levels of a mel spectrogram, decoding is its inverse."""

    device = torch.device("cpu")

    def __init__(self, mel: Mel, bits: int) -> None:
        self.mel, self.latent_vocab = mel, 2**bits

    def encode(self, x: Tensor) -> Tensor:
        level = (self.mel(x[:, 0]).clamp(-1, 1) + 1) / 2 * (self.latent_vocab - 1)
        return level.round().long().flatten(1)

    def decode(self, codes: Tensor) -> Tensor:
        x = 2 * codes.float() / (self.latent_vocab - 1) - 1
        return self.mel.inverse(x.view(-1, 1, self.mel.mels, self.mel.frames))[:, None]


class MuLawCodec:
    """Codes are samples at a lower rate, finer where they are small."""

    device, latent_vocab, mu = torch.device("cpu"), 256, 255.0

    def __init__(self, length: int, low: int) -> None:
        self.length, self.low = length, low

    def encode(self, x: Tensor) -> Tensor:
        kept = torch.fft.rfft(x[:, 0])[:, : self.low // 2 + 1] * (self.low / self.length)
        y = torch.fft.irfft(kept, self.low).clamp(-1, 1)
        y = y.sign() * (self.mu * y.abs()).log1p() / math.log1p(self.mu)
        return ((y + 1) / 2 * (self.latent_vocab - 1)).round().long()

    def decode(self, codes: Tensor) -> Tensor:
        y = 2 * codes.float() / (self.latent_vocab - 1) - 1
        y = y.sign() * (y.abs() * math.log1p(self.mu)).expm1() / self.mu
        kept = torch.fft.rfft(y) * (self.length / self.low)
        return torch.fft.irfft(kept, self.length)[:, None]


def main(words: list[str]) -> None:
    asked: dict[str, Any] = {"experiment": "fsdd_codec", "mels": 16, "frames": 32, "bits": 8}
    asked |= {"low": 512} | dict(w.split("=", 1) for w in words)
    plan = plan_of([f"experiment={asked['experiment']}"])[0]
    data, metric = plan.data(), plan.build("metric")
    data.load()
    mels, frames, bits = (int(asked[k]) for k in ("mels", "frames", "bits"))
    hop = data.shape[1] // frames
    mel = Mel(rate=data.rate, hop=hop, window=4 * hop, mels=mels, frames=frames)
    for codec in (MelCodec(mel, bits), MuLawCodec(data.shape[1], int(asked["low"]))):
        report = Report()
        metric.compare_back(report, codec, data, None)
        print(type(codec).__name__)
        for name, value in report.metrics.items():
            low, high = report.interval.get(name, (value, value))
            floor = report.floor.get(name)
            real = "" if floor is None else f"; originals {floor:.3g}"
            print(f"  {name:16} {value:.4g} ({low:.4g} to {high:.4g}{real})")


if __name__ == "__main__":
    main(sys.argv[1:])
