"""The mel spectrogram of a sound, which is a picture to a net, and the way back to a waveform.

Read: `Mel.__call__`, then `Mel.inverse`. A waveform [B, hop * frames] becomes x [B, 1, mels,
frames]: magnitudes of a short-time Fourier transform (STFT), averaged by triangular filters that
are evenly spaced in mel, in decibels of a full-scale sine, QUIET to 0 dB laid on [-1, 1].

The way back is no exact one: filters have merged frequencies, and phases are gone. The magnitudes
are the non-negative ones whose averages are x (multiplicative steps), the phases those of fast
Griffin-Lim (Perraudin et al. 2013), from a start that is always the same: nothing is drawn.

Measured on held-out sounds, root mean square in dB over frames of more than -60 dB: spoken digits
(fsdd) 4.5 of the STFT, 1.4 of the mel bands, and a classifier of digits is right on 0.985 of the
decoded (originals 0.987); sounds around us (esc10) 4.4 and 0.5. 40 and 300 ms of a core a sound.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

QUIET = -80.0  # dB of a full-scale sine; what is quieter counts as this, and is x = -1
STEPS, ROUNDS, ALPHA = 15, 32, 0.99  # of non-negative least squares; of Griffin-Lim; its momentum


class Mel:
    """One size of spectrogram: `mels` bands up to rate / 2, `frames` of `hop` samples each."""

    def __init__(self, *, rate: int, hop: int, window: int, mels: int, frames: int) -> None:
        """`window`: samples that a frame sees, at least two hops."""
        if window < 2 * hop:
            raise ValueError(f"data.window={window}: at least two hops, which are {2 * hop} here")
        self.rate, self.hop, self.window = rate, hop, window
        self.mels, self.frames, self.length = mels, frames, hop * frames
        self.hann = torch.hann_window(window, dtype=torch.float64)
        self.filters = triangles(rate, window, mels)  # [M, K], K = window // 2 + 1
        if empty := int((self.filters.sum(1) == 0).sum()):
            raise ValueError(
                f"data.shape: {empty} of {mels} mel bands lie between two frequencies of a window"
                f" of {window} samples: fewer bands, or a longer data.window"
            )

    def __call__(self, waves: Tensor) -> Tensor:
        """Waveforms [B, length] within about [-1, 1] -> x [B, 1, mels, frames]."""
        level = self.filters.float() @ self.stft(waves.float()).abs()
        dB = 20 * level.clamp(min=10 ** (QUIET / 20)).log10()
        return (1 - 2 * dB / QUIET)[:, None]

    def inverse(self, x: Tensor) -> Tensor:
        """x [B, 1, mels, frames] -> waveforms [B, length] that sound like it.

        One after another: some processors round a batch's Fourier transforms otherwise than one's,
        and the rounds make much of it, so that what is heard would hang on what stands beside it.
        """
        return torch.cat([griffin_lim(self, self.magnitudes(one)) for one in x.split(1)])

    def magnitudes(self, x: Tensor) -> Tensor:
        """x -> STFT magnitudes S >= 0 [B, K, T] with least |filters S - level|^2.

        Steps S <- S (M' level) / (M' M S) keep S above 0 (Lee & Seung 2000, eq. 4), from a start
        that spreads each band evenly.
        """
        quiet, m = x[:, 0].float() <= -1, self.filters.float()
        level = (10 ** ((1 - x[:, 0].float().clamp(max=1.5)) * QUIET / 40)).masked_fill(quiet, 0)
        wanted = m.T @ level
        s = (m / m.sum(0).clamp(min=1e-9)).T @ level
        for _ in range(STEPS):
            s = s * wanted / (m.T @ (m @ s)).clamp(min=1e-12)
        return s

    # --- the STFT, of which a full-scale sine has magnitude 1 -------------------------------------

    def stft(self, waves: Tensor) -> Tensor:
        """[B, length] -> [B, K, frames] complex; beyond its ends a waveform is silent."""
        hann = self.hann.to(waves)
        before, after = self._padding
        parts = F.pad(waves, (before, after)).unfold(-1, self.window, self.hop)  # [B, T, window]
        return torch.fft.rfft(parts * hann).transpose(1, 2) * (2 / hann.sum())

    def istft(self, spectrum: Tensor) -> Tensor:
        """[B, K, frames] complex -> the waveforms [B, length] whose STFT is nearest to it.

        Exact where it is a waveform's (Griffin & Lim 1984, eq. 6).
        """
        hann = self.hann.to(spectrum.real)
        parts = torch.fft.irfft(spectrum.transpose(1, 2), n=self.window) * (hann.sum() / 2)
        squares = hann.square().expand(1, self.frames, -1)
        inside = slice(self._padding[0], self._padding[0] + self.length)
        return self._added(parts * hann)[:, inside] / self._added(squares)[:, inside]

    @property
    def _padding(self) -> tuple[int, int]:
        before = (self.window - self.hop) // 2
        return before, self.window - self.hop - before

    def _added(self, parts: Tensor) -> Tensor:
        """Overlapping windows [B, frames, window] added up [B, length + window - hop or more]."""
        num = -(-self.window // self.hop)  # hops that a window reaches over
        parts = F.pad(parts, (0, num * self.hop - self.window)).unflatten(2, (num, self.hop))
        out = parts.new_zeros(len(parts), self.frames + num - 1, self.hop)
        for i in range(num):
            out[:, i : i + self.frames] += parts[:, :, i]
        return out.flatten(1)


def griffin_lim(mel: Mel, magnitudes: Tensor, *, rounds: int = ROUNDS) -> Tensor:
    """Magnitudes [B, K, T] -> waveforms [B, length] whose STFT has about these magnitudes.

    Fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013, algorithm 2): project on what waveforms
    can have, project on these magnitudes, go on by ALPHA in the direction of the last step. It
    starts with every frequency's own sine going on from frame to frame.
    """
    k = torch.arange(magnitudes.shape[1], dtype=magnitudes.dtype)[:, None]
    t = torch.arange(magnitudes.shape[2], dtype=magnitudes.dtype)
    c = torch.polar(magnitudes, (2 * math.pi * mel.hop / mel.window * k * t).expand_as(magnitudes))
    before = torch.zeros_like(c)
    for _ in range(rounds):
        now = mel.stft(mel.istft(magnitudes * torch.sgn(c)))
        c, before = now + ALPHA * (now - before), now
    return mel.istft(magnitudes * torch.sgn(c))


@functools.lru_cache(maxsize=8)
def triangles(rate: int, window: int, mels: int) -> Tensor:
    """Filters [mels, window // 2 + 1]: triangles of equal width in mel, each with sum 1."""
    edges = hertz(torch.linspace(0, float(mel(rate / 2)), mels + 2, dtype=torch.float64))
    f = torch.arange(window // 2 + 1, dtype=torch.float64) * rate / window
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rows = torch.minimum((f - low) / (peak - low), (high - f) / (high - peak)).clamp(min=0)
    return rows / rows.sum(1, keepdim=True).clamp(min=1e-9)


def mel(f: float | Tensor) -> Tensor:
    """Hertz -> mel (O'Shaughnessy 1987)."""
    return 2595 * torch.log10(1 + torch.as_tensor(f, dtype=torch.float64) / 700)


def hertz(m: Tensor) -> Tensor:
    """Mel -> hertz."""
    return 700 * (10 ** (m / 2595) - 1)
