"""The end of a sweep: an honest table of its cells, and the page that compares them.

Hydra calls `SweepEnd` in the process that started the sweep, whichever launcher ran the cells. A
cell is finished where its ledger says so; every other one failed, whatever its process did.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from genlab.runs.folder.layout import remove_empty, write_yaml
from genlab.runs.say.secrets import redact
from genlab.runs.say.terminal import say

codes: list[int] = []
folders: list[Path] = []  # of the sweeps that this process started


def remove_unstarted() -> None:
    """Nothing half-written: a sweep whose first cell cannot be composed leaves no folder."""
    for folder in folders:
        if folder.is_dir() and {p.name for p in folder.iterdir()} <= {"multirun.yaml"}:
            (folder / "multirun.yaml").unlink(missing_ok=True)
            remove_empty(folder)


def states(sweep: Path) -> dict[str, str]:
    """Each cell's folder and what became of it: finished, failed or never started."""
    from genlab.rows import read_rows

    found = {}
    cells = (p for p in sweep.iterdir() if p.is_dir() and not p.name.startswith("."))  # .submitit
    for cell in sorted(cells, key=_number):
        rows = read_rows(cell / "metrics.jsonl")
        if any(r["kind"] == "end" for r in rows):
            found[cell.name] = "finished"
        else:
            found[cell.name] = "failed" if (cell / "config.yaml").is_file() else "not started"
    return found


def _number(cell: Path) -> tuple[int, str]:
    head = cell.name.partition("_")[0]
    return (int(head) if head.isdigit() else -1), cell.name


class SweepEnd(Callback):
    """Prints the table, writes the comparison, and makes the command fail if a cell did."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        folders.append(Path(config.hydra.sweep.dir))

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Hydra has written the sweep's whole config, secrets too: here they are blotted out."""
        written = Path(config.hydra.sweep.dir) / "multirun.yaml"
        if written.is_file():
            write_yaml(written, redact(yaml.safe_load(written.read_text(encoding="utf-8"))))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        if not sweep.is_dir():
            return
        found = states(sweep)
        say("genlab: the sweep's cells")
        for name, state in found.items():
            say(f"  {state:12} {sweep / name}")
        if "finished" in found.values():
            from genlab.runs.page.write import write_comparison

            say(f"  comparison   {write_comparison(sweep)}")
        codes.append(int(any(state != "finished" for state in found.values())))
