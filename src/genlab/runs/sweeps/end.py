"""The end of a sweep: an honest table of its cells, what is best, and the page that compares them.

Hydra calls `SweepEnd` in the process that started the sweep, whichever launcher ran the cells. A
cell is finished where its ledger says so; every other one failed, whatever its process did.
"""

from __future__ import annotations

import itertools
import shlex
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from genlab.metrics.figures import headlines, measured
from genlab.metrics.seeds import t_interval
from genlab.runs.folder.layout import read_json, remove_empty
from genlab.runs.say.terminal import say
from genlab.runs.sweeps.cells import (
    OVER,
    SEED,
    Cell,
    differing,
    read_cells,
    seeds_together,
)
from genlab.runs.sweeps.goals import Goal, front, read_goals
from genlab.shown import duration, figure, one_line

MOST = 200  # cells of which the terminal's table tells
codes: list[int] = []
again: list[str] = []  # the commands that go on with the sweeps that this process has begun
folders: list[Path] = []  # of the sweeps that this process started


def remove_unstarted() -> None:
    """Nothing half-written: a sweep whose first cell cannot be composed leaves no folder."""
    for folder in folders:
        if folder.is_dir() and {p.name for p in folder.iterdir()} <= {"multirun.yaml"}:
            (folder / "multirun.yaml").unlink(missing_ok=True)
            remove_empty(folder)


class SweepEnd(Callback):
    """Prints the table, writes the comparison, and makes the command fail if a cell did."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        folders.append(Path(config.hydra.sweep.dir))
        again.append(typed_again(config))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        cells = read_cells(sweep) if sweep.is_dir() else []
        if not cells:
            return
        goals = goals_of(config)
        say(f"genlab: the sweep's cells in {sweep}")
        print_cells(cells, goals)
        say(f"  {counted(cells)}")
        if any(cell.state == "finished" for cell in cells):
            from genlab.runs.page.sweep import write_comparison

            say(f"  comparison   {write_comparison(sweep)}")
        if left := [cell for cell in cells if cell.state not in OVER]:
            say(f"  what is not finished ({len(left)}): {typed_again(config)}")
        again.clear()
        codes.append(int(bool(left)))


def typed_again(config: DictConfig) -> str:
    """The command that goes on with a sweep: what was typed, and its folder."""
    typed, own = config.hydra.overrides, ("hydra.sweep.dir=", "hydra.mode=")
    words = [w for w in map(str, typed.hydra) if not w.startswith(own)]
    words += [*map(str, typed.task), f"hydra.sweep.dir={config.hydra.sweep.dir}"]
    return f"genlab train -m {shlex.join(words)}"


def tell_how_to_go_on() -> None:
    """Of a sweep that was ended before its end."""
    for line in again:
        say(f"genlab: the sweep goes on by: {line}")
    again.clear()


def goals_of(config: DictConfig) -> list[Goal]:
    """What a search was for; none of a grid."""
    goal = config.hydra.sweeper.get("goal")
    goal = OmegaConf.to_container(goal) if OmegaConf.is_config(goal) else goal
    return read_goals(goal, ()) if goal else []


def print_cells(cells: Sequence[Cell], goals: Sequence[Goal]) -> None:
    """To stderr: settings that differ, state, figures; then seeds together; then what is best."""
    keys, names = differing(cells), [g.name for g in goals] or shown_figures(cells)
    ranked = front(cells, goals) if goals else []
    rows = [
        [
            str(cell.number), *(cell.settings.get(k, "") for k in keys), cell.state,
            *(figure(cell.figures[n]) if n in cell.figures else "" for n in names),
            duration(cell.figures.get("seconds")) if "seconds" in cell.figures else "",
        ]
        for cell in cells[:MOST]
    ]  # fmt: skip
    print_table(["cell", *keys, "state", *names, "time"], rows, [c.reason for c in cells])
    if len(cells) > MOST:
        say(f"  and {len(cells) - MOST} more: they are on the page")
    if together := over_seeds(cells, names):
        others = [k for k in keys if k != SEED]
        say("genlab: over seeds, mean and 95 % interval (Student's t)")
        print_table(["seeds", *others, *names], [[str(n), *row] for n, row in together])
    for cell in ranked[:MOST]:
        found = ", ".join(f"{g.name} {figure(cell.figures[g.name])}" for g in goals)
        knobs = " ".join(f"{k}={cell.settings.get(k, '')}" for k in keys)
        say(f"  {'best' if len(goals) == 1 else 'on the front'}  {knobs}  {found}")
        if len(goals) == 1:
            break


def shown_figures(cells: Sequence[Cell]) -> list[str]:
    """The figures that a grid's table shows: the first of its evaluations, and the loss."""
    done = [cell for cell in cells if cell.state == "finished"]
    found = measured(read_json(done[0].folder / "evaluation.json")) if done else []
    loss = [n for n in ("val/loss", "train/loss") if any(n in c.figures for c in cells)]
    return [m.name for m in headlines(found)] or loss[:1]


def over_seeds(cells: Sequence[Cell], names: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Cells that differ in their seed alone: how many are finished, their settings and means."""
    keys = [k for k in differing(cells) if k != SEED]
    done = [c for c in cells if c.state == "finished"]
    rows = []
    for group in seeds_together([c.settings for c in done]):
        texts = [done[group[0]].settings.get(k, "") for k in keys]
        for name in names:
            found = [done[i].figures[name] for i in group if name in done[i].figures]
            mean, ends = t_interval(found, name)
            texts.append(f"{figure(mean)} ({figure(ends[0])} to {figure(ends[1])})")
        rows.append((len(group), texts))
    return rows


def counted(cells: Sequence[Cell]) -> str:
    """How the cells ended: 3 finished, 2 pruned, 1 failed."""
    found = Counter(cell.state for cell in cells)
    order = [*OVER, *(state for state in found if state not in OVER)]
    return ", ".join(f"{found[state]} {state}" for state in order if found[state])


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str] = ()
) -> None:
    """A table in columns; under a row what of `below` belongs to it, whole."""
    shown = [[one_line(text) for text in row] for row in (heads, *rows)]
    widths = [max(len(row[i]) for row in shown) for i in range(len(heads))]
    for row, under in itertools.zip_longest(shown, ["", *below[: len(rows)]], fillvalue=""):
        say("  " + "  ".join(t.ljust(w) for t, w in zip(row, widths)).rstrip())
        for line in wrapped(one_line(under)):
            say(f"      {line}")


def wrapped(text: str, room: int | None = None) -> list[str]:
    """Lines for the terminal, no word of which is cut; one line where nobody looks at a window."""
    if room is None:
        room = shutil.get_terminal_size().columns - 6 if sys.stderr.isatty() else len(text) + 1
    return textwrap.wrap(text, max(24, room), break_long_words=False, break_on_hyphens=False)
