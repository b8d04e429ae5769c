"""Samplers of one step or a few, for models that have learnt to go far at once.

Read: each is one `step` of the loop in diffusion.py. What a sampler needs of its path it says by
`needs`, and what an objective has to give by `offers`; `refuse` holds one against the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from genlab.samplers.diffusion import Solver

# what a sampler may need, and by which samplers an objective that offers it is drawn
DRAWN_BY = {
    "slope": "sampler=heun, dpmpp or another solver",  # E[x_0 | x_t], whose ODE is walked
    "end": "sampler=consistency",  # `denoise` goes to the data
    "jump": "sampler=mean_flow",  # `jump` goes from any level to any lower one
}


def refuse(sampler: Any, path: Any) -> None:
    """ValueError where the sampler needs what the path was not made to give; see DRAWN_BY."""
    needs = getattr(sampler, "needs", "slope")
    offers = getattr(path, "offers", ("slope", "end"))
    if needs not in offers:
        write = ", or ".join(DRAWN_BY[offer] for offer in offers)
        raise ValueError(
            f"sampler {type(sampler).__name__} does not draw from objective {type(path).__name__};"
            f" write {write}"
        )


@dataclass(frozen=True, kw_only=True)
class Jumps(Solver):
    """x_s by one pass from x_t: Geng et al. 2025 (arXiv 2505.13447), algorithm 2 and eq. 12."""

    needs: ClassVar[str] = "jump"
    num_steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rescale or self.threshold is not None:
            raise ValueError(
                f"sampler.rescale={self.rescale} threshold={self.threshold}: they are of denoised"
                " examples, which a jump does not see; leave them out"
            )

    def step(self, path, net_fn, x, t, s, draws, memory):
        return path.jump(net_fn, x, t, s), None
