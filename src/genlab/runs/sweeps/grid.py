"""The grid: all combinations of the values of a sweep, of which only what is missing is run.

A cell is known by its settings, not by its number: given again with more values in the same folder,
the command runs the new cells and leaves the finished ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from genlab.runs.folder.layout import write_yaml
from genlab.runs.say.errors import UserError
from genlab.runs.say.secrets import redact
from genlab.runs.say.terminal import say
from genlab.runs.settings.flags import quoted
from genlab.runs.settings.mistakes import read
from genlab.runs.sweeps.cells import OVER, Cell, differing, read_cells, settings_of
from genlab.runs.sweeps.goals import UNLIKE


class Grid(Sweeper):
    """What Hydra's own sweeper does, with a memory: the folder of the sweep."""

    def __init__(
        self, *, max_batch_size: int | None = None, params: Mapping[str, Any] | None = None
    ) -> None:
        """`max_batch_size` cells are launched together; `params`: sweeps by key, as typed ones."""
        self.max_batch_size, self.params = max_batch_size, params or {}

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        from hydra.core.plugins import Plugins

        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the cells that are not finished; gives what Hydra's sweeper gives."""
        wanted = combinations([*(f"{k}={v}" for k, v in self.params.items()), *arguments])
        self.validate_batch_is_legal(wanted)
        first = self.hydra_context.config_loader.load_sweep_config(self.config, wanted[0])
        swept = [w.partition("=")[0] for w in arguments if read(w).is_sweep_override()]
        check_pruning(first, swept)
        missing = planned(begin(self.config), wanted)
        results = []
        size = self.max_batch_size or len(missing) or 1
        for first in range(0, len(missing), size):
            batch = missing[first : first + size]
            results.append(self.launcher.launch(batch, initial_job_idx=first))
        for result in itertools.chain(*results):
            _ = result.return_value  # raises what the launcher itself met
        return results


def combinations(words: Sequence[str]) -> list[list[str]]:
    """The words of each cell: all combinations, the last key changing fastest."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    overrides = [read(word) for word in words]
    for word, override in zip(words, overrides):
        if override.is_interval_sweep():
            raise UserError(f"{word}: a grid takes values; an interval is for hydra/sweeper=tpe")
    return BasicSweeper.split_arguments(overrides, None)[0]


def check_pruning(cfg: Any, keys: Iterable[str]) -> None:
    """Refuse to prune by a loss where it is that of another model or objective in each cell."""
    watch = OmegaConf.select(cfg, "callbacks.prune.watch")
    unlike = [k for k in keys if k.lstrip("+") in UNLIKE]
    if watch and watch.endswith("loss") and unlike:
        raise UserError(
            f"callbacks.prune.watch={watch}: losses of another {unlike[0]} do not compare: sweep it"
            " without pruning, or watch a figure that does"
        )


def begin(config: Any) -> Path:
    """The sweep's folder, with the settings that all its cells share, secrets blotted out."""
    sweep = Path(config.hydra.sweep.dir)
    sweep.mkdir(parents=True, exist_ok=True)
    write_yaml(sweep / "multirun.yaml", redact(yaml.safe_load(OmegaConf.to_yaml(config))))
    return sweep


def planned(sweep: Path, wanted: Sequence[Sequence[str]]) -> list[list[str]]:
    """The words of the cells that are to be run: what is wanted less what is over.

    A cell goes on in the folder that holds its settings, whatever its number; a new one takes its
    own number, or the next where another cell has that.
    """
    there = read_cells(sweep)
    by_settings = {_key(cell.settings): cell for cell in there if cell.words}
    keys = [_key(settings_of(redact(list(words)))) for words in wanted]
    taken = {cell.number for cell in by_settings.values()}
    free = (n for n in itertools.count(len(wanted)) if n not in taken)
    missing = []
    for i, (key, words) in enumerate(zip(keys, wanted)):
        cell = by_settings.get(key)
        if cell is not None and cell.state in OVER:
            continue
        number = cell.number if cell else i if i not in taken else next(free)
        missing.append([*words, named(number, cell)])
    _tell(sweep, there, [c for k, c in by_settings.items() if k not in keys], len(missing), wanted)
    return missing


def named(number: int, cell: Cell | None = None) -> str:
    """The word that names a cell's folder."""
    name = cell.folder.name if cell else f"{number}_${{genlab.folder:${{name}}}}"
    return f"hydra.sweep.subdir={quoted(name)}"


def _key(settings: dict[str, str]) -> frozenset:
    return frozenset(settings.items())


def _tell(
    sweep: Path, there: list[Cell], others: list[Cell], missing: int, wanted: Sequence
) -> None:
    """What of the sweep is there already, and which cells the command does not ask for."""
    if any(cell.words for cell in there):
        begun = sum(cell.state not in (*OVER, "not started") for cell in there)
        over = len(wanted) - missing
        say(
            f"genlab: {over} of {len(wanted)} cells are over; to run: {missing}"
            + (f", {begun} of them begun before" if begun and missing else "")
        )
    if others:
        keys = differing(there)
        say(f"genlab: {sweep} holds {len(others)} cells that this command does not ask for:")
        for cell in others[:10]:
            say(f"  {cell.folder.name}  " + " ".join(f"{k}={cell.settings.get(k)}" for k in keys))
