"""How a frame is drawn from the logits of its keys: each key by a uniform number of its own."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class IndependentKeys:
    """Key k sounds with probability sigmoid(logits_k / temperature)."""

    temperature: float = 1.0
    length: int | None = None  # frames to draw; null: as many as an example of the data has

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 1:
            raise ValueError(f"sampler.length={self.length}: must be at least 1, or null")
        if self.temperature <= 0:
            raise ValueError(f"sampler.temperature={self.temperature}: must be above 0")

    def __call__(self, logits: Tensor, u: Tensor) -> Tensor:
        """logits [B, K], u [B, K] in [0, 1) -> 0 or 1 [B, K]."""
        return (u < (logits.float() / self.temperature).sigmoid()).float()
