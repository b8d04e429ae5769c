"""Pruning: a cell of a sweep ends early where its looks are worse than those of the other cells.

The others are asked through their ledgers, so it works for grids and searches, in one process or on
many machines, and after a kill. The rules are Optuna's; they are told the looks of all cells in the
cells' order, and then this one's.
"""

from __future__ import annotations

import importlib.util
import sys
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pytorch_lightning import Callback, Trainer

from genlab.callbacks.checkpoint import is_last
from genlab.models.base import GenerativeModel
from genlab.rows import read_rows
from genlab.shown import figure

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


class Prune(Callback):
    """Stops the run after a look at which the rule would not go on with it."""

    def __init__(self, *, watch: str = "val/loss", better: str = "min") -> None:
        """`watch`: a figure of the ledger's looks; `better`: min or max."""
        if better not in ("min", "max"):
            raise ValueError(f"callbacks.prune.better={better}: min or max")
        if importlib.util.find_spec("optuna") is None:
            raise ValueError("callbacks.prune needs optuna: pip install 'genlab[sweep]'")
        self.watch, self.sign = watch, 1 if better == "min" else -1

    @abstractmethod
    def rule(self, look_every: int, most: int) -> BasePruner:
        """The rule, for looks every so many examples and at most `most` examples."""

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        alone = not cells_beside(trainer.run.folder)
        if trainer.is_global_zero and (alone or not trainer.run.settings["look_every"]):
            why = (
                "this run is no cell of a sweep" if alone else "look_every=null: there are no looks"
            )
            print(f"genlab: callbacks.prune has no effect: {why}", file=sys.stderr, flush=True)

    def on_validation_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        if not pl_module.clock.examples or is_last(trainer):
            return
        prune = trainer.is_global_zero and self.judged(trainer, pl_module.clock.examples)
        if trainer.world_size > 1:
            told = torch.tensor(int(prune), device=pl_module.device)
            prune = bool(trainer.strategy.broadcast(told))
        if prune:
            trainer.should_stop, trainer.run.ended = True, "pruned"

    def judged(self, trainer: Trainer, examples: int) -> bool:
        """Whether the run is to end here."""
        run, settings = trainer.run.folder, trainer.run.settings
        cells = cells_beside(run)
        if not cells:
            return False
        mine = self.looks(run)
        if examples not in mine:
            raise ValueError(
                f"callbacks.prune.watch={self.watch}: the looks have no such figure; they have"
                f" {', '.join(trainer.run.ledger.latest)}"
            )
        others = {n: self.looks(cell) for n, cell in cells.items() if cell != run}
        whole = {n for n, cell in cells.items() if cell != run and is_whole(cell)}
        number = next(n for n, cell in cells.items() if cell == run)
        pruned = would_prune(
            self.rule(settings["look_every"], settings["budget"]["examples"]),
            number, mine, others, whole,
        )  # fmt: skip
        if pruned:
            value = figure(self.sign * mine[examples])
            print(
                f"genlab: pruned after {examples:,} examples: {self.watch} {value} is too far"
                f" behind the other cells' then ({run})",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        return pruned

    def looks(self, cell: Path) -> dict[int, float]:
        """What is watched by examples seen, so that less is better."""
        rows = read_rows(cell / "metrics.jsonl")
        seen = [r for r in rows if r["kind"] == "look" and r.get("examples")]
        return {r["examples"]: self.sign * float(r[self.watch]) for r in seen if self.watch in r}


def cells_beside(run: Path) -> dict[int, Path]:
    """The cells of the run's sweep by number, its own too; none where it is in no sweep."""
    sweep = run.parent
    if not (sweep / "multirun.yaml").is_file():
        return {}
    heads = {p: p.name.partition("_")[0] for p in sweep.iterdir() if p.is_dir()}
    return {int(h): p for p, h in heads.items() if h.isascii() and h.isdigit()}


def is_whole(cell: Path) -> bool:
    """Whether a cell ran to the end of its budget."""
    ends = [r for r in read_rows(cell / "metrics.jsonl") if r["kind"] == "end"]
    return bool(ends) and not ends[-1].get("state")


Looks = dict[int, float]


def would_prune(
    rule: BasePruner, number: int, mine: Looks, others: dict[int, Looks], whole: set[int]
) -> bool:
    """What the rule says of cell `number` at its last look, after it was told all other looks.

    `whole`: the cells that have ended of themselves.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name="sweep", pruner=rule, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    trials = [study.ask() for _ in range(1 + max([number, *others]))]
    verdict = False
    for n, looks in [*sorted(others.items()), (number, mine)]:
        for examples, value in sorted(looks.items()):
            trials[n].report(value, examples)
            verdict = trials[n].should_prune()
        if n in whole and looks:
            study.tell(trials[n], looks[max(looks)])
    return verdict


class Halving(Prune):
    """Asynchronous successive halving (Li et al. 2020): at looks 1, k, k^2 one in k goes on."""

    def __init__(self, *, keep_one_in: int = 2, warm_up: int = 0, **options: str) -> None:
        """`warm_up`: examples before which no cell is judged; the first look, if it is later."""
        super().__init__(**options)
        self.keep_one_in, self.warm_up = keep_one_in, warm_up

    def rule(self, look_every: int, most: int) -> BasePruner:
        from optuna.pruners import SuccessiveHalvingPruner

        first = max(look_every, self.warm_up)
        return SuccessiveHalvingPruner(min_resource=first, reduction_factor=self.keep_one_in)


class Hyperband(Halving):
    """Successive halving that begins early in some cells and late in others (Li et al. 2018)."""

    def rule(self, look_every: int, most: int) -> BasePruner:
        from optuna.pruners import HyperbandPruner

        return HyperbandPruner(
            min_resource=max(look_every, self.warm_up),
            max_resource=most,
            reduction_factor=self.keep_one_in,
        )


class Median(Prune):
    """A cell ends whose best look so far is worse than the median of the others' at that point."""

    def __init__(self, *, startup: int = 4, warm_up: int = 0, **options: str) -> None:
        """`startup`: cells that run whole; `warm_up`: examples before which none is judged."""
        super().__init__(**options)
        self.startup, self.warm_up = startup, warm_up

    def rule(self, look_every: int, most: int) -> BasePruner:
        from optuna.pruners import MedianPruner

        return MedianPruner(n_startup_trials=self.startup, n_warmup_steps=self.warm_up)
