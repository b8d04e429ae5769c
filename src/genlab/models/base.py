"""The contract: a generative model is a distribution that can be fitted to batches and drawn from.

Read: a family (gan.py, vae.py, diffusion.py, ...) implements `loss` and `sample`, and `log_prob` if
it has one; its traits say what is different about it. What is the same for all is in loop.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Literal

from torch import Tensor

from genlab.batch import Asked, Batch, Given
from genlab.models.conditions import Conditions
from genlab.models.loop import Loop
from genlab.objectives.code_laws import CodeLaws
from genlab.objectives.noise_levels import NoiseErrors


class GenerativeModel(Loop, ABC):
    """A distribution that can be fitted to batches and drawn from."""

    likelihood: Literal["exact", "bound", "none"] = "none"
    takes: Literal["values", "tokens", "frames", "either"] = "values"  # what an example is made of
    steps_itself: bool = False  # more than one optimiser, or sampling inside the step
    shards: bool = True  # runs under FSDP
    knows: Literal["nothing", "beginning", "any"] = "nothing"  # what of x it can be given
    conditions: Conditions  # what it can be asked for

    @abstractmethod
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Per-example terms, each [B]; the entry "loss" is what is minimised."""

    @abstractmethod
    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num examples; example i depends on (seed, first + i) and on its conditions alone."""

    def stream(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Iterator[Tensor]:
        """`sample` while it is drawn: what there is so far, again and again; the last is all.

        A family whose examples grow from their beginning gives more than the last.
        """
        yield self.sample(num, cond, given, seed=seed, first=first)

    def between(
        self, num: int, steps: int, cond: Asked = None, *, seed: int = 0, first: int = 0
    ) -> Tensor | None:
        """[num, steps, *shape]: row i goes from sample first + i to sample first + num + i, both of
        the first one's condition. None where a family has no latent to go along."""
        return None

    def reconstruct(self, x: Tensor, cond: Asked = None) -> Tensor | None:
        """x [B, *shape] as its code gives it back: decode(encode(x)). None where a family has no
        code of x."""
        return None

    def code_laws(self, batch: Batch) -> CodeLaws | None:
        """The law of each value of the examples' codes, given x and before. None where a family
        has none, or where its values have no law of their own."""
        return None

    def noise_errors(self, batch: Batch) -> NoiseErrors | None:
        """How far the examples' denoised x_0 are off at each noise level. None where a family
        denoises nothing."""
        return None

    def log_prob(self, batch: Batch) -> Tensor:
        """Log-likelihood per example in nats [B]; a lower bound where `likelihood` is "bound"."""
        raise NotImplementedError(f"{type(self).__name__} has no likelihood")

    def log_prob_drawn(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """`log_prob`, and where it is an estimate from draws the variance of each, both [B]."""
        return self.log_prob(batch), None

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Measure what must be known of the data before the first step; most need nothing.

        A run that begins calls it once, with its batches from the first on, without end.
        """
