"""Sounds as waveforms: what a codec of waveforms learns from.

Read: `Waves`, which is sounds.py with x [B, 1, N] in place of spectrograms; these are left to
measures and to the classifier that they ask.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genlab.data.sounds import SoundExamples, Sounds
from genlab.data.sources.sounds import SoundSource
from genlab.data.stated import sha256


class WaveExamples(SoundExamples):
    """Sounds as waveforms [1, N], and their labels if they are wanted."""

    def shown(self, waves: Tensor) -> Tensor:
        return waves[:, None]


class Waves(Sounds):
    """Sounds from a source, with their labels or without, each a waveform of N samples."""

    examples = WaveExamples

    def __init__(
        self,
        *,
        source: SoundSource,
        shape: Sequence[int],
        rate: int,
        num_classes: int | None,
        batch_size: int,
        seed: int,
        bands: Sequence[int] = (64, 64),
        window: int | None = None,
        peak: float | None = 0.5,
        num_workers: int = 0,
        limit: int | None = None,
        levels: int | None = None,
        vocab: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`shape` [1, N]; `bands` [MELS, FRAMES]: of the spectrograms that measures are taken of.

        The others are a Sounds'.
        """
        if len(shape) != 2 or shape[0] != 1 or shape[1] < 1:
            raise ValueError(f"data.shape={list(shape)}: waveforms have [1,SAMPLES]")
        if len(bands) != 2 or min(bands) < 1 or shape[1] % bands[1]:
            raise ValueError(
                f"data.bands={list(bands)}: [MELS,FRAMES], of which the frames divide"
                f" {shape[1]} samples"
            )
        super().__init__(
            source=source, shape=[1, *bands], rate=rate, seconds=shape[1] / rate,
            num_classes=num_classes, batch_size=batch_size, seed=seed, window=window, peak=peak,
            num_workers=num_workers, limit=limit, levels=levels, vocab=vocab, std=std,
            val_examples=val_examples,
        )  # fmt: skip
        self.shape = (1, int(shape[1]))

    def digest(self) -> str:
        return sha256("waveforms", super().digest())

    def decode(self, x: Tensor) -> list[np.ndarray]:
        """x [B, 1, N] as B waveforms [N] float32 at `rate`."""
        return list(torch.nan_to_num(x.detach().cpu().float())[:, 0].numpy())

    def encode(self, waves: Sequence[np.ndarray]) -> Tensor:
        """Waveforms of `rate` and length as x [B, 1, N]."""
        return torch.from_numpy(np.stack(waves))[:, None]

    def spectrogram(self, x: Tensor) -> Tensor:
        return self.mel(x.detach().cpu().float()[:, 0])
