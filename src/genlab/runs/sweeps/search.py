"""A search: each cell's settings are asked for when it starts, from the ledgers of those before it.

    genlab train -m hydra/sweeper=tpe hydra.sweeper.trials=20 hydra.sweeper.goal=frechet_distance \
        net.width='range(16,97,16)' optim.optimizer.lr='interval(1e-4,1e-2)'

Read: `Search.sweep` starts the cells through any launcher; in a cell's own process `Asking` takes
its settings from its folder, or from `Search.ask`, under a lock of the sweep's folder. Nothing else
is kept: what was killed goes on by the same command, and cell k's settings follow from the seed,
its number and the cells that are there.
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf, open_dict

from genlab.runs.folder.layout import write_yaml
from genlab.runs.say.errors import UserError
from genlab.runs.say.secrets import redact
from genlab.runs.say.terminal import say
from genlab.runs.settings.flags import quoted
from genlab.runs.sweeps.cells import OVER, Cell, read_cell, read_cells, settings_of
from genlab.runs.sweeps.goals import Goal, read_goals
from genlab.runs.sweeps.grid import begin, check_pruning
from genlab.runs.sweeps.space import Interval, Space, read_space

Point = dict[str, str]  # knob -> the text of its value


class Search(Sweeper):
    """Cells that learn from those before; a method of searching is a subclass with `ask`."""

    def __init__(self, *, trials: int = 20, goal: Any = "val/loss", seed: int = 0) -> None:
        """`trials` cells in all; `goal`: a figure's name, several, or {name: min or max}."""
        for key, value, least in (("trials", trials, 1), ("seed", seed, 0)):
            if type(value) is not int or value < least:
                raise UserError(
                    f"hydra.sweeper.{key}={value}: it must be a whole number, at least {least}"
                )
        self.trials, self.seed = trials, seed
        self.goal = OmegaConf.to_container(goal) if OmegaConf.is_config(goal) else goal

    @abstractmethod
    def ask(self, space: Space, goals: Sequence[Goal], cells: Sequence[Cell], number: int) -> Point:
        """The point that cell `number` tries, given the other cells that have one."""

    def setup(self, *, hydra_context: Any, task_function: Callable, config: Any) -> None:
        from hydra.core.plugins import Plugins

        self.config, self.hydra_context = config, hydra_context
        self.asking = Asking(self.ask, task_function, hydra_context, config)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=self.asking, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run what is missing of the trials."""
        assert self.config is not None and self.launcher is not None
        fixed, space = read_space(arguments)
        goals = read_goals(self.goal, list(space))
        check_space(space)
        asking = self.asking
        asking.fixed, asking.space, asking.goals = fixed, space, goals
        self.ask(space, goals, [], 0)  # what a method cannot search is refused now
        self.validate_batch_is_legal(corners(fixed, space))
        cfg = self.hydra_context.config_loader.load_sweep_config(self.config, fixed)
        check_whole(cfg, space)
        check_pruning(cfg, space)
        sweep = begin(self.config)
        there = read_cells(sweep)
        check_cells(there, fixed, space)
        over = {cell.number for cell in there if cell.state in OVER}
        missing = [n for n in range(self.trials) if n not in over]
        if there:
            say(f"genlab: {len(over)} of {self.trials} trials are over; to run: {len(missing)}")
        if not missing:
            return []
        words = [[*fixed, f"hydra.sweep.subdir={quoted(str(n))}"] for n in missing]
        results = self.launcher.launch(words, initial_job_idx=0)
        for result in results:
            _ = result.return_value
        return results


@dataclass
class Asking:
    """What a cell runs, in whatever process: ask for its settings, compose again, train."""

    ask: Callable[..., Point]
    task: Callable[[Any], Any]
    hydra_context: Any
    config: Any
    fixed: Sequence[str] = ()
    space: Space | None = None
    goals: Sequence[Goal] = ()

    def __call__(self, cfg: Any) -> Any:
        from hydra.core.hydra_config import HydraConfig

        hydra = HydraConfig.get()
        words = [*self.fixed, *(f"{k}={v}" for k, v in self.point(hydra).items())]
        subdir = f"hydra.sweep.subdir={quoted(str(hydra.sweep.subdir))}"
        loader = self.hydra_context.config_loader
        whole = loader.load_sweep_config(self.config, [*words, subdir])
        with open_dict(whole):
            whole.hydra.job.id, whole.hydra.job.num = hydra.job.id, hydra.job.num
            whole.hydra.runtime.output_dir = hydra.runtime.output_dir
        HydraConfig.instance().set_config(whole)
        with open_dict(whole):
            del whole["hydra"]
        return self.task(whole)

    def point(self, hydra: Any) -> Point:
        """The cell's point: the one that its folder holds, or a new one, from now on its."""
        assert self.space is not None
        folder = Path(hydra.runtime.output_dir)
        with locked(folder.parent):
            mine = read_cell(folder)
            if set(self.space) <= set(mine.asked):
                return {k: mine.asked[k] for k in self.space}
            others = [c for c in read_cells(folder.parent) if set(self.space) <= set(c.asked)]
            point = self.ask(self.space, self.goals, others, int(hydra.sweep.subdir))
            words = [*self.fixed, *(f"{k}={v}" for k, v in point.items())]
            own = (w for w in words if not w.startswith(("hydra.", "hydra/")))
            write_yaml(folder / "overrides.yaml", redact(list(own)))
        return point


