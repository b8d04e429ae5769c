"""How gaps are filled: by chance, a share of them a step, or the surest first.

Read: a sampler takes a network with its conditions fixed, tokens [B, T] where token `vocab` is a
gap, and gives tokens without gaps; what is known at the start stays. Probabilities are taken in
float64: float32 is a lower temperature (Zheng et al. 2024, arXiv 2409.02908, section 4).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from genlab.samplers.tokens import inverse_cdf

NetFn = Callable[[Tensor], Tensor]


class Noise(Protocol):
    """Uniform draws, one generator per example (genlab.rng.Draws)."""

    def rand(self, shape: Sequence[int] = ()) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Filling(ABC):
    """The loop that both share."""

    num_steps: int = 64
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"sampler.num_steps={self.num_steps}: must be at least 1")
        if self.temperature <= 0:
            raise ValueError(f"sampler.temperature={self.temperature}: must be above 0")

    def __call__(self, net_fn: NetFn, tokens: Tensor, vocab: int, draws: Noise) -> Tensor:
        whole = (tokens == vocab).sum(1)
        for i in range(self.num_steps):
            gaps = tokens == vocab
            if not gaps.any():
                break
            u, finer, other = (draws.rand((tokens.shape[1],)).double() for _ in range(3))
            u = u + finer * 2.0**-24  # a float32's own steps are as wide as that
            logits = net_fn(tokens).double() / self.temperature
            probs = logits.softmax(-1)
            drawn = inverse_cdf(probs.flatten(0, 1), u.flatten()).view(tokens.shape)
            sure = probs.gather(-1, drawn[..., None])[..., 0]
            filled = gaps & self.filled(gaps, sure, other, i, whole)
            tokens = torch.where(filled, drawn, tokens)
        return tokens

    @abstractmethod
    def filled(self, gaps: Tensor, sure: Tensor, u: Tensor, i: int, whole: Tensor) -> Tensor:
        """Which gaps [B, T] step i of num_steps fills, the last all; `whole` [B] at first."""


@dataclass(frozen=True, kw_only=True)
class Ancestral(Filling):
    """Each gap is filled with probability (t - s) / t on the way from t to s, t from 1 to 0.

    Sahoo et al. 2024 (arXiv 2406.07524), eq. 6, for alpha_t = 1 - t: with steps without end a draw
    from the model's own law.
    """

    def filled(self, gaps, sure, u, i, whole):
        return u < 1 / (self.num_steps - i)


@dataclass(frozen=True, kw_only=True)
class Surest(Filling):
    """The surest gaps first, their number by a cosine: MaskGIT, Chang et al. 2022 (arXiv
    2202.04200), section 3.2: `choice` is the temperature of the noise on how sure a draw is, which
    falls to 0.
    """

    num_steps: int = 12
    choice: float = 4.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.choice < 0:
            raise ValueError(f"sampler.choice={self.choice}: must be at least 0")

    def filled(self, gaps, sure, u, i, whole):
        left = 1 - (i + 1) / self.num_steps
        gumbel = -(-u.clamp(1e-12, 1 - 1e-12).log()).log()
        score = sure.clamp(min=1e-300).log() + self.choice * left * gumbel
        rank = score.masked_fill(~gaps, -math.inf).argsort(1, descending=True).argsort(1)
        keep = (whole * math.cos(math.pi / 2 * (i + 1) / self.num_steps)).floor()
        keep = keep if left > 0 else torch.zeros_like(keep)
        # at least one is filled a step, so that few gaps are not waited for
        number = (gaps.sum(1) - keep).clamp(min=1)
        return rank < number[:, None]
