"""What a search is for: figures of its cells, and which way each is better."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genlab.metrics.figures import LESS, MORE, better
from genlab.runs.say.errors import UserError
from genlab.runs.sweeps.cells import Cell

LEDGER = ("seconds", "examples", "loss", "val/loss", "train/loss")  # less is better
# a knob that changes what a loss is the loss of: cells that differ in it have no common one
UNLIKE = ("model", "objective", "data", "tokenizer", "codec", "space", "kind", "experiment")


@dataclass(frozen=True)
class Goal:
    """A figure's name, as evaluation.json or the ledger has it; `sign` -1 where more is better."""

    name: str
    sign: int

    def of(self, cell: Cell) -> float:
        """The cell's figure, so that less is better."""
        if self.name not in cell.figures:
            there = sorted(cell.figures)
            raise UserError(
                f"hydra.sweeper.goal={self.name}: {cell.folder} has no such figure"
                f"; there are {', '.join(there)}"
            )
        return self.sign * cell.figures[self.name]

    def seen(self, cell: Cell) -> dict[int, float]:
        """The same at the cell's looks, by examples; empty where looks have no such figure."""
        rows = [row for row in cell.looks if self.name in row and row["examples"]]
        return {row["examples"]: self.sign * row[self.name] for row in rows}

    @property
    def direction(self) -> str:
        return "highest" if self.sign < 0 else "lowest"


def read_goals(asked: str | Sequence[str] | Mapping[str, str], knobs: Sequence[str]) -> list[Goal]:
    """The goals that `hydra.sweeper.goal` names: a figure, several, or {figure: min or max}."""
    named = {asked: None} if isinstance(asked, str) else asked
    named = named if isinstance(named, Mapping) else dict.fromkeys(named)
    if not named:
        raise UserError("hydra.sweeper.goal: name a figure, as val/loss or frechet_distance")
    goals = []
    for name, way in named.items():
        if way not in (None, "min", "max"):
            raise UserError(f"hydra.sweeper.goal={{{name}: {way}}}: min or max")
        sign = {"min": 1, "max": -1, None: 1 if name in LEDGER else better(name)}[way]
        if not sign:
            close = difflib.get_close_matches(name, [*LEDGER, *MORE, *LESS], n=3, cutoff=0.5)
            meant = f"; nearest of genlab's: {', '.join(close)}" if close else ""
            raise UserError(
                f"hydra.sweeper.goal={name}: say which way is better:"
                f" goal='{{{name}: min}}' or max{meant}"
            )
        goals.append(Goal(name, sign))
    for goal in goals:
        unlike = [k for k in knobs if k.lstrip("+") in UNLIKE]
        if goal.name in ("loss", "val/loss", "train/loss") and unlike:
            raise UserError(
                f"hydra.sweeper.goal={goal.name}: losses of another {unlike[0]} do not compare;"
                " name a figure that does, as hydra.sweeper.goal=frechet_distance"
            )
    return goals


def front(cells: Sequence[Cell], goals: Sequence[Goal]) -> list[Cell]:
    """The best of the finished cells: those that no other one beats in every goal, in order."""
    done = [c for c in cells if c.state == "finished" and all(g.name in c.figures for g in goals)]
    values = {c.number: [g.of(c) for g in goals] for c in done}

    def beaten(cell: Cell) -> bool:
        mine = values[cell.number]
        others = (v for n, v in values.items() if n != cell.number)
        return any(all(a <= b for a, b in zip(v, mine)) and v != mine for v in others)

    found = [c for c in done if not beaten(c)]
    return sorted(found, key=lambda c: values[c.number])