def extra(module: str) -> Any:
    """A library of genlab[sweep]; the line that says so where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"this search needs {module} ({error}): pip install 'genlab[sweep]'"
        ) from None


def seed_of(seed: int, number: int) -> int:
    """The seed of one trial's draw, without torch."""
    import numpy as np

    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def locked(sweep: Path) -> AbstractContextManager:
    """The lock of a sweep's folder; freed when its process ends. None on a disk without locks."""
    from filelock import FileLock

    lock = FileLock(sweep / ".lock")
    try:
        lock.acquire()
    except (OSError, NotImplementedError):
        return nullcontext()
    return lock


def corners(fixed: Sequence[str], space: Space) -> list[list[str]]:
    """Words that show a mistake in composing before anything runs: each choice once."""
    first = {k: knob.at(0.0) for k, knob in space.items()}
    points = [first]
    for key, knob in space.items():
        texts = getattr(knob, "texts", ())
        points += [{**first, key: text} for text in texts[1:]]
    return [[*fixed, *(f"{k}={v}" for k, v in point.items())] for point in points]


def check_space(space: Mapping[str, Any]) -> None:
    if not space:
        raise UserError(
            "a search needs a knob, as net.width='range(16,97,16)' or"
            " optim.optimizer.lr='interval(1e-4,1e-2)'"
        )
    if "seed" in space:
        raise UserError(
            "seed is no knob of a search: it would choose the luckiest; search with one seed, then"
            " run the best with -m seed=1,2,3"
        )


def check_whole(cfg: Any, space: Space) -> None:
    """Refuse an interval of any numbers for a setting that is a whole one."""
    for key, knob in space.items():
        value = OmegaConf.select(cfg, key.lstrip("+"))
        whole = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(knob, Interval) and whole and not knob.whole:
            low, high = round(knob.low), round(knob.high)
            raise UserError(
                f"{key}: it is a whole number (now {value}): write"
                f" {key}='int(interval({low},{high}))' or {key}='range(START,END,STEP)'"
            )


def check_cells(cells: Sequence[Cell], fixed: Sequence[str], space: Space) -> None:
    """Refuse to mix trials of another space, or of other settings, into a search."""
    same = settings_of(redact(list(fixed)))
    for cell in (c for c in cells if c.words):
        odd = []
        for key, text in cell.asked.items():
            if key in space:
                try:
                    space[key].value(text)
                except ValueError:
                    odd.append(f"{key}={text}, which is not in the space now")
            elif same.get(key.lstrip("+")) != text:
                odd.append(f"{key}={text}, not {same.get(key.lstrip('+'))}")
        there = {k.lstrip("+") for k in cell.asked}
        odd += [f"no {k}" for k in (*space, *same) if k.lstrip("+") not in there]
        if odd:
            raise UserError(
                f"{cell.folder} is a trial of another search: it has {'; '.join(odd[:3])}. Give the"
                " space and settings of before, or another hydra.sweep.dir"
            )
