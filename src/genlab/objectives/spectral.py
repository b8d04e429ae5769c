"""Distances of spectra: what a codec of waveforms minimises beside its quantiser's terms.

Read: `spectral_distance` is the formula; `SpectralVQ` adds it to a VQ's loss. A waveform that is
shifted by a sample sounds the same, and is far off sample by sample: magnitudes see what is heard.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.objectives.quantisation import VQ, Quantiser
from genlab.objectives.variational import Likelihood
from genlab.shapes import per_example

FLOOR = 1e-2  # of magnitudes whose logarithms are compared: 64 to 94 dB below a full-scale sine


def magnitudes(x: Tensor, window: int) -> Tensor:
    """Waveforms [B, C, N] -> |STFT| [B, C, frames, window // 2 + 1], a quarter of a window apart.

    Of a sine of amplitude 1 a quarter of the window; beyond its ends a waveform is silent.
    """
    hann = torch.hann_window(window, device=x.device)
    parts = torch.nn.functional.pad(x.float(), (window // 2, window // 2))
    spectrum = torch.fft.rfft(parts.unfold(-1, window, window // 4) * hann)
    # the root's slope at 0 is infinite
    return (spectrum.real.square() + spectrum.imag.square() + 1e-10).sqrt()


def spectral_distance(x: Tensor, y: Tensor, windows: Sequence[int]) -> Tensor:
    """Mean over windows of |S - S'| + |log S - log S'|, the mean over times and frequencies, [B].

    Engel et al. 2020 (DDSP, arXiv 2001.04643), section 4.2.1 with alpha = 1, which sums where this
    takes means; Zeghidour et al. 2021 (SoundStream), eq. 6, has the same with mel bands.
    """
    found = []
    for window in windows:
        s, t = magnitudes(x, window), magnitudes(y, window)
        far = (s - t).abs() + ((s + FLOOR).log() - (t + FLOOR).log()).abs()
        found.append(per_example(far))
    return torch.stack(found).mean(0)


class SpectralVQ(VQ):
    """A VQ of waveforms [C, N], and `weight` nats for each sample where spectra are 1 apart."""

    def __init__(
        self,
        likelihood: Likelihood,
        quantiser: Quantiser,
        *,
        beta: float = 0.25,
        weight: float = 1.0,
        windows: Sequence[int] = (64, 256, 1024),
    ) -> None:
        super().__init__(likelihood, quantiser, beta=beta)
        if weight < 0:
            raise ValueError(f"objective.weight={weight}: must be at least 0")
        if not windows or any(w < 8 or w % 4 for w in windows):
            raise ValueError(
                f"objective.windows={list(windows)}: each a multiple of 4 samples, from 8 on"
            )
        self.weight, self.windows = weight, tuple(windows)

    def loss(self, x: Tensor, params: Tensor, codes: Tensor, distance: Tensor) -> dict[str, Tensor]:
        terms = super().loss(x, params, codes, distance)
        far = spectral_distance(x, self.likelihood.mean(params), self.windows)
        return terms | {"loss": terms["loss"] + self.weight * x[0].numel() * far, "spectral": far}
