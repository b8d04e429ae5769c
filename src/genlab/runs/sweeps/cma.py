"""CMA-ES: a normal law that moves and stretches towards the better points (Hansen 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genlab.runs.say.errors import UserError
from genlab.runs.sweeps.cells import Cell
from genlab.runs.sweeps.goals import Goal
from genlab.runs.sweeps.search import Point, Search, extra, seed_of
from genlab.runs.sweeps.space import Choice, Space


class CMA(Search):
    """Numbers alone, one goal. Finished cells are told in generations, in their order."""

    def __init__(self, *, sigma: float = 0.25, **options: Any) -> None:
        """`sigma`: the first law's standard deviation, as a share of each knob's width."""
        super().__init__(**options)
        self.sigma = sigma

    def ask(self, space: Space, goals: Sequence[Goal], cells: Sequence[Cell], number: int) -> Point:
        if words := [key for key, knob in space.items() if isinstance(knob, Choice)]:
            raise UserError(f"hydra/sweeper=cma: {words[0]} is no number; tpe takes words too")
        if len(goals) > 1:
            raise UserError("hydra/sweeper=cma: one goal; tpe takes several")
        if len(space) < 2:
            raise UserError("hydra/sweeper=cma: at least two knobs; tpe takes one")
        law = extra("cmaes").CMA(
            mean=np.full(len(space), 0.5), sigma=self.sigma,
            bounds=np.array([[0.0, 1.0]] * len(space)), seed=seed_of(self.seed, number),
        )  # fmt: skip
        told = [
            (np.array([k.share(c.asked[key]) for key, k in space.items()]), goals[0].of(c))
            for c in cells
            if c.state == "finished"
        ]
        size = law.population_size
        for first in range(0, len(told) - size + 1, size):
            law.tell(told[first : first + size])
        shares = np.minimum(law.ask(), 1 - 1e-12)
        return {key: knob.at(float(u)) for (key, knob), u in zip(space.items(), shares)}
