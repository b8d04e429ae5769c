"""TPE: the tree-structured Parzen estimator (Bergstra et al. 2011), by Optuna; many goals too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genlab.runs.sweeps.cells import Cell
from genlab.runs.sweeps.goals import Goal
from genlab.runs.sweeps.search import Point, Search, extra, seed_of
from genlab.runs.sweeps.space import Space


class TPE(Search):
    """Knobs together (multivariate); a cell that is still running counts as a bad one."""

    def __init__(self, *, startup: int = 8, **options: Any) -> None:
        """`startup`: trials that are drawn at random before the first that learns."""
        super().__init__(**options)
        self.startup = startup

    def ask(self, space: Space, goals: Sequence[Goal], cells: Sequence[Cell], number: int) -> Point:
        optuna = extra("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(
            seed=seed_of(self.seed, number),
            n_startup_trials=self.startup,
            multivariate=True,
            constant_liar=True,
        )
        study = optuna.create_study(sampler=sampler, directions=["minimize"] * len(goals))
        distributions = {key: knob.distribution() for key, knob in space.items()}
        states = optuna.trial.TrialState
        known = {"finished": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}
        for cell in cells:
            state = known.get(cell.state, states.RUNNING)
            study.add_trial(
                optuna.trial.create_trial(
                    params={key: knob.value(cell.asked[key]) for key, knob in space.items()},
                    distributions=distributions,
                    values=[g.of(cell) for g in goals] if state == states.COMPLETE else None,
                    intermediate_values=goals[0].seen(cell) if state == states.PRUNED else None,
                    state=state,
                )
            )
        params = study.ask(distributions).params
        return {key: knob.text(params[key]) for key, knob in space.items()}
