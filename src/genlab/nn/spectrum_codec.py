"""A codec of waveforms that works on their short-time spectra: all of it at the vectors' rate.

Read: `spectra` and `waveform` are a transform and its inverse; the encoder puts convolutions behind
the one, the decoder before the other, as Vocos has it (Siuzdak 2023, arXiv 2306.00814). Complex
values keep their phase and have a root taken of their magnitude: 60 dB become 20, so that quiet
formants are no less seen than loud ones, and what the decoder errs by in silence is raised to
almost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.layers import at_least_1
from genlab.nn.wave_codec import DilatedBlock

OVERLAP = 4  # windows over each sample
LARGE = 4.0  # what compressed values are multiplied by, to be of the order of 1


def spectra(x: Tensor, hop: int, power: float) -> Tensor:
    """Waveforms [B, 1, N] -> spectra [B, 4 hop + 2, N / hop], real parts, then imaginary ones.

    Magnitudes, of a full-scale sine 1, are raised to `power`; beyond its ends a wave is silent.
    """
    parts = F.pad(x[:, 0].float(), _beyond(hop)).unfold(-1, OVERLAP * hop, hop)  # [B, T, window]
    hann = _hann(hop, x)
    both = torch.view_as_real(torch.fft.rfft(parts * hann) * (2 / hann.sum()))  # [B, T, K, 2]
    size = both.square().sum(-1, keepdim=True).clamp(min=1e-12)
    return LARGE * (both * size ** ((power - 1) / 2)).permute(0, 3, 2, 1).flatten(1, 2)


def waveform(y: Tensor, hop: int, power: float) -> Tensor:
    """The inverse: spectra [B, 4 hop + 2, T] -> the waveforms [B, 1, hop T] nearest to them."""
    both = y.float().unflatten(1, (2, -1)).permute(0, 3, 2, 1).contiguous() / LARGE
    size = both.square().sum(-1, keepdim=True).clamp(min=1e-12)
    spectrum = torch.view_as_complex(both * size ** ((1 / power - 1) / 2))
    hann = _hann(hop, spectrum.real)
    parts = torch.fft.irfft(spectrum, n=OVERLAP * hop) * hann * (hann.sum() / 2)
    squares = hann.square().expand(1, y.shape[2], -1)
    inside = slice(_beyond(hop)[0], _beyond(hop)[0] + hop * y.shape[2])
    return (_added(parts, hop)[:, inside] / _added(squares, hop)[:, inside])[:, None]


class SpectrumEncoder(nn.Module):
    """Waveform [B, 1, N] -> vectors [B, dim, T]; what a quantiser is given."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent: Sequence[int],
        width: int = 128,
        blocks: int = 4,
        power: float = 0.5,
    ) -> None:
        """`blocks` of `width` channels, with dilations of 1, 3, 9, 27, 1, ..."""
        super().__init__()
        self.hop, self.power = _hop(shape, latent, width, blocks, power), power
        self.first = nn.Conv1d(OVERLAP * self.hop + 2, width, 3, padding=1)
        self.blocks = _blocks(width, blocks)
        self.last = nn.Conv1d(width, int(latent[0]), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.elu(self.blocks(self.first(spectra(x, self.hop, self.power)))))


class SpectrumDecoder(nn.Module):
    """Vectors [B, dim, T] -> raw parameters of p(x | z) [B, 1, N], one location a sample."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latent: Sequence[int],
        width: int = 128,
        blocks: int = 4,
        power: float = 0.5,
    ) -> None:
        super().__init__()
        self.hop, self.power = _hop(shape, latent, width, blocks, power), power
        self.first = nn.Conv1d(int(latent[0]), width, 3, padding=1)
        self.blocks = _blocks(width, blocks)
        self.last = nn.Conv1d(width, OVERLAP * self.hop + 2, 1)

    def forward(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        return waveform(self.last(F.elu(self.blocks(self.first(z)))), self.hop, self.power)


def _hann(hop: int, like: Tensor) -> Tensor:
    return torch.hann_window(OVERLAP * hop, device=like.device)


def _beyond(hop: int) -> tuple[int, int]:
    """Samples of silence before and behind, so that there are as many windows as hops."""
    before = (OVERLAP - 1) * hop // 2
    return before, (OVERLAP - 1) * hop - before


def _added(parts: Tensor, hop: int) -> Tensor:
    """Overlapping windows [B, T, window] added up [B, hop (T + 3)]."""
    pieces = parts.unflatten(2, (OVERLAP, hop))  # [B, T, 4, hop]
    each = [F.pad(pieces[:, :, i], (0, 0, i, OVERLAP - 1 - i)) for i in range(OVERLAP)]
    return torch.stack(each).sum(0).flatten(1)


def _blocks(width: int, num: int) -> nn.Sequential:
    return nn.Sequential(*(DilatedBlock(width, 3 ** (i % 4)) for i in range(num)))


def _hop(shape: Sequence[int], latent: Sequence[int], width: int, blocks: int, power: float) -> int:
    """Samples from a vector to the next; refused where there is no whole number of them."""
    at_least_1(width=width, blocks=blocks)
    if not 0 < power <= 1:
        raise ValueError(f"net.power={power}: above 0, up to 1")
    if len(shape) != 2 or shape[0] != 1:
        raise ValueError(
            f"data.shape={list(shape)}: net spectrum_codec takes waveforms [1,N]; write"
            " data=fsdd_waves or data=audio_waves"
        )
    if len(latent) != 2 or latent[1] < 1 or shape[1] % latent[1] or shape[1] // latent[1] % 2:
        raise ValueError(
            f"net.latent_map={list(latent)}: [VALUES,VECTORS], of which the vectors divide"
            f" {shape[1]} samples into even numbers of them"
        )
    return shape[1] // latent[1]
