"""Distances of spectra: what a codec of waveforms minimises beside its quantiser's terms.

Read: `spectral_distance` is the formula; `SpectralVQ` adds it to a VQ's loss. A waveform that is
shifted by a sample sounds the same, and is far off sample by sample: magnitudes see what is heard.
Averaged over mel bands they also leave out how noise falls within a band, which no few bits say.
"""

from __future__ import annotations

import functools
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


@functools.lru_cache(maxsize=16)
def mel_bands(window: int, rate: int) -> Tensor:
    """Triangles of equal width in mel, each with sum 1 [window // 2 + 1, window // 8].

    A mel is 2595 log10(1 + f / 700), f in Hz (O'Shaughnessy 1987).
    """
    at = {"dtype": torch.float64, "device": "cpu"}  # also where a model of shapes alone is built
    f = torch.arange(window // 2 + 1, **at) * rate / window
    edges = 700 * ((1 + rate / 1400) ** torch.linspace(0, 1, window // 8 + 2, **at) - 1)
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    f = f[:, None]
    bands = torch.minimum((f - low) / (peak - low), (high - f) / (high - peak)).clamp(min=0)
    if (bands.sum(0) == 0).any():
        raise ValueError(
            f"objective.windows: a window of {window} samples at objective.rate={rate} has mel"
            " bands between two of its frequencies; leave it out, or write objective.rate=null"
        )
    return (bands / bands.sum(0)).float()


def spectral_distance(
    x: Tensor, y: Tensor, windows: Sequence[int], rate: int | None = None
) -> Tensor:
    """Mean over windows of |S - S'| + |log S - log S'|, the mean over times and frequencies, [B].

    Engel et al. 2020 (DDSP, arXiv 2001.04643), section 4.2.1 with alpha = 1, which sums where this
    takes means. With `rate`, samples a second, S are means over mel bands, as Zeghidour et al. 2021
    (SoundStream), eq. 6, has them.
    """
    found = []
    for window in windows:
        s, t = magnitudes(x, window), magnitudes(y, window)
        if rate is not None:
            bands = mel_bands(window, rate).to(s.device)
            s, t = (s @ bands).float(), (t @ bands).float()
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
        rate: int | None = None,
    ) -> None:
        """`rate`: samples a second, for spectra in mel bands, an eighth of a window's samples."""
        super().__init__(likelihood, quantiser, beta=beta)
        if weight < 0:
            raise ValueError(f"objective.weight={weight}: must be at least 0")
        if not windows or any(w < 8 or w % 4 for w in windows):
            raise ValueError(
                f"objective.windows={list(windows)}: each a multiple of 4 samples, from 8 on"
            )
        for window in windows if rate is not None else ():
            mel_bands(window, rate)
        self.weight, self.windows, self.rate = weight, tuple(windows), rate

    def loss(self, x: Tensor, params: Tensor, codes: Tensor, distance: Tensor) -> dict[str, Tensor]:
        terms = super().loss(x, params, codes, distance)
        far = spectral_distance(x, self.likelihood.mean(params), self.windows, self.rate)
        return terms | {"loss": terms["loss"] + self.weight * x[0].numel() * far, "spectral": far}
