"""Searches that do not learn: points at random, and points that fill the space evenly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genlab.runs.sweeps.cells import Cell
from genlab.runs.sweeps.goals import Goal
from genlab.runs.sweeps.search import Point, Search, seed_of
from genlab.runs.sweeps.space import Space


class Random(Search):
    """Each point is drawn alone: what another method must beat (Bergstra and Bengio 2012)."""

    def ask(self, space: Space, goals: Sequence[Goal], cells: Sequence[Cell], number: int) -> Point:
        shares = np.random.default_rng(seed_of(self.seed, number)).random(len(space))
        return {key: knob.at(float(u)) for (key, knob), u in zip(space.items(), shares)}


class Sobol(Search):
    """A scrambled Sobol sequence: the first 2^k points are spread evenly (Owen 1998)."""

    def ask(self, space: Space, goals: Sequence[Goal], cells: Sequence[Cell], number: int) -> Point:
        from scipy.stats import qmc

        sequence = qmc.Sobol(len(space), rng=np.random.default_rng(self.seed))
        shares = sequence.fast_forward(number).random(1)[0] if number else sequence.random(1)[0]
        return {key: knob.at(float(u)) for (key, knob), u in zip(space.items(), shares)}
