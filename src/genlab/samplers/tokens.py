"""How the next token is chosen from its logits: the likeliest, or a draw by inverse CDF.

Read: a sampler takes logits [B, V] and one uniform number per example [B], and gives tokens [B].
One number per token, drawn beforehand, is what makes a text independent of the batch it was drawn
in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def inverse_cdf(probs: Tensor, u: Tensor) -> Tensor:
    """The first token whose cumulated probability is above u: probs [B, V], u [B] in [0, 1) -> [B].

    `probs` need not sum to one. A token of probability 0 is never chosen, whatever the rounding.
    """
    cdf = probs.cumsum(-1)
    total = cdf[:, -1]
    below = torch.minimum(u.to(cdf) * total, torch.nextafter(total, torch.zeros_like(total)))
    token = torch.searchsorted(cdf, below[:, None], right=True)[:, 0]
    return token.clamp_(max=probs.shape[-1] - 1)  # of no numbers, it would lie beyond


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """The likeliest token, always: every draw is the same, but for its prompt and class."""

    length: int | None = None  # tokens to draw; null: as long as an example of the data
    stop: int | None = None  # after this token an example is `stop` to its end; null: never

    def __post_init__(self) -> None:
        _positive("length", self.length)
        _token("stop", self.stop)

    def __call__(self, logits: Tensor, u: Tensor) -> Tensor:
        return logits.argmax(-1)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A draw from softmax(logits / temperature), cut to the top_k tokens, then to the mass top_p.

    top_p is the nucleus of Holtzman et al. 2020 (arXiv 1904.09751): the likeliest tokens, as few as
    have together at least that probability.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    length: int | None = None  # tokens to draw; null: as long as an example of the data
    stop: int | None = None  # after this token an example is `stop` to its end; null: never

    def __post_init__(self) -> None:
        _positive("length", self.length)
        _token("stop", self.stop)
        _positive("top_k", self.top_k)
        if self.temperature <= 0:
            raise ValueError(
                f"sampler.temperature={self.temperature}: must be above 0; "
                "sampler=greedy takes the likeliest token"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"sampler.top_p={self.top_p}: must be above 0 and at most 1")

    def __call__(self, logits: Tensor, u: Tensor) -> Tensor:
        return inverse_cdf(self.probs(logits), u)

    def probs(self, logits: Tensor) -> Tensor:
        """The probabilities drawn from, [B, V]; not renormalised where top_p cuts."""
        logits = logits.float()
        if self.temperature != 1:
            logits = logits / self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            least = logits.topk(self.top_k).values[:, -1:]
            logits = logits.masked_fill(logits < least, float("-inf"))
        probs = logits.softmax(-1)
        if self.top_p is not None and self.top_p < 1:
            ranked, order = probs.sort(dim=-1, descending=True, stable=True)
            outside = ranked.cumsum(-1) - ranked >= self.top_p  # the mass before is enough already
            probs = probs.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)
        return probs


def _positive(key: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(f"sampler.{key}={value}: must be at least 1, or null")


def _token(key: str, value: int | None) -> None:
    if value is not None and value < 0:
        raise ValueError(f"sampler.{key}={value}: must be a token, 0 or above, or null")
